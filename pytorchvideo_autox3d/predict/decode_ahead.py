"""Decodes the next videos in threads while the network works on the present one."""

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
    """Call a function on every item in threads, ahead of whoever takes the results.

    FFmpeg releases Python's lock, so threads are enough. At most 2 * `workers` results wait.

    Args:
        function: decodes an item.
        items: taken only as they are needed.
        workers: threads; with 0 the calling thread does the work, one item at a time.
    Yields:
        (item, result) in the order of the items; where the function raises a `DecodeError`, the error is the result.
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
