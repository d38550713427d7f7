import json

import pytest

from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError
from pytorchvideo_autox3d.files import atomic_write, refuse_overwriting, write_json, write_text


def test_the_target_appears_whole_and_nothing_else_stays(tmp_path):
    with atomic_write(tmp_path / "sub" / "a.bin") as beside:
        beside.write_bytes(b"12")
        assert not (tmp_path / "sub" / "a.bin").exists()
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.bin"]


def test_after_an_error_the_old_file_is_intact(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_write(target) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_json_is_what_any_reader_takes(tmp_path):
    write_json(tmp_path / "a.json", {"loss": float("nan"), "top1": 0.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": None, "top1": 0.5}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AutoX3DError, match=r"can't write .*file/a.txt"):
        write_text(tmp_path / "file" / "a.txt", "")


def test_what_is_read_is_not_written_over(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    read = [str(tmp_path / "a.mp4"), "s3://bucket/b.mp4"]
    refuse_overwriting("--output", [tmp_path / "b.mp4", tmp_path / "deep" / "a.mp4"], read)
    with pytest.raises(ConfigError, match=r"--output: .*link/a\.mp4 would replace .*a\.mp4, which is read"):
        refuse_overwriting("--output", [tmp_path / "link" / "a.mp4"], read)
