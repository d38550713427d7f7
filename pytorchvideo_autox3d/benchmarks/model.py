"""`autox3d bench model`: GFLOPs, parameters, latency and peak memory of models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from pytorchvideo_autox3d.analysis import count_module, measure_latency, peak_memory
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import ClipNet
from pytorchvideo_autox3d.models.hub import HUB
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

Clip = tuple[int, int, int]


@dataclass(frozen=True)
class _Case:
    name: str
    clip: Clip
    model: ClipNet
    clip_BCTHW: torch.Tensor

    def forward(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.model(self.clip_BCTHW)


def run(
    models: Sequence[str] = ("autox3d_s", "x3d_s"),
    clips: Sequence[Clip] = (),
    *,
    device: str = "cpu",
    batch_size: int = 1,
    channels_last: bool = True,
    warm_up: int = 3,
    repeats: int = 20,
) -> list[dict[str, Any]]:
    """Measure every model at every clip size, one row each.

    The models run in turn, round after round, so that a busy machine slows all of them alike. Latency is that of a
    batch in eval mode, in float32, with as many threads as torch has.

    Args:
        models: names in the hub ("autox3d_s"), or in the MODEL registry ("IR_CSN").
        clips: sizes (T, H, W); empty means each model's own training clip.
        device: where to run.
        batch_size: clips in a forward pass.
        channels_last: run in torch.channels_last_3d.
        warm_up: rounds before timing.
        repeats: timed rounds.
    Raises:
        ModelError: a name is in neither, or the device is not there.
    """
    _check_device(device)
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    cases = []
    for name in models:
        built = _build(name)
        model = built.to(device, memory_format=layout).eval()
        own = (model.input_clip_length, model.input_crop_size, model.input_crop_size)
        for clip in clips or [own]:
            values = torch.zeros(batch_size, model.in_channels, *clip, device=device).to(memory_format=layout)
            cases.append(_Case(name, clip, model, values))
    runs = {str(index): partial(case.forward) for index, case in enumerate(cases)}
    latencies = measure_latency(runs, warm_up=warm_up, repeats=repeats, device=device)
    rows = []
    for index, case in enumerate(cases):
        count, latency = count_module(case.model, case.clip, in_channels=case.model.in_channels), latencies[str(index)]
        rows.append(
            {
                "model": case.name,
                "clip": list(case.clip),
                "batch_size": batch_size,
                "gflops": count.gflops,
                "macs": count.macs,
                "params": count.params,
                "latency_ms": latency.median,
                "latency_ms_fastest": latency.fastest,
                "latency_ms_slowest": latency.slowest,
                "repeats": latency.repeats,
                "peak_memory_bytes": peak_memory(case.model, case.clip_BCTHW),
                "device": device,
                "threads": torch.get_num_threads(),
                "channels_last": channels_last,
            }
        )
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print what `run` returned."""
    headings = ("model", "clip", "GFLOPs", "params, M", "latency, ms", "range, ms", "peak, MB")
    table = Table(*headings, box=box.SIMPLE_HEAD)
    for row in rows:
        frames, height, width = row["clip"]
        clip = f"{frames} x {height}^2" if height == width else f"{frames} x {height} x {width}"
        spread = f"{row['latency_ms_fastest']:.1f}..{row['latency_ms_slowest']:.1f}"
        figures = (f"{row['gflops']:.2f}", f"{row['params'] / 1e6:.2f}", f"{row['latency_ms']:.1f}", spread)
        table.add_row(row["model"], clip, *figures, f"{row['peak_memory_bytes'] / 1e6:.1f}")
    console = Console()
    console.print(table)
    if rows:
        layout = "channels_last_3d" if rows[0]["channels_last"] else "contiguous"
        console.print(
            f"GFLOPs: multiply-adds of convolutions, linear layers and matrix products, one clip. Latency: median of "
            f"{rows[0]['repeats']} warm passes of a batch of {rows[0]['batch_size']} on {rows[0]['device']}, "
            f"{rows[0]['threads']} threads, float32, {layout}, models in turn. Peak memory: beyond model and clip."
        )


def _build(name: str) -> ClipNet:
    if name in HUB:
        return HUB[name].build()
    if name in MODEL_REGISTRY:
        return MODEL_REGISTRY.get(name)()
    known = [*HUB, *(key for key, _ in MODEL_REGISTRY)]
    raise ModelError(f"no model {name!r} in the hub or the registry; there are {', '.join(known)}")


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} can't be used: {str(error).splitlines()[0]}") from error
