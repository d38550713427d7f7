"""`autox3d bench step`: a whole training step with the depthwise kernels, against the model as it comes.

X3D-S (batch 4, 13 x 160^2) and the demonstration's small X3D (batch 32, 8 x 32^2), built by pytorchvideo: as it
comes, in channels_last_3d, and accelerated. A step is forward, loss, backward and an SGD update; the candidates run
in turn, round after round, and figures are medians. On a CPU freed memory is kept, as in this package's training.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pytorchvideo.models.x3d import create_x3d
from rich import box
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels import accelerate


@dataclass(frozen=True)
class Case:
    """A model of pytorchvideo's and the clips it trains on."""

    batch_size: int
    frames: int
    size: int
    depth_factor: float


CASES = {"x3d_s": Case(4, 13, 160, 2.2), "demo": Case(32, 8, 32, 1.0)}
_PROFILED_STEPS = 3
_OPERATORS_SHOWN = 12
CANDIDATES = ("as it comes", "channels_last_3d", "accelerated")


def run(
    cases: Sequence[str] = ("x3d_s", "demo"), *, device: str = "cpu", repeats: int = 5, profiled: bool = False
) -> list[dict[str, Any]]:
    """Time a training step of each case; one row each, times in milliseconds and gains over the model as it comes.

    With `profiled`, a row also has where the time goes: milliseconds a step by operator.

    Raises:
        ModelError: no such case.
    """
    if device == "cpu":
        keep_freed_memory()
    rows = []
    for name in cases:
        if name not in CASES:
            raise ModelError(f"no training step {name!r} to time; there are {', '.join(CASES)}")
        steps = {candidate: _step(CASES[name], candidate, device) for candidate in CANDIDATES}
        times: dict[str, list[float]] = {candidate: [] for candidate in CANDIDATES}
        for step in steps.values():
            step()
        for _ in range(repeats):
            for candidate, step in steps.items():
                times[candidate].append(step())
        medians = {candidate: 1e3 * statistics.median(seconds) for candidate, seconds in times.items()}
        gains = {candidate: medians["as it comes"] / value for candidate, value in medians.items()}
        row = {
            "case": name,
            "milliseconds": medians,
            "gain": gains,
            "threads": torch.get_num_threads(),
            "device": device,
            "repeats": repeats,
        }
        if profiled:
            row["profile"] = {candidate: _profile(step, device) for candidate, step in steps.items()}
        rows.append(row)
    return rows


def _profile(step: Callable[[], float], device: str) -> dict[str, float]:
    """Milliseconds a step that each operator takes itself, the dearest first."""
    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with profile(activities=activities) as profiler:
        for _ in range(_PROFILED_STEPS):
            step()
    field = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    times = {event.key: getattr(event, field) / 1e3 / _PROFILED_STEPS for event in profiler.key_averages()}
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def _step(case: Case, candidate: str, device: str) -> Callable[[], float]:
    torch.manual_seed(0)
    model = create_x3d(
        input_clip_length=case.frames, input_crop_size=case.size, depth_factor=case.depth_factor, model_num_class=400
    )
    layout = torch.contiguous_format if candidate == "as it comes" else torch.channels_last_3d
    if candidate == "accelerated":
        accelerate(model)
    model = model.to(device, memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    clip = torch.randn(case.batch_size, 3, case.frames, case.size, case.size).to(device, memory_format=layout)
    labels = torch.arange(case.batch_size, device=device)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(clip), labels).backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print what `run` returned."""
    table = Table("training step", *(f"{name}, ms" for name in CANDIDATES), "gain", box=box.SIMPLE_HEAD)
    for row in rows:
        times = [f"{row['milliseconds'][name]:.0f}" for name in CANDIDATES]
        table.add_row(row["case"], *times, f"{row['gain']['accelerated']:.1f}")
    console = Console()
    console.print(table)
    if rows:
        console.print(
            f"Medians of {rows[0]['repeats']} rounds in turn, {rows[0]['threads']} threads, {rows[0]['device']}; "
            "pytorchvideo's X3D. Gain: accelerated over the model as it comes."
        )
    for row in rows:
        if "profile" in row:
            console.print(_profile_table(row))


def _profile_table(row: dict[str, Any]) -> Table:
    """The operators that cost the model in channels_last_3d most, and what the accelerated one spends on them."""
    table = Table(f"{row['case']}: operator, ms a step", *CANDIDATES[1:], box=box.SIMPLE_HEAD)
    before, after = (row["profile"][name] for name in CANDIDATES[1:])
    shown = {**dict(list(before.items())[:_OPERATORS_SHOWN]), **dict(list(after.items())[:_OPERATORS_SHOWN])}
    for operator in shown:
        cells = [f"{times[operator]:.0f}" if operator in times else "-" for times in (before, after)]
        table.add_row(operator, *cells)
    table.add_row("all", *(f"{sum(times.values()):.0f}" for times in (before, after)))
    return table
