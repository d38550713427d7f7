"""`autox3d bench deploy`: AutoX3D-S and X3D-S on every road to a device, side by side in one process.

Each road gives the milliseconds of one clip, median of warm rounds in which all roads run in turn, and the share of the
machine's matrix-multiply rate, measured in the same rounds, that its multiply-adds come to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import nn

from pytorchvideo_autox3d.analysis import count_module, measure_latency
from pytorchvideo_autox3d.benchmarks.roads import FP32_ROADS, INT8_ROADS, ROADS, Case, RoadClosed
from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.errors import ExportError, ModelError
from pytorchvideo_autox3d.models.hub import HUB

Clip = tuple[int, int, int]
_PRODUCT = 1024
"""Rows and columns of the square float32 matrices whose product is the machine's measure."""
_MEASURE = "matrix product"
_SETTLING_CLIPS = 4


def run(
    models: Sequence[str] = ("autox3d_s", "x3d_s"),
    clip: Clip = (13, 160, 160),
    *,
    roads: Sequence[str] = (),
    threads: int | None = None,
    warm_up: int = 2,
    repeats: int = 11,
) -> dict[str, Any]:
    """Build every model on every road, then time them all in turn, one clip each.

    Args:
        models: names of the hub, with fresh weights.
        clip: (T, H, W).
        roads: names in ROADS; empty for all. A road that can't be taken here gets a row that says why.
        threads: with which all of them run; by default torch's number.
        warm_up: rounds before timing.
        repeats: timed rounds.
    Raises:
        ModelError: no such model or road.
    """
    for kind, names, known in (("model", models, HUB), ("road", roads, ROADS)):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ModelError(f"no {kind} {unknown[0]!r} to time; there are {', '.join(known)}")
    threads = threads or torch.get_num_threads()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows, runs = _build(models, clip, roads or list(ROADS), threads, Path(folder))
            matrix = torch.randn(_PRODUCT, _PRODUCT)
            times = measure_latency(
                {**runs, _MEASURE: lambda: torch.mm(matrix, matrix)}, warm_up=warm_up, repeats=repeats
            )
    finally:
        torch.set_num_threads(before)
    rate = 2 * _PRODUCT**3 / times[_MEASURE].median / 1e6
    for row in rows:
        key = f"{row['model']} {row['road']}"
        if key in times:
            row.update(_figures(times[key], row["macs"], rate))
    return {
        "clip": list(clip), "threads": threads, "repeats": repeats, "matrix_product_gflops": rate,
        "torch": torch.__version__, "rows": rows, "aims": _aims(rows),
    }  # fmt: skip


def _build(
    models: Sequence[str], clip: Clip, roads: Sequence[str], threads: int, folder: Path
) -> tuple[list[dict[str, Any]], dict[str, Callable[[], object]]]:
    rows: list[dict[str, Any]] = []
    runs: dict[str, Callable[[], object]] = {}
    bar = ProgressBar()
    bar.start("building", len(models) * len(roads))
    try:
        for name in models:
            torch.manual_seed(0)
            clip_BCTHW = torch.randn(1, 3, *clip)
            model = _settled(HUB[name].build(), torch.randn(_SETTLING_CLIPS, 3, *clip))
            case = Case(name, model, clip_BCTHW, threads, folder)
            macs = count_module(model, clip).macs
            for road in roads:
                bar.update(len(rows), f"{name}: {road}")
                row: dict[str, Any] = {"model": name, "road": road, "macs": macs}
                try:
                    ready = ROADS[road](case)
                    row["max_difference"] = case.difference(ready)
                    runs[f"{name} {road}"] = partial(_once, ready)
                except (RoadClosed, ExportError) as error:
                    row["not_run"] = str(error)
                rows.append(row)
    finally:
        bar.stop()
    return rows, runs


