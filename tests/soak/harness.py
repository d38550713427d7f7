"""Jobs killed with SIGKILL at random moments and started again by the same command, until one gets through.

Each job is the command line in a process of its own, forked from a server that has imported everything, so that the
kills fall into the work and not into imports. What it leaves is compared, bit for bit, with what a run that nobody
killed left.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejson
import torch

from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.engine import last_checkpoint, read_checkpoint
from tests.processes import FRESH
from tests.small_space import SPACE

_TIMES = ("data_time", "compute_time")


@dataclass(frozen=True)
class Job:
    """A kind of job: its shipped config and what is changed in it."""

    cfg: str
    options: Mapping[str, Any]

    def command(self, output: Path) -> list[str]:
        """The arguments of `autox3d`."""
        options = {**self.options, "OUTPUT_DIR": output}
        return ["run", "--cfg", str(config_path(self.cfg)), *(str(item) for pair in options.items() for item in pair)]


@dataclass(frozen=True)
class Soak:
    """What became of a job that was killed `kills` times.

    Attributes:
        runs: started in all, those that got through included.
        resumed: after a kill, from a checkpoint or from scores; the other kills came before there was any.
        differences: between what it left and what a run without kills left; none is the aim.
        seconds: that a run without kills takes.
    """

    kills: int
    runs: int
    resumed: int
    differences: tuple[str, ...]
    seconds: float


def jobs(data: Path, folder: Path, *, epochs: int = 2, workers: int = 0) -> dict[str, Job]:
    """Search, training and test of tiny networks on a list of videos; the test is of a training in `folder`."""
    (folder / "space.yaml").write_text(SPACE, encoding="utf8")
    common = {
        "DATA.PATH_TO_DATA_DIR": data, "DATA.PATH_PREFIX": data, "DATA.NUM_FRAMES": 4, "NUM_GPUS": 0,
        "DATA_LOADER.NUM_WORKERS": workers, "TRAIN.BATCH_SIZE": 4, "TEST.BATCH_SIZE": 6, "SOLVER.WARMUP_EPOCHS": 0.0,
        "AUTOX3D.DEPTHWISE_KERNELS": False, "AUTOX3D.CHECKPOINT_MINUTES": 1e-6, "LOG_PERIOD": 1,
        "LOG_MODEL_INFO": False,
    }  # fmt: skip
    training = {**common, "SOLVER.MAX_EPOCH": epochs, "BN.NUM_BATCHES_PRECISE": 1, "MODEL.DROPOUT_RATE": 0.5}
    searching = {
        # A step takes so little that with fewer epochs most kills would come before the first checkpoint.
        "AUTOX3D.SPACE": folder / "space.yaml", "SEARCH.EPOCHS": 4 * epochs, "SEARCH.WARMUP_EPOCHS": 1,
        "SEARCH.NUM_SAMPLES": 2, "SEARCH.DERIVE": "most_likely", "SEARCH.TARGET_GFLOPS": 0.0002,
        "SEARCH.RETRAIN_CFG": "autox3d/demo.yaml",
    }  # fmt: skip
    tested = folder / "trained" / "checkpoints" / f"checkpoint_epoch_{epochs:05d}.pyth"
    return {
        "search": Job("autox3d/search_demo.yaml", {**common, **searching}),
        "train": Job("autox3d/demo.yaml", {**training, "TEST.ENABLE": False}),
        "test": Job("autox3d/demo.yaml", {**training, "TRAIN.ENABLE": False, "TEST.CHECKPOINT_FILE_PATH": tested}),
    }


def soak(job: Job, folder: Path, *, kills: int, seed: int) -> Soak:
    """Run `job` without kills, then again and again with, until it was killed `kills` times and got through after."""
    draw = random.Random(seed)
    _warm_up()
    begin = time.time()
    whole = folder / "whole"
    assert _run(job.command(whole), None) == 0
    seconds = time.time() - begin
    started = (whole / "config.yaml").stat().st_mtime - begin  # written when all is checked and built
    expected, differences = outcome(whole), list[str]()
    done = runs = resumed = attempt = 0
    while done < kills:
        output = folder / f"killed-{attempt}"
        code: int | None = None
        while code != 0:
            # Most of them into the work itself, which of such small jobs is the lesser part.
            earliest = started if draw.random() < 0.9 else 0.0
            delay = draw.uniform(earliest, seconds) if done < kills else None
            had_some = _has_progress(output)
            code = _run(job.command(output), delay)
            runs, done = runs + 1, done + (code == -9)
            resumed += had_some
            assert code in (0, -9), f"{output}: exit code {code}"
        differences += [f"{output.name}: {name}" for name in _different(expected, outcome(output))]
        attempt += 1
    return Soak(kills=done, runs=runs, resumed=resumed, differences=tuple(differences), seconds=seconds)


def outcome(output: Path) -> dict[str, Any]:
    """All that a finished job leaves for others to use, by name: tensors, arrays, and text without times."""
    found: dict[str, Any] = {}
    last = last_checkpoint(str(output))
    if last is not None:
        checkpoint = read_checkpoint(last)
        found |= dict(tensors({key: checkpoint[key] for key in ("model_state", "optimizer_state", "rng_states")}))
        found["step"] = Path(last).name
    for path in [*output.glob("*history.jsonl"), *output.glob("architecture.json")]:
        lines = [simplejson.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else None
        found[path.name] = path.read_text() if lines is None else [_untimed(line) for line in lines]
    if (scores := output / "test_results.npz").is_file():
        with np.load(scores) as arrays:
            found |= {f"scores.{name}": torch.from_numpy(arrays[name]) for name in arrays.files}
        found["scores.json"] = (output / "test_results.json").read_text()
    return found


def main_of_child(arguments: Sequence[str], log: str) -> None:
    """The command in its own process, with its output in a file."""
    from pytorchvideo_autox3d.cli import main

    torch.set_num_threads(1)
    multiprocessing.set_start_method(None, force=True)  # this child's own workers begin as those of a command line do
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.exit(main(arguments))


def _run(command: Sequence[str], seconds: float | None) -> int:
    """Run the command, killed after `seconds` if it is not over by then; its exit code, or -9."""
    process = FRESH.Process(target=main_of_child, args=(command, f"{command[-1]}.log"))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


def _warm_up() -> None:
    """Have the fork server import everything, which is no part of a job's time."""
    process = FRESH.Process(target=_nothing)
    process.start()
    process.join()


def _nothing() -> None:
    """Of a child that only has to begin."""


def _has_progress(output: Path) -> bool:
    return any(output.glob("checkpoints/checkpoint_*")) or any(output.glob("test_scores/part_*"))


def _untimed(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _TIMES}


def tensors(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested containers, by dotted name."""
    if isinstance(value, Mapping):
        return [leaf for key, part in value.items() for leaf in tensors(part, f"{name}.{key}")]
    if isinstance(value, list | tuple):
        return [leaf for number, part in enumerate(value) for leaf in tensors(part, f"{name}.{number}")]
    return [(name, value)]


def _different(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The names of what is not the same, bit for bit."""

    def same(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b

    missing = object()
    return [
        name for name in sorted({*expected, *found}) if not same(expected.get(name, missing), found.get(name, missing))
    ]
