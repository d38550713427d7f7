"""Processes and machines: torchrun's environment, or the same agent started from within.

    torchrun ... tools/run_net.py        the environment is set: join the job, start nothing
    run_net.py, NUM_GPUS 1, 1 shard      run in this process, no group
    run_net.py, otherwise                start torch's elastic agent here; it sets the environment of each worker

PySlowFast's `--shard_id --num_shards --init_method` name this machine, their number and machine 0's address; N machines
with one GPU each make one job of N processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import signal
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, launch_agent

from pytorchvideo_autox3d import errors
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError, Interrupted

_TORCHRUN_KEYS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_RENDEZVOUS_TIMEOUT_SECONDS = 900
_STORE_TIMEOUT = timedelta(seconds=10)
# How gloo says that the other end is gone; it raises no class of its own.
_LOST = re.compile(r"gloo.*(closed by peer|reset by peer|Broken pipe|Timed out waiting)", re.DOTALL)
_AGENT_LOGGER = "torch.distributed.elastic.multiprocessing.api"


@dataclass(frozen=True)
class ProcessInfo:
    """This process's place in the job (over all machines and on its own), and the device that it uses."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    device: torch.device

    @property
    def num_machines(self) -> int:
        """How many machines take part; all have the same number of processes."""
        return self.world_size // self.local_world_size


def under_torchrun() -> bool:
    """Whether torchrun, or an agent that `launch` started, has set this process's environment."""
    return all(key in os.environ for key in _TORCHRUN_KEYS)


def init_from_env(backend: str | None = None) -> ProcessInfo:
    """Join the job that the environment describes; without one, describe this single process.

    Args:
        backend: "nccl" (the default with a GPU) gives the GPU of the local rank as device, "gloo" the CPU.
    Raises:
        ConfigError: with nccl, the machine has fewer GPUs than processes.
    """
    has_gpu = torch.cuda.is_available()
    if not under_torchrun():
        return ProcessInfo(
            0, 1, 0, 1, torch.device("cuda", 0) if has_gpu and backend != "gloo" else torch.device("cpu")
        )
    backend = backend or ("nccl" if has_gpu else "gloo")
    local_rank = int(os.environ["LOCAL_RANK"])
    local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    device = _own_device(backend, local_rank, local_world_size)
    if not dist.is_initialized():
        dist.init_process_group(backend=backend, device_id=device if device.type == "cuda" else None, **_fresh_store())
    return ProcessInfo(dist.get_rank(), dist.get_world_size(), local_rank, local_world_size, device)


def shutdown() -> None:
    """Leave the process group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def launch(
    fn: Callable[..., Any],
    *args: Any,
    num_processes: int = 1,
    num_shards: int = 1,
    shard_id: int = 0,
    init_method: str | None = None,
    backend: str | None = None,
) -> Any:
    """Run `fn(*args)` in every process of the job and return what this machine's first process returned.

    Args:
        fn: a module's function, which new processes import; it is called after the process group is up.
        num_processes: processes on this machine (NUM_GPUS).
        num_shards, shard_id: the number of machines, and which one this is.
        init_method: `tcp://HOST:PORT` of machine 0; needed for several machines. On one machine without it a free
            port is chosen.
        backend: as in `init_from_env`.

    Under torchrun all but `backend` are ignored.
    Raises:
        AutoX3DError: settings that make no job (`ConfigError`); a worker's own error; a worker that was killed;
            SIGTERM (`Interrupted`).
    """
    if under_torchrun():
        return _run_under_torchrun(fn, args, backend)
    _check_job(num_processes, num_shards, shard_id, init_method)
    if num_processes * num_shards == 1:
        return fn(*args)
    with tempfile.TemporaryDirectory(prefix="autox3d-launch-") as scratch:
        config = _launch_config(num_processes, num_shards, shard_id, init_method, scratch)
        try:
            with _quiet_about_recorded_errors(scratch):
                results = launch_agent(config, _worker, [fn, args, backend, num_processes, scratch])
        except ChildFailedError as failure:
            raise _recorded_error(scratch) or _killed(failure) or failure from None
        except SignalException as stop:
            if (recorded := _recorded_error(scratch)) is not None:
                raise recorded from None
            if stop.sigval == signal.SIGINT:
                raise KeyboardInterrupt(str(stop)) from None
            raise Interrupted(f"the job was stopped by {stop.sigval.name}", signal_number=stop.sigval) from None
    return results[min(results)]


def _fresh_store() -> dict[str, Any]:
    """An empty part of the store for the processes to meet in, after torchrun has restarted them on one machine.

    torch 2.14's agent keeps its store, with the addresses of the processes before, which gloo then tries in vain. The
    agents of several machines count restarts each by itself, so that there it is left to torch.
    """
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if restarts == "0" or os.environ.get("GROUP_WORLD_SIZE", "1") != "1":
        return {}
    store, rank, world_size = next(iter(dist.rendezvous("env://")))
    return {"store": dist.PrefixStore(f"restart_{restarts}", store), "rank": rank, "world_size": world_size}


def _own_device(backend: str, local_rank: int, local_world_size: int) -> torch.device:
    if backend != "nccl":
        return torch.device("cpu")
    found = torch.cuda.device_count()
    if local_world_size > found:
        raise ConfigError(
            f"NUM_GPUS: {local_world_size} processes on a machine with {found} GPU(s); use the gloo backend"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def said_before(line: str) -> bool:
    """Whether another process of this machine has asked so about the same line; the first to ask is to print it.

    Only under torchrun, whose agent keeps a store that outlives the processes; elsewhere False.
    """
    if not under_torchrun() or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return False
    place = [os.environ.get(key, "0") for key in ("GROUP_RANK", "TORCHELASTIC_RESTART_COUNT")]
    key = "/".join(["said", *place, hashlib.sha256(line.encode()).hexdigest()])
    try:
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        return dist.TCPStore(*address, is_master=False, timeout=_STORE_TIMEOUT).add(key, 1) > 1
    except (RuntimeError, ValueError):  # the agent is gone: better twice than not at all
        return False


def _run_under_torchrun(fn: Callable[..., Any], args: tuple[Any, ...], backend: str | None) -> Any:
    """`_run_in_group`, with one line where another process is gone; its own error, if it had one, it prints itself.

    Raises:
        AutoX3DError: the connection to another process is lost.
    """
    try:
        return _run_in_group(fn, args, backend)
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _LOST.search(str(error)):
            raise
        raise AutoX3DError(
            f"the connection to another process of the job is lost ({str(error).splitlines()[0]}): see what that one "
            "or torchrun says; the same command goes on from the last checkpoint"
        ) from error


def _run_in_group(fn: Callable[..., Any], args: tuple[Any, ...], backend: str | None) -> Any:
    init_from_env(backend)
    try:
        return fn(*args)
    finally:
        shutdown()


def _worker(
    fn: Callable[..., Any], args: tuple[Any, ...], backend: str | None, num_processes: int, scratch: str
) -> Any:
    """The agent's entry in each worker: leaves an error of the error family where the parent finds it."""
    if "OMP_NUM_THREADS" not in os.environ:
        # Each worker would otherwise start a thread for every core of the machine.
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // num_processes))
    try:
        return _run_in_group(fn, args, backend)
    except AutoX3DError as error:
        _record_error(error, Path(scratch, f"error-{int(os.environ['RANK']):05d}.json"))
        raise SystemExit(1) from None
    except RuntimeError:
        # When a sibling stopped with a user's error, this one only lost the connection: one line is enough.
        if _recorded_error(scratch) is None:
            raise
        raise SystemExit(1) from None


