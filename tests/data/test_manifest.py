import pickle

import pytest
import torch

from pytorchvideo_autox3d.data import Manifest, VideoRecord, read_list
from pytorchvideo_autox3d.data.manifest import SourceLocations, write_manifest
from pytorchvideo_autox3d.errors import DataError


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf8"):
        path = tmp_path / "list.csv"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def items(manifest):
    return [(record.path, record.label) for record in manifest]


def test_memory_is_flat_arrays():
    count, path = 10_000, "abcdefghij/klmnopqrst.mp4"
    manifest = Manifest.from_items((path, 7) for _ in range(count))
    held = sum(t.numel() * t.element_size() for t in (manifest.path_bytes, manifest.offset, manifest.label))
    assert held == count * (len(path) + 8 + 8) + 8


def test_a_faulty_video_is_found_in_the_list(written):
    """Lines are counted as an editor does: the header and empty lines too."""
    path = written("path label\n\na.mp4 0\n\nb.mp4 1\n")
    manifest = read_list(path)
    assert manifest.with_location(0, "a.mp4: bad") == f"a.mp4: bad ({path}:3)"
    assert manifest.with_location(1, "b.mp4: bad") == f"b.mp4: bad ({path}:5)"
    assert manifest.subset([1]).with_location(0, "b.mp4: bad") == f"b.mp4: bad ({path}:5)"
    assert Manifest.from_items([("a.mp4", 0)]).with_location(0, "a.mp4: bad") == "a.mp4: bad"


def test_subset_numbers_anew_and_keeps_the_prefix():
    manifest = Manifest.from_items([(f"{n}.mp4", n) for n in range(5)], prefix="/data")
    part = manifest.subset([4, 1])
    assert list(part) == [VideoRecord("/data/4.mp4", 4, 0), VideoRecord("/data/1.mp4", 1, 1)]
    assert part.labels.tolist() == [4, 1]
    with pytest.raises(IndexError):
        part.record(2)


def test_pickles_for_spawned_workers():
    manifest = Manifest.from_items([("a.mp4", 3)])
    copy = pickle.loads(pickle.dumps(manifest))
    assert items(copy) == [("a.mp4", 3)]
    assert copy.label.dtype == torch.int64


@pytest.mark.parametrize("path", ["a\0.mp4", "\ud800.mp4"])
def test_names_that_no_file_can_have(path):
    with pytest.raises(DataError, match=r"list\.json: entry 2: '.*' can't be the name of a file"):
        Manifest.from_items([("a.mp4", 0), (path, 0)], locations=SourceLocations.of("list.json", [1, 2], unit="entry"))


def test_names_with_other_bytes_are_kept(tmp_path):
    text = "gr\udcf6sse.mp4 0\n".encode("utf8", "surrogateescape")
    (tmp_path / "list.csv").write_bytes(text)
    write_manifest(tmp_path / "again.csv", read_list(str(tmp_path / "list.csv")))
    assert (tmp_path / "again.csv").read_bytes() == text
