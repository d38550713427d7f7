"""`autox3d bench step`: whole training steps with this package's kernels, against the same network as torch runs it.

A step is forward, loss, backward and an SGD update. The candidates are the network as it comes (contiguous memory,
torch's operators), in channels_last_3d, compiled by torch.compile if asked for, on the kernels, and on the kernels with
activations computed again instead of kept. They run in turn, round after round; figures are medians. On a CPU freed
memory is kept, as in this package's training.

The limit of a step is the time of its multiply-adds (forward and both gradients, three times the forward's) at the
machine's rate of a large matrix product, plus that of its activations: the outputs of convolutions and of batch norms,
each written and read once in the forward pass and once, as gradients, in the backward pass, at the bandwidth of a copy.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.benchmarks.depthwise_shapes import build_model
from pytorchvideo_autox3d.benchmarks.machine_rates import copy_rate, multiply_add_rate
from pytorchvideo_autox3d.benchmarks.memory import peak_of_step
from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.kernels import accelerate, batch_norm_kernels, depthwise_kernels, recompute_activations

BATCHES = {"x3d_s": 4, "x3d_m": 2, "autox3d_s": 4, "slowfast_4x16_r50": 2, "demo": 32}
_OTHER_BATCH = 2
_PROFILED_STEPS = 3
_OPERATORS_SHOWN = 12
AS_IT_COMES, LAST, COMPILED, KERNELS = "as it comes", "channels_last_3d", "torch.compile", "kernels"
RECOMPUTING = "kernels, recomputing"


@dataclass(frozen=True)
class _Candidate:
    """One way to train a network."""

    model: nn.Module
    step: Callable[[], object]
    kernels: bool
    recomputes: bool
    device: str

    def timed(self) -> tuple[float, float]:
        """Seconds of a step, and CPU seconds of all its threads, which other work on the machine affects little."""
        with (
            depthwise_kernels(self.kernels),
            batch_norm_kernels(self.kernels),
            recompute_activations(self.recomputes),
        ):
            start, processor = time.perf_counter(), time.process_time()
            self.step()
            if self.device == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - start, time.process_time() - processor


def run(
    models: Sequence[str] = ("x3d_s", "demo"),
    *,
    batch: int | None = None,
    device: str = "cpu",
    repeats: int = 5,
    compiled: bool = False,
    profiled: bool = False,
) -> dict[str, Any]:
    """Time a training step of each model, and measure its peak memory.

    Args:
        models: names in the hub, or "demo".
        batch: clips in a step; by default the model's in `BATCHES`.
        device: "cpu" or "cuda".
        repeats: rounds over the candidates, after one that is not timed.
        compiled: time torch.compile as well, which takes minutes for each model.
        profiled: rows also have the milliseconds of each operator in a step.
    Returns:
        The machine's measured rates and a row for each model: milliseconds, peak bytes and share of the limit by
        candidate, and the kernels' gains; plain data.
    Raises:
        ModelError: no such model; said before any is timed.
    """
    for name in models:
        with torch.device("meta"):
            build_model(name)
    if device == "cpu":
        keep_freed_memory()
    rates = {"copy_bytes_per_second": copy_rate(device), "multiply_adds_per_second": multiply_add_rate(device)}
    rows = []
    for name in models:
        size = batch or BATCHES.get(name, _OTHER_BATCH)
        rows.append({"model": name, "batch": size, **_row(name, size, rates, device, repeats, compiled, profiled)})
    return {"device": device, "threads": torch.get_num_threads(), "repeats": repeats, **rates, "rows": rows}


def _row(
    name: str, batch: int, rates: dict[str, float], device: str, repeats: int, compiled: bool, profiled: bool
) -> dict[str, Any]:
    names = [AS_IT_COMES, LAST, *([COMPILED] if compiled else []), KERNELS, RECOMPUTING]
    candidates = {kind: _candidate(name, batch, kind, device) for kind in names}
    times: dict[str, list[float]] = {kind: [] for kind in names}
    processor: dict[str, list[float]] = {kind: [] for kind in names}
    for number in range(repeats + 1):
        for kind, candidate in candidates.items():
            seconds, of_processor = candidate.timed()
            if number > 0:  # the first round compiles kernels and fills caches
                times[kind].append(1e3 * seconds)
                processor[kind].append(1e3 * of_processor)
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    peaks = {
        kind: peak_of_step(candidate.timed, [candidate.model], torch.device(device))
        for kind, candidate in candidates.items()
    }
    limit = 1e3 * _limit(name, batch, rates)
    row: dict[str, Any] = {
        "milliseconds": medians,
        "fastest": {kind: min(values) for kind, values in times.items()},
        "processor_milliseconds": {kind: statistics.median(values) for kind, values in processor.items()},
        "peak_bytes": peaks,
        "limit_milliseconds": limit,
        "share_of_limit": {kind: limit / value for kind, value in medians.items()},
        "gain": {kind: value / medians[KERNELS] for kind, value in medians.items()},
        "memory_ratio": {kind: peaks[KERNELS] / value for kind, value in peaks.items()},
    }
    if profiled:
        row["profile"] = {kind: _profile(candidate, device) for kind, candidate in candidates.items()}
    return row


def _candidate(name: str, batch: int, kind: str, device: str) -> _Candidate:
    torch.manual_seed(0)
    model, clip_size = build_model(name)
    if kind in (KERNELS, RECOMPUTING):
        accelerate(model)  # as training does; X3D and AutoX3D are built on the kernels
    layout = torch.contiguous_format if kind == AS_IT_COMES else torch.channels_last_3d
    model = model.to(device).to(memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    clip_BCTHW = torch.randn(batch, 3, *clip_size).to(device, memory_format=layout)
    label_B = torch.arange(batch, device=device) % 5
    forward: Any = torch.compile(model) if kind == COMPILED else model

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(forward(clip_BCTHW), label_B).backward()
        optimizer.step()

    return _Candidate(model, step, kind in (KERNELS, RECOMPUTING), kind == RECOMPUTING, device)


def _limit(name: str, batch: int, rates: dict[str, float]) -> float:
    """The least seconds that a step can take; see the module's text. Nothing is computed."""
    values = 0

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal values
        values += output.numel()

    with torch.device("meta"):
        model, clip_size = build_model(name)
        macs = count_module(model, clip_size).macs
        for module in model.modules():
            if isinstance(module, nn.Conv3d | nn.BatchNorm3d):
                module.register_forward_hook(note)
        model.train()(torch.empty(batch, 3, *clip_size))
    bytes_moved = 4 * values * torch.float32.itemsize
    return 3 * batch * macs / rates["multiply_adds_per_second"] + bytes_moved / rates["copy_bytes_per_second"]