def _record_error(error: AutoX3DError, path: Path) -> None:
    """Write an error down as plain text, so that nothing has to be unpickled."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    code = error.exit_code if isinstance(error, Interrupted) else None
    path.write_text(json.dumps({"kinds": kinds, "message": str(error), "exit_code": code}), encoding="utf8")


def _recorded_error(scratch: str) -> AutoX3DError | None:
    """The error of the lowest rank that has one, as the nearest class of ours where a user's module defines its own."""
    files = sorted(Path(scratch).glob("error-*.json"))
    if not files:
        return None
    record = json.loads(files[0].read_text(encoding="utf8"))
    ours = [getattr(errors, name) for name in record["kinds"] if hasattr(errors, name)]
    error: AutoX3DError = ours[0](record["message"])
    if isinstance(error, Interrupted):
        error.exit_code = record["exit_code"]
    return error


def _killed(failure: ChildFailedError) -> AutoX3DError | None:
    """The error where a process was killed from outside; those that the agent ended after it count for nothing."""
    for rank, process in failure.failures.items():
        if process.exitcode < 0 and process.exitcode != -signal.SIGTERM:
            name = signal.Signals(-process.exitcode).name
            return AutoX3DError(
                f"process {rank} of the job was killed by {name} (is there enough memory?); the same command goes on "
                "from the last checkpoint"
            )
    return None


@contextlib.contextmanager
def _quiet_about_recorded_errors(scratch: str) -> Iterator[None]:
    """Keep the agent from logging tracebacks of an error that `launch` is about to raise as one line."""

    def keep(record: logging.LogRecord) -> bool:
        return _recorded_error(scratch) is None and not record.getMessage().startswith("failed (exitcode: -")

    logger = logging.getLogger(_AGENT_LOGGER)
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


def _check_job(num_processes: int, num_shards: int, shard_id: int, init_method: str | None) -> None:
    if num_processes < 1 or num_shards < 1:
        raise ConfigError(f"a job needs at least one process on one machine, not {num_processes} on {num_shards}")
    if not 0 <= shard_id < num_shards:
        raise ConfigError(f"--shard_id {shard_id} is outside 0..{num_shards - 1} (--num_shards {num_shards})")
    if num_shards > 1 and not init_method:
        raise ConfigError(f"--num_shards {num_shards} needs --init_method tcp://HOST:PORT, the address of shard 0")


def _launch_config(
    num_processes: int, num_shards: int, shard_id: int, init_method: str | None, scratch: str
) -> LaunchConfig:
    common: dict[str, Any] = {
        "min_nodes": num_shards,
        "max_nodes": num_shards,
        "nproc_per_node": num_processes,
        "max_restarts": 0,
        "logs_specs": DefaultLogsSpecs(log_dir=scratch),
    }
    if not init_method:
        # Port 0: the agent's own store takes a free one.
        return LaunchConfig(
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="localhost", run_id=uuid.uuid4().hex, **common
        )
    host, port = _parse_init_method(init_method)
    if shard_id == 0:
        _check_port_is_free(port, init_method)
    return LaunchConfig(
        rdzv_backend="static",
        rdzv_endpoint=f"{host}:{port}",
        rdzv_configs={"rank": shard_id, "timeout": _RENDEZVOUS_TIMEOUT_SECONDS},
        run_id="autox3d",
        **common,
    )


def _parse_init_method(init_method: str) -> tuple[str, int]:
    parts = urlsplit(init_method)
    port = None
    with contextlib.suppress(ValueError):  # urlsplit raises when the port is no number
        port = parts.port
    if parts.scheme != "tcp" or not parts.hostname or not port:
        raise ConfigError(f"--init_method {init_method!r} is not of the form tcp://HOST:PORT")
    return parts.hostname, port


def _check_port_is_free(port: int, init_method: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise ConfigError(
                f"--init_method {init_method}: port {port} can't be used here ({error.strerror})"
            ) from None
