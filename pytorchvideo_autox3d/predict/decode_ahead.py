"""Decoding the next videos in threads while the network has the present one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from pytorchvideo_autox3d.errors import DecodeError

Item = TypeVar("Item")
Result = TypeVar("Result")


def decoded_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[tuple[Item, Result | DecodeError]]:
    """(item, function(item)) in the order of the items; where that raises a `DecodeError`, the error.

    FFmpeg leaves Python's lock, so that threads do. At most 2 * `workers` results wait; 0 workers do it here.
    """

    def safely(item: Item) -> Result | DecodeError:
        try:
            return function(item)
        except DecodeError as error:
            return error

    if workers == 0:
        yield from ((item, safely(item)) for item in items)
        return
    remaining = iter(items)
    pending: deque[tuple[Item, Future[Result | DecodeError]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            while True:
                for item in islice(remaining, 2 * workers - len(pending)):
                    pending.append((item, pool.submit(safely, item)))
                if not pending:
                    return
                item, future = pending.popleft()
                yield item, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
