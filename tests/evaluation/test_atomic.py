import pytest

from pytorchvideo_autox3d.evaluation import write_atomically


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "new" / "file.bin"
    write_atomically(str(path), lambda stream: stream.write(b"whole"))

    def fail(stream):
        stream.write(b"ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(str(path), fail)
    assert path.read_bytes() == b"whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]
