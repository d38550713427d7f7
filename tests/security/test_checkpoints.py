"""Checkpoints made to do harm: each is refused in one line, and nothing in them runs."""

import io
import os
import pickle
import zipfile

import pytest
import torch

from pytorchvideo_autox3d.engine import load_weights
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.models.x3d_checkpoints import convert_checkpoint
from tests.engine.helpers import tiny_model
from tests.security.limits import limited


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder) -> None:
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def pickled(protocol):
    return lambda bomb: pickle.dumps({"blobs": bomb}, protocol)


def saved(bomb, **options):
    file = io.BytesIO()
    torch.save({"model_state": {"a": torch.zeros(2)}, "cfg": bomb}, file, **options)
    return file.getvalue()


BOMBS = {
    **{f"a pickle of protocol {number}": pickled(number) for number in range(pickle.HIGHEST_PROTOCOL + 1)},
    "torch's zip": saved,
    "torch's older form": lambda bomb: saved(bomb, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("reader", ["weights", "converter"])
def test_a_bomb_does_not_go_off(tmp_path, kind, reader):
    path, crater = tmp_path / "bomb.pyth", tmp_path / "crater"
    path.write_bytes(BOMBS[kind](Bomb(crater)))
    with pytest.raises(CheckpointError, match=r"^\S*bomb\.pyth: ") as raised:
        if reader == "weights":
            load_weights(tiny_model(), str(path))
        else:
            convert_checkpoint(path, tmp_path / "out.pyth", target="pytorchvideo")
    assert "\n" not in str(raised.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bomb.pyth"]


def _state(**changes):
    return {**tiny_model().state_dict(), **changes}


STRANGE = {
    "a shape of a trillion": lambda: _state(**{"0.weight": torch.zeros(1).expand(10**12)}),
    "no numbers": lambda: _state(**{"0.weight": torch.zeros(0, 3, 1, 3, 3)}),
    "complex": lambda: _state(**{"0.weight": torch.zeros(4, 3, 1, 3, 3, dtype=torch.complex64)}),
    "truth values": lambda: _state(**{"0.weight": torch.zeros(4, 3, 1, 3, 3, dtype=torch.bool)}),
    "whole numbers": lambda: _state(**{"0.weight": torch.zeros(4, 3, 1, 3, 3, dtype=torch.int64)}),
    "sparse": lambda: _state(**{"6.weight": torch.zeros(3, 4).to_sparse()}),
    "a list": lambda: _state(**{"0.weight": [1.0, 2.0]}),
    "numbers as names": lambda: {1: torch.zeros(1)},
    "nothing": dict,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_tensors_are_named(tmp_path, kind):
    path = tmp_path / "strange.pyth"
    torch.save({"model_state": STRANGE[kind]()}, path)
    assert "strange.pyth" in limited(_load, str(path))


def _load(path: str) -> None:
    load_weights(tiny_model(), path)


def test_a_zip_that_unpacks_to_far_more_is_refused(tmp_path):
    """torch stores its records as they are; one that is packed a thousandfold is not torch's."""
    plain, path = tmp_path / "plain.pyth", tmp_path / "packed.pyth"
    torch.save({"model_state": {"a": torch.zeros(2)}}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            with target.open(name, "w", force_zip64=True) as record:
                record.write(content)
                for _ in range(300 if name.endswith("data/0") else 0):
                    record.write(bytes(1 << 20))
    assert "packed.pyth" in limited(_load, str(path), megabytes=128)
