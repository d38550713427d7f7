"""A call in a process of its own, with little memory and time."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import traceback
from collections.abc import Callable
from typing import Any

from pytorchvideo_autox3d.errors import AutoX3DError

HANDLED = "handled"


def limited(call: Callable[..., Any], *args: Any, megabytes: int = 512, seconds: int = 30) -> str:
    """What became of `call(*args)`: "handled", or the one line of an error of ours; anything else fails the test.

    Args:
        megabytes: of address space beyond what this process has.
        seconds: of processor time.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(theirs, call, args, megabytes, seconds))
    process.start()
    theirs.close()
    try:
        kind, text = ours.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"{call.__name__}{args}: ended with {process.exitcode}") from None
    process.join()
    assert kind != "bug", text
    assert "\n" not in text, text
    assert len(text) < 2000, text
    return text


def _child(pipe: Any, call: Callable[..., Any], args: tuple[Any, ...], megabytes: int, seconds: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds + 5))
    try:
        call(*args)
        pipe.send(("handled", HANDLED))
    except AutoX3DError as error:
        pipe.send(("refused", str(error)))
    except BaseException:
        pipe.send(("bug", traceback.format_exc()))