def _settled(model: nn.Module, clip_BCTHW: torch.Tensor) -> Any:
    """The fresh network in eval mode with batch-norm statistics of some clips, as training would leave them.

    With those of a fresh BN the signal fades from block to block: logits would all be alike, which compares nothing,
    and numbers too small for a normal float slow some runtimes down. Of one small clip they would be statistics of a
    few positions, some of them nearly constant: such a network magnifies rounding, in eager as much as elsewhere.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
            nn.init.ones_(module.weight)
    with torch.no_grad():
        model.train()(clip_BCTHW)
    return model.eval()


def _once(ready: Callable[[], object]) -> object:
    with torch.inference_mode():
        return ready()


def _figures(latency: Any, macs: int, rate: float) -> dict[str, float]:
    achieved = 2 * macs / latency.median / 1e6
    return {
        "milliseconds": latency.median, "fastest": latency.fastest, "slowest": latency.slowest, "gflops": achieved,
        "share": achieved / rate,
    }  # fmt: skip


def _aims(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of the roads, each beside the aim that it was meant to reach, and whether it does."""
    taken = {(row["model"], row["road"]): row for row in rows if "milliseconds" in row}
    aims: dict[str, Any] = {}

    def best(model: str, roads: Sequence[str]) -> Mapping[str, Any] | None:
        found = [taken[model, road] for road in roads if (model, road) in taken]
        return min(found, key=lambda row: row["milliseconds"], default=None)

    fast, small = best("x3d_s", FP32_ROADS), best("x3d_s", INT8_ROADS)
    base = taken.get(("x3d_s", "pytorchvideo"))
    if fast and base:
        aims["best fp32 over pytorchvideo's eager X3D-S"] = _aim(base["milliseconds"] / fast["milliseconds"], 4.0)
    if fast:
        aims["best fp32, share of the matrix product"] = _aim(fast["share"], 0.6)
    if fast and small:
        aims["best int8 over best fp32"] = _aim(fast["milliseconds"] / small["milliseconds"], 1.7)
    for road in ROADS:
        ours, theirs = taken.get(("autox3d_s", road)), taken.get(("x3d_s", road))
        if ours and theirs:
            relative = ours["milliseconds"] / theirs["milliseconds"] / (ours["macs"] / theirs["macs"])
            aims[f"AutoX3D-S over X3D-S per multiply-add, {road}"] = _aim(relative, 1.15, at_most=True)
    return aims


def _aim(found: float, aim: float, *, at_most: bool = False) -> dict[str, Any]:
    return {"found": found, "aim": aim, "at_most": at_most, "met": found <= aim if at_most else found >= aim}


def print_table(result: dict[str, Any]) -> None:
    """Print what `run` returned."""
    headings = ("model", "road", "ms", "range, ms", "GFLOP/s", "share", "max difference")
    table = Table(*headings, box=box.SIMPLE_HEAD)
    for row in result["rows"]:
        if "milliseconds" not in row:
            continue
        difference = "-" if row["max_difference"] is None else f"{row['max_difference']:.0e}"
        spread = f"{row['fastest']:.1f}..{row['slowest']:.1f}"
        rate, share = f"{row['gflops']:.0f}", f"{row['share']:.0%}"
        table.add_row(row["model"], row["road"], f"{row['milliseconds']:.1f}", spread, rate, share, difference)
    console = Console()
    console.print(table)
    for row in result["rows"]:
        if "not_run" in row:
            console.print(f"not run: {row['model']}, {row['road']}: {row['not_run']}", highlight=False)
    frames, height, width = result["clip"]
    console.print(
        f"One clip of {frames} x {height} x {width}, {result['threads']} threads, median of {result['repeats']} warm "
        f"rounds in turn. Share: of a float32 matrix product of {_PRODUCT}^3 in the same rounds "
        f"({result['matrix_product_gflops']:.0f} GFLOP/s), two floating-point operations a multiply-add."
    )
    for name, aim in result["aims"].items():
        relation = "at most" if aim["at_most"] else "at least"
        console.print(f"{'met ' if aim['met'] else 'MISSED'} {name}: {aim['found']:.2f} ({relation} {aim['aim']:g})")
