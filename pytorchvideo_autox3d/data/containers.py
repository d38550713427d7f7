"""Opening the file that a list names, and nothing else: no address, no pipe, no list of other files.

A path goes to the iopath handler that is registered for it. A handler that can bring its files to this machine does; of
one that can only open them, the bytes are read where they lie.
"""

from __future__ import annotations

import os
import stat
from typing import IO, Any

import av
from av.error import FFmpegError
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.errors import DecodeError

# What FFmpeg reads by opening other files that it names.
_PLAYLISTS = frozenset({"hls", "concat", "dash", "imf", "sdp", "rtsp"})
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
          stat.S_IFBLK: "a device"}  # fmt: skip


def media_source(path: str, *, kind: str = "video") -> str | IO[bytes]:
    """The path of a plain file on this machine, or an open file of bytes where the store only gives that.

    Args:
        path: as a list names it, its prefix joined.
        kind: what is expected there, for messages.

    Raises:
        DecodeError: there is no such file, or it is no plain file: to open a pipe would wait for ever.
    """
    try:
        try:
            local: str = os.fspath(g_pathmgr.get_local_path(path))
        except NotImplementedError:
            return g_pathmgr.open(path, "rb")
        mode = os.stat(local).st_mode
    except FileNotFoundError:
        raise DecodeError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise DecodeError(f"{path}: not a readable {kind}: {cause(error)}") from None
    if not stat.S_ISREG(mode):
        raise DecodeError(f"{path}: not a readable {kind}: it is {_KINDS.get(stat.S_IFMT(mode), 'no plain file')}")
    return local


def as_file_url(local: str) -> str:
    """A local path as FFmpeg takes it for a file's, also where it looks like an address (http:, concat:)."""
    return f"file:{local}"


def open_container(path: str) -> Any:
    """Open a video with FFmpeg through PyAV.

    Raises:
        DecodeError: it is missing, is no plain file, is no video, or is a list of other files.
    """
    source = media_source(path)
    try:
        container = av.open(
            as_file_url(source) if isinstance(source, str) else source,
            metadata_errors="replace",
            options={"protocol_whitelist": "file"},
        )
    except FileNotFoundError:
        raise DecodeError(f"{path}: no such file") from None
    except (FFmpegError, OSError) as error:
        raise DecodeError(f"{path}: not a readable video: {cause(error)}") from None
    if container.format.name in _PLAYLISTS:
        container.close()
        raise DecodeError(f"{path}: not a video but a list of others")
    return container


def cause(error: Exception) -> str:
    """What an error says of its cause, in one line."""
    return (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0]
