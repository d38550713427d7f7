"""Lists and videos in an object store: through the handlers over fsspec, here its memory, and through a user's own."""

import sys

import fsspec
import pytest
import torch
from iopath.common.file_io import PathHandler, g_pathmgr

from pytorchvideo_autox3d.data import (
    Kinetics,
    Manifest,
    build_loader,
    find_list,
    object_store,
    open_video,
    read_list,
    torchcodec_reader,
)
from pytorchvideo_autox3d.errors import DataError, DecodeError

CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32)}
READERS = ["pyav", *(["torchcodec"] if torchcodec_reader.available() else [])]


@pytest.fixture(scope="module")
def bucket(plain_video):
    files = fsspec.filesystem("memory")
    files.pipe("/bucket/videos/a.mp4", plain_video.read_bytes())
    files.pipe("/bucket/videos/b.mp4", b"no video" * 50)
    files.pipe("/bucket/train.csv", b"videos/a.mp4 0\nvideos/b.mp4 1\n")
    for label, name in enumerate(("left", "right")):
        files.pipe(f"/bucket/folders/train/{name}/{label}.mp4", plain_video.read_bytes())
    return "memory://bucket"


def test_a_list_is_read_where_it_is(bucket):
    manifest = read_list(f"{bucket}/train.csv", path_prefix=bucket)
    assert list(manifest.paths) == [f"{bucket}/videos/a.mp4", f"{bucket}/videos/b.mp4"]
    assert manifest.labels.tolist() == [0, 1]


def test_class_folders_are_read_where_they_are(bucket):
    manifest = Kinetics.find(f"{bucket}/folders", "train", num_classes=2)
    assert [path.removeprefix(bucket) for path in manifest.paths] == [
        "/folders/train/left/0.mp4",
        "/folders/train/right/1.mp4",
    ]


@pytest.mark.parametrize("reader", READERS)
def test_a_video_is_read_where_it_is(bucket, plain_video, reader):
    with open_video(f"{bucket}/videos/a.mp4", reader=reader) as there, open_video(str(plain_video)) as here:
        assert there.metadata().num_frames == here.metadata().num_frames
        frames = [video.read([40, 3, 59], short_side=24).double() for video in (there, here)]
    assert (frames[0] - frames[1]).abs().mean() < (0.1 if reader == "pyav" else 8)


@pytest.mark.parametrize("context", [None, "fork"])
def test_clips_come_from_it(bucket, context):
    data = Kinetics(manifest=read_list(f"{bucket}/folders/train"), mode="val", **CLIP)
    loader = build_loader(
        data, batch_size=2, shuffle=False, drop_last=False, num_workers=0 if context is None else 1,
        multiprocessing_context=context,
    )  # fmt: skip
    (batch,) = loader
    assert torch.equal(batch.clip_BCTHW[0], batch.clip_BCTHW[1])
    assert batch.label_B.tolist() == [0, 1]


def test_what_is_not_there_or_no_video_is_named(bucket):
    with pytest.raises(DataError, match=r"memory://bucket/none\.csv: no such list"):
        read_list(f"{bucket}/none.csv")
    with pytest.raises(DecodeError, match=r"memory://bucket/videos/none\.mp4: no such file"):
        open_video(f"{bucket}/videos/none.mp4")
    with pytest.raises(DecodeError, match=r"memory://bucket/videos/b\.mp4: not a readable video"):
        open_video(f"{bucket}/videos/b.mp4")


def test_a_store_that_nothing_opens_says_what_does(monkeypatch):
    monkeypatch.delitem(sys.modules, object_store.__name__)
    with pytest.raises(DataError, match=r"^ftp://b: holds no .*; object stores need AUTOX3D.IMPORTS \[pytorchvideo"):
        find_list("ftp://b", "train")


def test_a_store_without_its_package_or_that_refuses_is_one_line(monkeypatch):
    class NoCredentials(Exception):
        pass

    def fail(error):
        def filesystem(scheme):
            raise error

        monkeypatch.setattr(object_store.fsspec, "filesystem", filesystem)

    fail(ImportError("Install s3fs to access S3"))
    with pytest.raises(DataError, match=r"s3://b/train\.csv: Install s3fs"):
        read_list("s3://b/train.csv")
    fail(NoCredentials("who are you?"))
    with pytest.raises(DecodeError, match=r"^s3://b/a\.mp4: not a readable video: NoCredentials: who are you\?$"):
        open_video("s3://b/a.mp4")


class Copying(PathHandler):
    """A user's own handler, which brings files to this machine."""

    def __init__(self, folder) -> None:
        super().__init__()
        self.folder = folder

    def _get_supported_prefixes(self):
        return ["copied://"]

    def _get_local_path(self, path, force=False, **options):
        return str(self.folder / path.removeprefix("copied://"))


def test_a_users_own_handler_may_copy(plain_video):
    g_pathmgr.register_handler(Copying(plain_video.parent))
    with open_video(f"copied://{plain_video.name}") as video:
        assert video.metadata().num_frames == 60


MODULE = """
from iopath.common.file_io import g_pathmgr
from tests.data.test_object_store import Copying
from pathlib import Path
g_pathmgr.register_handler(Copying(Path({folder!r})))
"""


def test_a_worker_that_is_not_forked_imports_the_handler_too(plain_video, tmp_path, monkeypatch):
    (tmp_path / "handlers_of_mine.py").write_text(MODULE.format(folder=str(plain_video.parent)))
    monkeypatch.syspath_prepend(str(tmp_path))
    data = Kinetics(manifest=Manifest.from_items([(f"copied://{plain_video.name}", 0)]), mode="val", **CLIP)
    loader = build_loader(
        data, batch_size=1, shuffle=False, drop_last=False, num_workers=1, multiprocessing_context="forkserver",
        worker_imports=["handlers_of_mine"],
    )  # fmt: skip
    assert [batch.label_B.tolist() for batch in loader] == [[0]]
