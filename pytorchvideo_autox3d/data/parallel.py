"""Applies a function to many files in several processes, and goes on when a file crashes one of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 4  # items handed out for each process, so that a long list does not pile up


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[tuple[Item, Result | None]]:
    """(item, function(item)) as they finish; the result is None where the item made its process die.

    Args:
        function: must be picklable, and so must items and results.
        items: what the function is applied to.
        workers: processes; 0 works in this one, one item after another, and then nothing is caught.
    """
    if workers == 0:
        yield from ((item, function(item)) for item in items)
        return
    remaining = iter(items)
    while suspects := (yield from _until_crash(function, remaining, workers)):
        # Whichever it was: one at a time it harms no other.
        while suspects:
            tried = iter(suspects[:1])
            suspects = suspects[1:]
            for item in (yield from _until_crash(function, tried, 1)):
                yield item, None


def _until_crash(
    function: Callable[[Item], Result], items: Iterator[Item], workers: int
) -> Generator[tuple[Item, Result | None], None, list[Item]]:
    """Yield results until a process dies; return the items that were then in work, none if all came to their end."""
    pending: dict[Future[Result], Item] = {}
    refused: list[Item] = []
    with ProcessPoolExecutor(workers, mp_context=_context()) as pool:
        try:
            while True:
                for item in islice(items, workers * _AHEAD - len(pending)):
                    refused = [item]  # until it is handed out: a pool may turn out to be broken here
                    pending[pool.submit(function, item)] = item
                    refused = []
                if not pending:
                    return []
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield pending.pop(future), result
        except BrokenProcessPool:
            finished = {future for future in pending if future.exception() is None}
            for future in finished:
                result = future.result()
                yield pending.pop(future), result
            return [*pending.values(), *refused]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _context() -> BaseContext:
    """A start method whose processes start quickly and inherit no locks from this one's threads."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["pytorchvideo_autox3d.data"])
    return context
