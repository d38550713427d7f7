"""Submit a run to Slurm, or to this machine, through submitit (the extra `slurm`).

    python tools/submit.py --folder logs --nodes 8 --gpus 8 --partition video -- --cfg configs/autox3d/S.yaml ...

What follows `--` is what `tools/run_net.py` takes. Each node runs one such command, told which of them it is; node 0
is where they meet. When the job is about to be pre-empted or to run out of time, the command is sent SIGTERM: it saves
a checkpoint, and the job is queued again, which goes on from there.

Slurm sends its signals to every process of a job. So the command ignores submitit's own (SIGUSR2), and where a SIGTERM
of Slurm's has ended it, the job waits for submitit's signal, which has it queued again.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import submitit

from pytorchvideo_autox3d.cli import run_safely
from pytorchvideo_autox3d.errors import AutoX3DError

RUN_NET = Path(__file__).resolve().with_name("run_net.py")
_PORTS = range(20000, 60000)
# Between Slurm's SIGTERM and submitit's signal or SIGKILL lie its KillWait or a partition's GraceTime, as a rule 30 s.
_GRACE_SECONDS = 120.0
_STOPPED = 128 + signal.SIGTERM


class Run:
    """The command of one node; submitit calls it there, and `checkpoint` before the job is taken off."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Run to the end; raise where the command failed, so that the job counts as failed."""
        code = self.start(place(submitit.JobEnvironment())).wait()
        if code == _STOPPED:
            threading.Event().wait(_GRACE_SECONDS)
        if code != 0:
            raise AutoX3DError(f"the command ended with exit code {code}")
        return code

    def start(self, extra: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start the command, with where this node stands in the job."""
        command = [sys.executable, str(RUN_NET), *self.arguments, *extra]
        self._process = subprocess.Popen(command, preexec_fn=_ignore_submitits_signal)
        return self._process

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Have the command save and end; what is to be queued again."""
        if self._process is not None:
            self._process.terminate()
            # submitit calls this from a signal handler, which interrupts `Popen.wait` with its lock held.
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return submitit.helpers.DelayedSubmission(Run(self.arguments))


def _ignore_submitits_signal() -> None:
    """In the command's process, before it begins: its processes inherit this."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def place(environment: Any) -> list[str]:
    """This node among the job's, as `run_net.py` takes it; nothing for a single one.

    The port follows from the job's number, so that all nodes know it and two jobs on one node hardly meet.
    """
    if environment.num_nodes == 1:
        return []
    number = int("".join(filter(str.isdigit, str(environment.job_id))) or 0)
    port = _PORTS[number % len(_PORTS)]
    return [
        "NUM_SHARDS", str(environment.num_nodes), "SHARD_ID", str(environment.node),
        "--init_method", f"tcp://{environment.hostnames[0]}:{port}",
    ]  # fmt: skip


def submit(args: argparse.Namespace) -> submitit.Job[int]:
    """Put the job into the queue.

    Raises:
        AutoX3DError: there is no Slurm here, it refuses the job, or a number is too small.
    """
    for name, least in (("nodes", 1), ("gpus", 0), ("cpus", 1), ("hours", 1 / 60)):
        if not getattr(args, name) >= least:
            raise AutoX3DError(f"--{name} is {getattr(args, name):g}, expected {least:.2g} or more")
    try:
        return _submit(args)
    except (RuntimeError, ValueError, OSError, subprocess.CalledProcessError) as error:
        raise AutoX3DError(f"--cluster {args.cluster}: the job can't be submitted: {error}") from error


def _submit(args: argparse.Namespace) -> submitit.Job[int]:
    executor = submitit.AutoExecutor(folder=args.folder, cluster=args.cluster)
    executor.update_parameters(
        name=args.name, nodes=args.nodes, tasks_per_node=1, gpus_per_node=args.gpus, cpus_per_task=args.cpus,
        timeout_min=int(60 * args.hours),
    )  # fmt: skip
    if args.partition:
        executor.update_parameters(slurm_partition=args.partition)
    job: submitit.Job[int] = executor.submit(Run(args.arguments))
    return job


def main(argv: Sequence[str] | None = None) -> int:
    """Submit, say the job's number, and with --wait wait for it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", required=True, help="of submitit's files and the logs")
    parser.add_argument("--cluster", choices=("slurm", "local"), default="slurm", help="where to")
    parser.add_argument("--name", default="autox3d", help="of the job")
    parser.add_argument("--nodes", type=int, default=1, help="machines")
    parser.add_argument("--gpus", type=int, default=8, help="of each machine")
    parser.add_argument("--cpus", type=int, default=16, help="of each machine")
    parser.add_argument("--hours", type=float, default=24.0, help="after which the job is queued again")
    parser.add_argument("--partition", default="", help="of Slurm")
    parser.add_argument("--wait", action="store_true", help="until the job is over")
    parser.add_argument("arguments", nargs="+", help="after --: what run_net.py takes")
    args = parser.parse_args(argv)
    return run_safely(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    job = submit(args)
    print(f"job {job.job_id}, logs in {args.folder}")
    if not args.wait:
        return
    try:
        job.result()
    except submitit.core.utils.UncompletedJobError as error:
        raise AutoX3DError(f"job {job.job_id} failed; its log is {job.paths.stderr}") from error


if __name__ == "__main__":
    sys.exit(main())
