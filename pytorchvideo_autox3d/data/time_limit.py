"""Calling what may never return: a decoder at a broken file, a read from a share that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pytorchvideo_autox3d.errors import DecodeError

Result = TypeVar("Result")


class _Call(threading.Thread, Generic[Result]):
    """One call in a thread of its own, which the process does not wait for when it ends."""

    def __init__(self, function: Callable[[], Result]) -> None:
        super().__init__(daemon=True, name="decode")
        self._function = function
        self.results: list[Result] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.results.append(self._function())
        except BaseException as error:  # carried over to the caller's thread
            self.error = error


def call_within(function: Callable[[], Result], *, seconds: float, path: str) -> Result:
    """`function()`, abandoned after `seconds`; 0 waits for ever.

    A thread for each call costs some 0.1 ms beside a decode of tens, and leaves nothing to carry through a fork. A
    call that is abandoned keeps its thread and its file until it returns, if it ever does.

    Raises:
        DecodeError: the time is up; names `path`. Else whatever `function` raises.
    """
    if seconds <= 0:
        return function()
    call = _Call(function)
    call.start()
    call.join(seconds)
    if call.is_alive():
        raise DecodeError(f"{path}: decoding took more than {seconds:g} s and was abandoned")
    if call.error is not None:
        raise call.error
    return call.results[0]
