"""New processes for tests, forked from a server that has imported everything: an interpreter takes seconds to do so.

They begin as spawned ones do, with the imports done and nothing else, but in the environment that the server had.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytorchvideo_autox3d.distributed  # noqa: F401  (its module `launch` has the name of its function)

_PATIENCE = 600  # seconds, for a process that hangs
PRELOADED = ["pytorchvideo_autox3d.jobs", "pytorchvideo_autox3d.commands.run", "torch.distributed.run", __name__]
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(PRELOADED)
# The package asks for less, which would leave out most where it comes first.
forkserver.set_forkserver_preload = lambda modules: None
_ensure_running = forkserver._forkserver.ensure_running


def _ensure_running_once() -> None:
    """In a process that came from the server leave it at that one; Python 3.11 starts another."""
    server = forkserver._forkserver
    if server._forkserver_pid is not None or server._forkserver_alive_fd is None:
        _ensure_running()


forkserver._forkserver.ensure_running = _ensure_running_once
_launching = sys.modules["pytorchvideo_autox3d.distributed.launch"]
_SPAWNING = _launching.LaunchConfig
_launching.LaunchConfig = partial(_SPAWNING, start_method="forkserver")


def spawn_launched(monkeypatch) -> None:
    """Have `launch` start interpreters, as it does for users.

    For tests of a process that is killed: torch's agent names the failure that it sees first, and one that came from a
    server and only lost the connection may end as soon as the killed one.
    """
    monkeypatch.setattr(_launching, "LaunchConfig", _SPAWNING)


def run_main(
    main: Callable[[list[str]], Any],
    arguments: Sequence[Any],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    paths: Sequence[Path] = (),
) -> subprocess.CompletedProcess[str]:
    """What `main(arguments)` says and ends with as the main function of a process in `folder`.

    Args:
        environment: what is added to the server's.
        paths: where modules are found too.
    """
    arguments = [str(one) for one in arguments]
    logs = [folder / f"process-{len(list(folder.glob('process-*')))}.{stream}" for stream in ("out", "err")]
    process = FRESH.Process(target=_main_of_child, args=(main, arguments, folder, logs, environment or {}, paths))
    process.start()
    process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
        raise TimeoutError(f"{arguments}: not over after {_PATIENCE} s; {[log.read_text() for log in logs]}")
    return subprocess.CompletedProcess(arguments, process.exitcode, *(log.read_text() for log in logs))


def _main_of_child(main, arguments, folder, logs, environment, paths) -> None:
    for number, log in enumerate(logs, start=1):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(folder)
    os.environ.update(environment)
    sys.path[:0] = map(str, paths)
    multiprocessing.set_start_method(None, force=True)  # its own children begin as those of a command line do
    sys.exit(main(arguments))
