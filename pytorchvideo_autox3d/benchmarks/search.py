"""`autox3d bench search`: what a search step costs, beside plain training and the forms it replaces.

Memory: a search step against a training step of the space's widest architecture; beside it a mixture supernet, which
evaluates all candidates (DARTS style), for one clip, as it needs tens of times as much. Time: a search step against the
plain training steps of the same K architectures, and against the two-pass form of the same gradient. Everything runs in
one process, in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, cast

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo_autox3d.benchmarks.memory import peak_of_step, state_bytes
from pytorchvideo_autox3d.engine import Runtime, TrainLoop
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.search import Budgets, ParsecSearch, Policy, SearchSettings, cost_table
from pytorchvideo_autox3d.search.parsec import importance_weights
from pytorchvideo_autox3d.space import Architecture, GroupChoice, load_space
from pytorchvideo_autox3d.supernet import Supernet, inherit
from pytorchvideo_autox3d.supernet.blocks import ElasticGroup

_NUM_CLASSES = 200  # Mini-Kinetics-200 (paper, section 5.1.1)
_LOOP = cast(TrainLoop, SimpleNamespace(epoch=0, step_in_epoch=0, steps_per_epoch=1))


@dataclass(frozen=True)
class _Batch:
    clip_BCTHW: Tensor
    label_B: Tensor
    video_B: Tensor
    view_B: Tensor


@dataclass(frozen=True)
class Case:
    """One thing to measure: a step, and the modules and optimisers whose memory is its own."""

    step: Callable[[], object]
    modules: Sequence[nn.Module]
    optimizers: Sequence[torch.optim.Optimizer]


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
    """Measure; see the module's text. `mixture` False leaves out the mixture supernet, which needs many times more.

    Bytes are of parameters, buffers, optimiser state and the step's peak of everything else. Seconds are the fastest of
    `repeats` rounds over all cases in turn: other work on the machine can only slow a round down. `machine` says on
    what.

    Raises:
        ModelError: the device is not there.
    """
    try:
        place = torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} can't be used: {str(error).splitlines()[0]}") from error
    torch.manual_seed(seed)
    supernet = Supernet(
        load_space(space), model_num_class=_NUM_CLASSES, input_clip_length=clip[0], input_crop_size=clip[1]
    ).to(place)
    batch = _make_batch(batch_size, clip, place)
    memory = _measure_memory(supernet, batch, num_samples, mixture)
    seconds = _measure_time(supernet, batch, num_samples, repeats, seed)
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
        "speedup_over_two_pass": seconds["two_pass"] / seconds["search"],
    }


def print_table(result: dict[str, Any]) -> None:
    """The figures of `run`, each beside what it must reach."""
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
    table.add_row("time: two-pass form over search step", "", f"{result['speedup_over_two_pass']:.2f}", ">= 1.20")
    console.print(table)


def _measure_memory(supernet: Supernet, batch: _Batch, num_samples: int, mixture: bool) -> dict[str, int]:
    """Peak bytes by case; every optimiser has taken a step before, so that its state is there."""
    plain = inherit(supernet, Architecture.widest(supernet.space, with_attention=True)).train()
    optimizer = torch.optim.SGD(plain.parameters(), lr=1e-3, momentum=0.9)
    cases = {"plain": Case(lambda: _train_step(plain, optimizer, batch), [plain], [optimizer])}
    for name, logit in (("search_widest", 100.0), ("search", 0.0)):
        step = _parsec(supernet, num_samples)
        _favour_last(step.policy, logit)
        cases[name] = Case(lambda step=step: step.weight_step([batch], _LOOP), [supernet], [step.optimizer])  # type: ignore[misc]
    if mixture:
        mixed = _parsec(supernet, num_samples).optimizer
        one = _Batch(*(getattr(batch, field.name)[:1] for field in fields(batch)))
        cases["plain_one_clip"] = Case(lambda: _train_step(plain, optimizer, one), [plain], [optimizer])
        cases["mixture_one_clip"] = Case(lambda: _mixture_step(supernet, mixed, one), [supernet], [mixed])
    return {name: peak_bytes(case, batch.clip_BCTHW.device) for name, case in cases.items()}


def _measure_time(supernet: Supernet, batch: _Batch, num_samples: int, repeats: int, seed: int) -> dict[str, float]:
    """Seconds of the fastest round by case; all of them use the same K architectures."""
    step = _parsec(supernet, num_samples)

    def restart() -> None:
        step.generator.manual_seed(seed)

    restart()
    architectures = step.policy.architectures(step.policy.sample_indices(num_samples, step.generator))
    nets = [inherit(supernet, architecture).train() for architecture in architectures]
    optimizers = [torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9) for net in nets]

    def plain() -> None:
        for net, optimizer in zip(nets, optimizers, strict=True):
            _train_step(net, optimizer, batch)

    def search() -> None:
        step._update_policy(step.weight_step([batch], _LOOP)[0])

    def held_out() -> None:
        step.policy_step([batch], _LOOP)
        restart()
        step.weight_step([batch], _LOOP)

    cases: dict[str, Callable[[], None]] = {
        "plain": plain,
        "search": search,
        "held_out": held_out,
        "two_pass": lambda: _two_pass_step(supernet, step.optimizer, architectures, batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(repeats + 1):
        for name, case in cases.items():
            restart()
            with torch.no_grad():
                step.policy.alpha.zero_()
            elapsed = _timed(case, batch.clip_BCTHW.device)
            if number > 0:  # the first round compiles kernels and fills caches
                seconds[name].append(elapsed)
    return {name: min(values) for name, values in seconds.items()}


def _make_batch(size: int, clip: tuple[int, int, int], device: torch.device) -> _Batch:
    clips = torch.randn(size, 3, *clip, device=device).contiguous(memory_format=torch.channels_last_3d)
    number = torch.arange(size, device=device)
    return _Batch(clips, number % _NUM_CLASSES, number, torch.zeros_like(number))


def _parsec(supernet: Supernet, num_samples: int) -> ParsecSearch:
    policy = Policy(space=supernet.space)
    # Rates so small that the steps measured do not change what they measure.
    return ParsecSearch(
        supernet.train(),
        policy,
        optimizer=torch.optim.SGD(supernet.parameters(), lr=1e-3, momentum=0.9),
        policy_optimizer=torch.optim.Adam(policy.parameters(), lr=1e-6),
        budgets=Budgets(cost_table(supernet)),
        settings=SearchSettings(num_samples=num_samples, shared=True),
        runtime=Runtime(device=next(supernet.parameters()).device, preprocess=lambda clip: clip),
    )


def _favour_last(policy: Policy, logit: float) -> None:
    """Put `logit` on the last candidate of every decision: the widest one."""
    with torch.no_grad():
        policy.alpha.zero_()
        policy.alpha[torch.tensor(policy.sizes).cumsum(0) - 1] = logit


def _train_step(net: nn.Module, optimizer: torch.optim.Optimizer, batch: _Batch) -> None:
    optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(net(batch.clip_BCTHW), batch.label_B).backward()
    optimizer.step()


def _two_pass_step(
    supernet: Supernet, optimizer: torch.optim.Optimizer, architectures: Sequence[Architecture], batch: _Batch
) -> None:
    """The importance weights from a first pass over all samples, the gradients from a second."""
    with torch.no_grad():
        losses = [F.cross_entropy(supernet(batch.clip_BCTHW, one), batch.label_B) for one in architectures]
    weights = importance_weights(-torch.stack(losses)).tolist()
    optimizer.zero_grad(set_to_none=True)
    for architecture, weight in zip(architectures, weights, strict=True):
        loss = F.cross_entropy(supernet(batch.clip_BCTHW, architecture), batch.label_B)
        (weight * loss).backward()
    optimizer.step()


def _mixture_step(supernet: Supernet, optimizer: torch.optim.Optimizer, batch: _Batch) -> None:
    """All candidates at once, equally weighted: every kernel, expansion and attention on the widest channels.

    Channel counts cost a mixture no memory when they are masks of the widest output (as in FBNetV2), so they are
    left out: the figure is a mixture's least.
    """
    optimizer.zero_grad(set_to_none=True)
    features = supernet.stem(batch.clip_BCTHW)
    for group, spec in zip(supernet.groups, supernet.space.groups, strict=True):
        assert isinstance(group, ElasticGroup)
        out = group.windows[max(spec.channels)]
        inp = group.entering[features.shape[1]]
        choices = [GroupChoice(kernel, len(out), expansion) for kernel in spec.kernels for expansion in spec.expansions]
        for block in group.blocks:
            features = sum(block(features, choice, inp, out) for choice in choices) / len(choices)
            inp = out
        features = sum(attention(features, out) for attention in group.attentions.values()) / len(spec.attentions)
    conv = supernet.head_conv
    window = supernet.leaving[features.shape[1]]
    logits = supernet.head(F.conv3d(features, conv.weight[:, list(window)]))
    F.cross_entropy(logits, batch.label_B).backward()
    optimizer.step()


def peak_bytes(case: Case, device: torch.device) -> int:
    """Bytes of the case's own state and of all that a step holds beside it at its peak."""
    case.step()
    return state_bytes(case.modules, case.optimizers) + peak_of_step(case.step, case.modules, device)


def _timed(case: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    case()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
