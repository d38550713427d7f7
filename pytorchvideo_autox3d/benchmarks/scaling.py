"""What a training or a search costs on N processes: predicted from one process and a link, and checked on real ones.

A step of N processes takes as long as a step of one, plus the exchange of the gradients in a ring, which sends
2 (N - 1) / N of their bytes over the link, plus the small messages (the losses of a search's samples, the logged
means), each of which takes the link's latency. The exchange is counted as following the backward pass. In a search it
does; in a training it overlaps with it, so that a training is faster than predicted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.benchmarks.search_steps import LOOP, NUM_CLASSES, make_batch, parsec, train_step
from pytorchvideo_autox3d.engine import distribute
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import REFERENCE_MODELS, ClipNet, check_attentions, create_autox3d, find_architecture
from pytorchvideo_autox3d.models.hub import HUB
from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from pytorchvideo_autox3d.space import load_space
from pytorchvideo_autox3d.supernet import Supernet

_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Step:
    """The work of one step on one process.

    Attributes:
        kind: "train" or "search".
        network: makes what learns, with at least as many classes as `classes`: a network for a training, a supernet for
            a search. Other processes are given it, so it is a module's function or a partial of one.
        classes: of the labels.
        clip: (T, H, W).
        batch: clips of each process.
        samples: K, the samples of a search's step.
    """

    kind: str = "train"
    network: Callable[[], nn.Module]
    classes: int = NUM_CLASSES
    clip: tuple[int, int, int] = (13, 160, 160)
    batch: int = 8
    samples: int = 13

    @property
    def messages(self) -> int:
        """The small messages of a step: the counts of clips, the logged means, and each sample's loss in a search."""
        return 2 + (self.samples if self.kind == "search" else 0)


def named_network(name: str, clip: tuple[int, int, int]) -> ClipNet:
    """A network by its name: S, M, L or an architecture's JSON; or a name of the hub or the MODEL registry.

    Args:
        name: see above.
        clip: (T, H, W) that it is made for.

    Raises:
        AutoX3DError: there is none of that name.
    """
    options: dict[str, Any] = {"input_clip_length": clip[0], "input_crop_size": clip[1]}
    if name in HUB:
        return HUB[name].build(num_classes=NUM_CLASSES, **options)
    if name in MODEL_REGISTRY:
        network: ClipNet = MODEL_REGISTRY.get(name)(model_num_class=NUM_CLASSES, **options)
        return network
    if name in REFERENCE_MODELS or name.endswith(".json"):
        return create_autox3d(find_architecture(name), model_num_class=NUM_CLASSES, **options)
    known = [*REFERENCE_MODELS, *HUB, *(key for key, _ in MODEL_REGISTRY)]
    raise ModelError(f"no model {name!r}: it is no architecture's JSON and none of {', '.join(known)}")


def named_supernet(space: str, clip: tuple[int, int, int]) -> Supernet:
    """The supernet of a named space or a yaml file.

    Raises:
        SpaceError: there is no such space.
    """
    chosen = load_space(space)
    check_attentions(chosen, source=space)
    return Supernet(chosen, model_num_class=NUM_CLASSES, input_clip_length=clip[0], input_crop_size=clip[1])


@dataclass(frozen=True)
class Link:
    """The connection between two processes: bytes a second, and the seconds that a small message takes."""

    bytes_per_second: float
    latency: float


@dataclass(frozen=True)
class Measured:
    """A step of one process: its seconds, and the bytes of its gradients."""

    seconds: float
    gradient_bytes: int


@dataclass(frozen=True)
class Row:
    """A job of several processes: seconds of a step, the share of it spent computing, and the days of all epochs."""

    processes: int
    step_seconds: float
    efficiency: float
    days: float


def predict(measured: Measured, step: Step, link: Link, processes: int) -> float:
    """The predicted seconds of a step of `processes` processes; see the module's text."""
    if processes == 1:
        return measured.seconds
    ring = 2 * (processes - 1) / processes * measured.gradient_bytes / link.bytes_per_second
    return measured.seconds + ring + step.messages * link.latency


def plan(
    measured: Measured, step: Step, link: Link, *, processes: Sequence[int], videos: int, epochs: int
) -> list[Row]:
    """Predict a whole job for several numbers of processes.

    Each process keeps its batch, so that with more processes a step learns from more clips.

    Args:
        measured, step, link: as in `predict`.
        processes: the numbers of processes.
        videos: of the training list.
        epochs: of the job.
    """
    rows = []
    for number in processes:
        seconds = predict(measured, step, link, number)
        steps = max(1, videos // (step.batch * number)) * epochs
        rows.append(Row(number, seconds, measured.seconds / seconds, steps * seconds / _SECONDS_A_DAY))
    return rows


def measure(step: Step, *, repeats: int = 5, device: str = "cpu") -> Measured:
    """Time steps on random clips in this process, or in each process of a group.

    Args:
        step: the work.
        repeats: timed steps, after one that is not timed; the seconds are their median.
        device: where to run.
    """
    place = torch.device(device)
    run, parameters = _prepared(step, place)
    run()
    return Measured(statistics.median(_timed(run, place) for _ in range(repeats)), _bytes(parameters))


def with_seconds(step: Step, seconds: float) -> Measured:
    """A step whose seconds are known already, for instance from another machine."""
    return Measured(seconds, _bytes(_prepared(step, torch.device("cpu"))[1]))


def check(step: Step, processes: int, *, repeats: int = 5) -> tuple[float, float]:
    """Predicted and measured seconds of a step of several CPU processes, of one thread each, on this machine.

    The same processes measure the link, and then their step without any exchange, all at the same time: on one machine
    they share cores and memory, which processes with a GPU each do not, and which is no part of the prediction.
    """
    if processes > 1:
        alone, link, found = distributed.launch(
            _measured_together, step, repeats, num_processes=processes, backend="gloo"
        )
        return predict(alone, step, link, processes), found
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = measure(step, repeats=repeats).seconds
    finally:
        torch.set_num_threads(threads)
    return found, found


def _measured_together(step: Step, repeats: int) -> tuple[Measured, Link, float]:
    """In each process of a group: a step without exchange, the link by exchanges alone, the seconds of a real step."""
    torch.set_num_threads(1)
    together = measure(step, repeats=repeats)
    slowest = max(distributed.all_gather_objects(together.seconds))
    number, gradients, small = distributed.world_size(), torch.zeros(together.gradient_bytes // 4), torch.zeros(1)
    cpu = torch.device("cpu")
    whole = statistics.median(_timed(lambda: distributed.all_reduce_mean(gradients), cpu) for _ in range(repeats))
    latency = statistics.median(_timed(lambda: distributed.all_reduce_mean(small), cpu) for _ in range(10 * repeats))
    speed = 2 * (number - 1) / number * together.gradient_bytes / max(whole - latency, 1e-9)
    distributed.barrier()
    distributed.shutdown()
    return measure(step, repeats=repeats), Link(speed, latency), slowest


def _prepared(step: Step, place: torch.device) -> tuple[Callable[[], object], list[torch.nn.Parameter]]:
    """A step to be called, and the parameters whose gradients it exchanges."""
    torch.manual_seed(0)
    network = step.network().to(place).to(memory_format=torch.channels_last_3d).train()
    channels = getattr(network, "in_channels", 3)
    batch = make_batch(step.batch, step.clip, place, channels=channels, classes=step.classes)
    if isinstance(network, Supernet):
        searching = parsec(network, step.samples)
        return lambda: searching.weight_step([batch], LOOP), list(network.parameters())
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
