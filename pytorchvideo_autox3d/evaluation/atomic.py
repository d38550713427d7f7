"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO
from uuid import uuid4

from iopath.common.file_io import g_pathmgr


def write_atomically(path: str, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file through `write(stream)`, beside its place first and renamed when complete.

    A local file never appears half-written, whatever stops the process; an older one of the name stays until then.
    Folders are made. Another iopath scheme (s3://, ...) gets the bytes in one piece, as its store knows no rename.
    """
    if "://" in path:
        buffer = io.BytesIO()
        write(buffer)
        with g_pathmgr.open(path, "wb") as stream:
            stream.write(buffer.getvalue())
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A hidden name: no pattern that looks for results or checkpoints takes it for one.
    beside = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        with open(beside, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
