"""What a training or a search costs on N processes: predicted from one process and a link, and checked on real ones.

A step of N processes takes what it takes one, then a ring's exchange of the gradients, 2 (N - 1) / N of their bytes
over the link, and the small messages (the losses of a search's samples, the logged means), each of a link's latency.
The exchange is not hidden behind the backward pass: a search has none to hide it behind, a training does better.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.benchmarks.search_steps import LOOP, NUM_CLASSES, make_batch, parsec, train_step
from pytorchvideo_autox3d.engine import distribute
from pytorchvideo_autox3d.models import create_autox3d, reference_architecture
from pytorchvideo_autox3d.space import load_space
from pytorchvideo_autox3d.supernet import Supernet

KINDS = ("train", "search")
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a process does at once.

    Attributes:
        kind: "train", of AutoX3D-S, or "search", over the Table 2 space.
        clip: T, H, W.
        batch: clips a process.
        samples: K of a search.
    """

    kind: str = "train"
    clip: tuple[int, int, int] = (13, 160, 160)
    batch: int = 8
    samples: int = 13

    @property
    def messages(self) -> int:
        """Small ones a step: the logged means, and each sample's loss."""
        return 1 + (self.samples if self.kind == "search" else 0)


@dataclass(frozen=True)
class Link:
    """Between two processes: bytes a second, and seconds that a small message takes."""

    bytes_per_second: float
    latency: float


@dataclass(frozen=True)
class Measured:
    """A step of one process: seconds, and the bytes of its gradients."""

    seconds: float
    gradient_bytes: int


@dataclass(frozen=True)
class Row:
    """A job of N processes: a step, the share of it that computes, the days of all epochs."""

    processes: int
    step_seconds: float
    efficiency: float
    days: float


def predict(measured: Measured, step: Step, link: Link, processes: int) -> float:
    """Seconds of a step of `processes`."""
    if processes == 1:
        return measured.seconds
    ring = 2 * (processes - 1) / processes * measured.gradient_bytes / link.bytes_per_second
    return measured.seconds + ring + step.messages * link.latency


def plan(
    measured: Measured, step: Step, link: Link, *, processes: Sequence[int], videos: int, epochs: int
) -> list[Row]:
    """A row for each number of processes; each process keeps its batch, so that a step learns from more clips."""
    rows = []
    for number in processes:
        seconds = predict(measured, step, link, number)
        steps = max(1, videos // (step.batch * number)) * epochs
        rows.append(Row(number, seconds, measured.seconds / seconds, steps * seconds / _SECONDS_A_DAY))
    return rows


def measure(step: Step, *, repeats: int = 5, device: str = "cpu") -> Measured:
    """Run `repeats` steps on random clips in this process, or in each of a group; the median after one to warm up."""
    place = torch.device(device)
    run, parameters = _prepared(step, place)
    run()
    return Measured(statistics.median(_timed(run, place) for _ in range(repeats)), _bytes(parameters))


def with_seconds(step: Step, seconds: float) -> Measured:
    """A step whose seconds are known, from another machine say."""
    return Measured(seconds, _bytes(_prepared(step, torch.device("cpu"))[1]))


def check(step: Step, processes: int, *, repeats: int = 5) -> tuple[float, float]:
    """Predicted and measured seconds of a step of so many CPU processes of one thread on this machine.

    The link is measured by the same processes, each for itself the step of one. Where there are more processes than
    cores they take turns, which the prediction multiplies the computing by.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = measure(step, repeats=repeats)
    finally:
        torch.set_num_threads(threads)
    if processes == 1:
        return alone.seconds, alone.seconds
    found, link = distributed.launch(
        _measured_together, step, alone.gradient_bytes, repeats, num_processes=processes, backend="gloo"
    )
    turns = max(1.0, processes / len(os.sched_getaffinity(0)))
    return predict(Measured(alone.seconds * turns, alone.gradient_bytes), step, link, processes), found


def _measured_together(step: Step, gradient_bytes: int, repeats: int) -> tuple[float, Link]:
    """In each process of a group: seconds of a step of all, and the link by exchanges alone."""
    torch.set_num_threads(1)
    found = measure(step, repeats=repeats).seconds
    slowest = max(distributed.all_gather_objects(found))
    number, gradients, small = distributed.world_size(), torch.zeros(gradient_bytes // 4), torch.zeros(1)
    cpu = torch.device("cpu")
    whole = statistics.median(_timed(lambda: distributed.all_reduce_mean(gradients), cpu) for _ in range(repeats))
    latency = statistics.median(_timed(lambda: distributed.all_reduce_mean(small), cpu) for _ in range(10 * repeats))
    speed = 2 * (number - 1) / number * gradient_bytes / max(whole - latency, 1e-9)
    return slowest, Link(speed, latency)


def _prepared(step: Step, place: torch.device) -> tuple[Callable[[], object], list[torch.nn.Parameter]]:
    """A step to be called, and the parameters whose gradients it exchanges."""
    frames, crop, _ = step.clip
    options: dict[str, Any] = {"model_num_class": NUM_CLASSES, "input_clip_length": frames, "input_crop_size": crop}
    torch.manual_seed(0)
    batch = make_batch(step.batch, step.clip, place)
    layout = torch.channels_last_3d
    if step.kind == "search":
        supernet = Supernet(load_space("table2"), **options).to(place).to(memory_format=layout)
        searching = parsec(supernet, step.samples)
        return lambda: searching.weight_step([batch], LOOP), list(supernet.parameters())
    network = create_autox3d(reference_architecture("S"), **options).to(place).to(memory_format=layout).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    model = distribute(network, place)
    return lambda: train_step(model, optimizer, batch), list(network.parameters())


def _bytes(parameters: Sequence[torch.nn.Parameter]) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def _timed(run: Callable[[], object], place: torch.device) -> float:
    begin = time.perf_counter()
    run()
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return time.perf_counter() - begin
