"""What is refused before a job starts: every error is raised by `preflight.check` alone, with nothing written."""

import pytest

from pytorchvideo_autox3d import preflight
from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.errors import SpaceError

SPACE = """
name: tiny
groups:
  - {channels: [8], kernels: [[1, 3]], expansions: [1.5], attentions: [none], blocks: 1, stride: 2}
  - {channels: [8], kernels: [[3, 3]], expansions: [1.5], attentions: [none, glor], blocks: 1, stride: 2}
"""


def cfg_of(file, **changes):
    return load_cfg(config_path(file), [item for pair in changes.items() for item in pair])


@pytest.mark.parametrize("file", ["autox3d/search_demo.yaml", "autox3d/demo.yaml"])
def test_a_space_with_an_unknown_attention(file, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    with pytest.raises(SpaceError) as caught:
        preflight.check(cfg_of(file, **{"AUTOX3D.SPACE": str(path), "OUTPUT_DIR": str(tmp_path / "out")}))
    message = "group 2: attentions: no attention named 'glor'; did you mean 'glore'? known: glore, none, nonlocal"
    assert str(caught.value) == f"AUTOX3D.SPACE: {path}: {message}"
    assert not (tmp_path / "out").exists()
