"""`autox3d bench search`: what a search step costs, beside plain training and the forms it replaces.

Memory: a search step against a training step of the space's widest architecture; beside it a mixture supernet, which
evaluates all candidates (DARTS style), for one clip, as it needs tens of times as much. Time: a search step against the
plain training steps of the same K architectures, and against the two-pass form of the same gradient. Everything runs in
one process, in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from pytorchvideo_autox3d.benchmarks.memory import Case, peak_bytes
from pytorchvideo_autox3d.benchmarks.search_steps import (
    LOOP,
    NUM_CLASSES,
    ClipsWithLabels,
    favour_last,
    make_batch,
    mixture_step,
    parsec,
    train_step,
    two_pass_step,
)
from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.space import Architecture, load_space
from pytorchvideo_autox3d.supernet import Supernet, inherit


def run(
    *,
    space: str = "table2",
    clip: tuple[int, int, int] = (8, 64, 64),
    batch_size: int = 8,
    num_samples: int = 13,
    repeats: int = 5,
    device: str = "cpu",
    mixture: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure memory and time; the module's text says of what.

    Bytes are of parameters, buffers, optimiser state and the step's peak of everything else. Seconds are of the fastest
    round over all cases in turn, as other work on the machine can only slow a round down. `processor_ratio` compares
    processor time within each round, which other work changes little, and is the median over the rounds. On a CPU freed
    memory is kept, as in this package's searches. `machine` in the result describes the machine.

    Args:
        space: a named space or a yaml file.
        clip: (T, H, W).
        batch_size: clips in a step.
        num_samples: K, the architectures sampled in a step.
        repeats: timed rounds.
        device: where to run.
        mixture: measure the mixture supernet too, which needs many times more memory.
        seed: of the architectures.

    Raises:
        ModelError: the device is not there.
    """
    try:
        place = torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} can't be used: {str(error).splitlines()[0]}") from error
    if place.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(seed)
    supernet = Supernet(
        load_space(space), model_num_class=NUM_CLASSES, input_clip_length=clip[0], input_crop_size=clip[1]
    ).to(place)
    batch = make_batch(batch_size, clip, place)
    memory = _measure_memory(supernet, batch, num_samples, mixture)
    seconds, processor = _measure_time(supernet, batch, num_samples, repeats, seed)
    against = {name: "plain_one_clip" if name.endswith("one_clip") else "plain" for name in memory}
    return {
        "space": space,
        "clip": list(clip),
        "batch_size": batch_size,
        "num_samples": num_samples,
        "repeats": repeats,
        "machine": torch.cuda.get_device_name(place) if place.type == "cuda" else f"{torch.get_num_threads()} threads",
        "memory_bytes": memory,
        "memory_ratio": {name: value / memory[against[name]] for name, value in memory.items()},
        "seconds": seconds,
        "time_ratio": {name: value / seconds["plain"] for name, value in seconds.items()},
        "processor_ratio": processor,
        "speedup_over_two_pass": seconds["two_pass"] / seconds["search"],
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the figures that `run` returned, each beside the aim that it must reach."""
    t, h, w = result["clip"]
    console = Console()
    title = f"{result['space']}, {result['batch_size']} clips of {t} x {h} x {w}, K = {result['num_samples']}"
    table = Table("", "measured", "against plain", "must be", title=f"{title}, {result['machine']}")
    names = {
        "plain": ("training step of the widest architecture", ""),
        "search_widest": ("search step, all samples the widest", "<= 1.10"),
        "search": ("search step, samples of the uniform policy", "<= 1.10"),
        "plain_one_clip": ("training step of the widest architecture, one clip", ""),
        "mixture_one_clip": ("mixture supernet, all candidates, one clip", ""),
    }
    for key, (name, limit) in names.items():
        if key in result["memory_bytes"]:
            megabytes = f"{result['memory_bytes'][key] / 2**20:.0f} MiB"
            table.add_row(f"peak memory: {name}", megabytes, f"{result['memory_ratio'][key]:.2f}", limit)
    table.add_section()
    names = {
        "plain": ("plain training steps of the same K", ""),
        "search": ("search step (shared batch: alpha learns from the same passes)", "<= 1.10"),
        "held_out": ("search step with alpha's own batch (K forward passes more)", ""),
        "two_pass": ("two-pass form of the same weight gradient", ""),
    }
    for key, (name, limit) in names.items():
        table.add_row(f"time: {name}", f"{result['seconds'][key]:.3f} s", f"{result['time_ratio'][key]:.2f}", limit)
    ratios = result["processor_ratio"]
    for key, (name, limit) in names.items():
        table.add_row(f"processor time: {name}", "", f"{ratios[key]:.2f}", limit)
    table.add_row("time: two-pass form over search step", "", f"{result['speedup_over_two_pass']:.2f}", ">= 1.20")
    console.print(table)


def _measure_memory(supernet: Supernet, batch: ClipsWithLabels, num_samples: int, mixture: bool) -> dict[str, int]:
    """Peak bytes by case; every optimiser has taken a step before, so that its state is there."""
    plain = inherit(supernet, Architecture.widest(supernet.space, with_attention=True)).train()
    optimizer = torch.optim.SGD(plain.parameters(), lr=1e-3, momentum=0.9)
    cases = {"plain": Case(lambda: train_step(plain, optimizer, batch), [plain], [optimizer])}
    for name, logit in (("search_widest", 100.0), ("search", 0.0)):
        step = parsec(supernet, num_samples)
        favour_last(step.policy, logit)
        cases[name] = Case(lambda step=step: step.weight_step([batch], LOOP), [supernet], [step.optimizer])  # type: ignore[misc]
    if mixture:
        mixed = parsec(supernet, num_samples).optimizer
        one = ClipsWithLabels(*(getattr(batch, field.name)[:1] for field in fields(batch)))
        cases["plain_one_clip"] = Case(lambda: train_step(plain, optimizer, one), [plain], [optimizer])
        cases["mixture_one_clip"] = Case(lambda: mixture_step(supernet, mixed, one), [supernet], [mixed])
    return {name: peak_bytes(case, batch.clip_BCTHW.device) for name, case in cases.items()}


def _measure_time(
    supernet: Supernet, batch: ClipsWithLabels, num_samples: int, repeats: int, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of the fastest round, and processor time over the plain steps', by case; all use the same K."""
    step = parsec(supernet, num_samples)

    def restart() -> None:
        step.generator.manual_seed(seed)

    restart()
    architectures = step.policy.architectures(step.policy.sample_indices(num_samples, step.generator))
    nets = [inherit(supernet, architecture).train() for architecture in architectures]
    optimizers = [torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9) for net in nets]

    def plain() -> None:
        for net, optimizer in zip(nets, optimizers, strict=True):
            train_step(net, optimizer, batch)

    def search() -> None:
        step.update_policy(step.weight_step([batch], LOOP)[0], LOOP)

    def held_out() -> None:
        step.policy_step([batch], LOOP)
        restart()
        step.weight_step([batch], LOOP)

    cases: dict[str, Callable[[], None]] = {
        "plain": plain,
        "search": search,
        "held_out": held_out,
        "two_pass": lambda: two_pass_step(supernet, step.optimizer, architectures, batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    processor: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(repeats + 1):
        for name, case in cases.items():
            restart()
            with torch.no_grad():
                step.policy.alpha.zero_()
            elapsed, of_processor = _timed(case, batch.clip_BCTHW.device)
            if number > 0:  # the first round compiles kernels and fills caches
                seconds[name].append(elapsed)
                processor[name].append(of_processor)
    ratios = {
        name: statistics.median(ours / plains for ours, plains in zip(values, processor["plain"], strict=True))
        for name, values in processor.items()
    }
    return {name: min(values) for name, values in seconds.items()}, ratios


def _timed(case: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds, and processor seconds of all threads."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start, processor = time.perf_counter(), time.process_time()
    case()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, time.process_time() - processor
