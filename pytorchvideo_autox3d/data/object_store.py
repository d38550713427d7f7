"""Lists, configs, checkpoints and videos in object stores, through fsspec.

    AUTOX3D.IMPORTS [pytorchvideo_autox3d.data.object_store] DATA.PATH_TO_DATA_DIR s3://bucket/kinetics

Importing this module registers a handler of iopath for each of `SCHEMES`; one that a user's module registers after it
takes its place. fsspec's package for the store (s3fs, gcsfs, adlfs, huggingface_hub) must be installed, and finds the
credentials as it always does. Nothing is copied to this machine: a video's bytes are read as its frames need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import fsspec
from iopath.common.file_io import PathHandler, g_pathmgr

from pytorchvideo_autox3d.errors import DataError

SCHEMES = ("s3", "gs", "az", "abfs", "hf", "memory")


class ObjectStore(PathHandler):
    """iopath's handler of one scheme: reading only.

    Args:
        scheme: what stands before "://", as fsspec knows it.
    """

    def __init__(self, scheme: str) -> None:
        super().__init__()
        self._scheme = scheme

    def _get_supported_prefixes(self) -> list[str]:
        return [f"{self._scheme}://"]

    def _open(self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any) -> IO[Any]:
        if mode not in ("r", "rb"):
            raise OSError(f"{path}: object stores are only read")
        with self._failures(path):
            file: IO[Any] = self._files().open(path, mode, **kwargs)
            return file

    def _exists(self, path: str, **kwargs: Any) -> bool:
        with self._failures(path):
            return bool(self._files().exists(path))

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        with self._failures(path):
            return bool(self._files().isfile(path))

    def _isdir(self, path: str, **kwargs: Any) -> bool:
        with self._failures(path):
            return bool(self._files().isdir(path))

    def _ls(self, path: str, **kwargs: Any) -> list[str]:
        with self._failures(path):
            names = self._files().ls(path, detail=False)
        return [name.rstrip("/").rpartition("/")[2] for name in names]

    def _files(self) -> Any:
        """fsspec keeps one a process, and makes another after a fork."""
        return fsspec.filesystem(self._scheme)

    @contextmanager
    def _failures(self, path: str) -> Iterator[None]:
        """Turn what a store's own package raises into an error that readers of files know.

        Raises:
            DataError: fsspec's package for the store is not installed.
            OSError: the store refuses.
        """
        try:
            yield
        except ImportError as error:
            raise DataError(f"{path}: {error}") from None
        except (OSError, DataError):
            raise
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error


for _scheme in SCHEMES:
    g_pathmgr.register_handler(ObjectStore(_scheme))
