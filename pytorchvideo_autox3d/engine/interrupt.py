"""Turns Ctrl-C and a scheduler's SIGTERM into a request to stop, which the loop obeys between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from pytorchvideo_autox3d import distributed

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Context in which SIGINT and SIGTERM set `number`, the signal's; a second SIGINT raises KeyboardInterrupt at once.

    Under torchrun the terminal's SIGINT arrives twice, the second time from the agent, which kills a process that takes
    too long. So in a process group the second one does no more than the first.

    When a process is gone, torchrun sends the others SIGTERM at once, while they are on the way out of the error that
    this gives them. So under torchrun SIGTERM does nothing more once an error has left the context, and they can say
    what it was; one that takes too long for that is killed.
    """

    def __init__(self) -> None:
        self.number = 0
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether this process was asked to stop."""
        return self.number != 0

    def __enter__(self) -> StopRequest:
        # Python lets only the main thread set handlers; elsewhere the default behaviour stays.
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            if error is None or number != signal.SIGTERM or not distributed.under_torchrun():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT and not distributed.is_distributed():
            raise KeyboardInterrupt
        self.number = number
