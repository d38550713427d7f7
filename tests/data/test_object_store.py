"""A list in an object store, through a handler of iopath's over fsspec."""

import fsspec
import pytest
from iopath.common.file_io import PathHandler, g_pathmgr

from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.errors import DataError


class Store(PathHandler):
    """fsspec's memory as an object store: `store://bucket/key`."""

    files = fsspec.filesystem("memory")

    def _get_supported_prefixes(self):
        return ["store://"]

    def _open(self, path, mode="r", buffering=-1, **options):
        return self.files.open(self._key(path), mode, **options)

    def _isdir(self, path):
        return self.files.isdir(self._key(path))

    def _isfile(self, path):
        return self.files.isfile(self._key(path))

    def _exists(self, path):
        return self.files.exists(self._key(path))

    def _ls(self, path):
        return [name.rpartition("/")[2] for name in self.files.ls(self._key(path), detail=False)]

    @staticmethod
    def _key(path):
        return "/" + path.removeprefix("store://")


@pytest.fixture(scope="module", autouse=True)
def _handler():
    if "store://" not in g_pathmgr._path_handlers:
        g_pathmgr.register_handler(Store())


def test_a_list_is_read_where_it_is():
    with Store.files.open("/bucket/train.csv", "wb") as file:
        file.write(b"videos/a.mp4 0\nvideos/b.mp4 1\n")
    manifest = read_list("store://bucket/train.csv", path_prefix="store://bucket")
    assert list(manifest.paths) == ["store://bucket/videos/a.mp4", "store://bucket/videos/b.mp4"]
    assert manifest.labels.tolist() == [0, 1]


def test_one_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"store://bucket/none\.csv: no such list"):
        read_list("store://bucket/none.csv")