def _profile(candidate: _Candidate, device: str) -> dict[str, float]:
    """The milliseconds in a step that each operator takes by itself, the most expensive first."""
    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with profile(activities=activities) as profiler:
        for _ in range(_PROFILED_STEPS):
            candidate.timed()
    field = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    times = {event.key: getattr(event, field) / 1e3 / _PROFILED_STEPS for event in profiler.key_averages()}
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def print_table(result: dict[str, Any]) -> None:
    """Print what `run` returned."""
    console = Console()
    for row in result["rows"]:
        title = f"{row['model']}, {row['batch']} clips, limit {row['limit_milliseconds']:.0f} ms"
        headings = ("", "ms", "kernels' gain", "share of the limit", "processor, ms", "peak, MB")
        table = Table(*headings, title=title, box=box.SIMPLE_HEAD)
        for kind, milliseconds in row["milliseconds"].items():
            cells = (f"{milliseconds:.0f}", f"{row['gain'][kind]:.2f}", f"{row['share_of_limit'][kind]:.0%}")
            processor = f"{row['processor_milliseconds'][kind]:.0f}"
            table.add_row(kind, *cells, processor, f"{row['peak_bytes'][kind] / 1e6:.0f}")
        console.print(table)
        if "profile" in row:
            console.print(_profile_table(row))
    console.print(
        f"Medians of {result['repeats']} rounds in turn, {result['threads']} threads, {result['device']}, float32. "
        f"Limit: three times the forward's multiply-adds at {result['multiply_adds_per_second'] / 1e9:.0f} G/s, and "
        "the outputs of convolutions and norms written and read once forward and once backward at "
        f"{result['copy_bytes_per_second'] / 1e9:.1f} GB/s. Peak: what a step holds beside weights and optimiser."
    )


def _profile_table(row: dict[str, Any]) -> Table:
    """A table of the operators that take most of the time in channels_last_3d, beside their time with the kernels."""
    table = Table(f"{row['model']}: operator, ms a step", LAST, KERNELS, box=box.SIMPLE_HEAD)
    before, after = (row["profile"][kind] for kind in (LAST, KERNELS))
    shown = {**dict(list(before.items())[:_OPERATORS_SHOWN]), **dict(list(after.items())[:_OPERATORS_SHOWN])}
    for operator in shown:
        cells = [f"{times[operator]:.0f}" if operator in times else "-" for times in (before, after)]
        table.add_row(operator, *cells)
    table.add_row("all", *(f"{sum(times.values()):.0f}" for times in (before, after)))
    return table
