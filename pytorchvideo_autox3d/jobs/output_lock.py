"""One run at a time in an OUTPUT_DIR: a lock that a process holds until it ends."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytorchvideo_autox3d.errors import ConfigError

LOCK_NAME = ".lock"
_logger = logging.getLogger(__name__)


@contextmanager
def output_lock(output_dir: str) -> Iterator[None]:
    """Hold the folder for this process within the `with` block; its lock file stays and says who held it last.

    The kernel releases the lock (POSIX, lockf) when the process ends, however it ends; no child inherits it. On a file
    system without locks the run goes on without one, and logs a warning.

    Raises:
        ConfigError: another process holds the folder (names it), or it can't be written to.
    """
    path = Path(output_dir, LOCK_NAME)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise ConfigError(f"OUTPUT_DIR: can't write to {output_dir}: {error.strerror}") from error
    try:
        _take(handle, output_dir)
        yield
    finally:
        os.close(handle)


def _take(handle: int, output_dir: str) -> None:
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        holder = os.read(handle, 200).decode("utf8", "replace").strip() or "another process"
        raise ConfigError(
            f"OUTPUT_DIR: {output_dir} is in use by {holder}; wait for it, stop it, or choose another folder"
        ) from None
    except OSError as error:
        _logger.warning("OUTPUT_DIR: %s can't be locked (%s): start no second run in it", output_dir, error.strerror)
        return
    own = f"process {os.getpid()} on {socket.gethostname()}\n"
    try:
        os.ftruncate(handle, 0)
        os.write(handle, own.encode())
    except OSError:  # the disk is full: locked all the same
        _logger.debug("the holder of %s is not written down", output_dir)
