"""A time limit for calls that may never return: decoding a broken file, reading from a share that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pytorchvideo_autox3d.errors import DataError, DecodeError

Result = TypeVar("Result")

# How many calls a process may have given up on that still run. Each of them holds a thread, a file and perhaps a core.
# Files that hang are rare. Several at once mean that the storage is gone; then skipping would go through the list.
MOST_ABANDONED = 4


class _Call(threading.Thread, Generic[Result]):
    """One call in a thread of its own, which the process does not wait for when it ends."""

    def __init__(self, function: Callable[[], Result], path: str) -> None:
        super().__init__(daemon=True, name="decode")
        self.path = path
        self._function = function
        self.results: list[Result] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.results.append(self._function())
        except BaseException as error:  # carried over to the caller's thread
            self.error = error


_abandoned: list[_Call] = []


def call_within(function: Callable[[], Result], *, seconds: float, path: str) -> Result:
    """Call a function, and give it up after `seconds`.

    Each call has a thread of its own, which costs some 0.1 ms where a decode takes tens, and leaves no thread behind
    that a fork would have to deal with. A call that is abandoned keeps its thread and its file until it returns, if it
    ever does; this process has at most `MOST_ABANDONED` of them.

    Args:
        function: is called without arguments; what it raises is raised here.
        seconds: the limit; 0 waits for ever.
        path: the file that it reads, for messages.

    Raises:
        DecodeError: the time is up; names `path`.
        DataError: the time is up, and `MOST_ABANDONED` calls are abandoned already; names their files.
    """
    if seconds <= 0:
        return function()
    call = _Call(function, path)
    call.start()
    call.join(seconds)
    if call.is_alive():
        _abandon(call, path, seconds)
        raise DecodeError(f"{path}: decoding took more than {seconds:g} s and was abandoned")
    if call.error is not None:
        raise call.error
    return call.results[0]


def _abandon(call: _Call, path: str, seconds: float) -> None:
    """Add a call to the list of those that were given up, without those that have returned since.

    Raises:
        DataError: there are too many.
    """
    _abandoned[:] = [other for other in _abandoned if other.is_alive()]
    if len(_abandoned) >= MOST_ABANDONED:
        named = ", ".join(other.path for other in _abandoned)
        raise DataError(
            f"{path}: decoding took more than {seconds:g} s, and so did others that still have not returned ({named}): "
            "is their storage within reach? Otherwise leave these files out of the list, or allow more time "
            "(AUTOX3D.DECODE_SECONDS; check-data --seconds)"
        )
    _abandoned.append(call)
