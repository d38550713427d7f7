"""`autox3d plan`: step time, efficiency and days of a training or a search on N processes, before any are rented."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pytorchvideo_autox3d.commands.arguments import check_at_least, clip_of
from pytorchvideo_autox3d.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from pytorchvideo_autox3d.benchmarks.scaling import Step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job, the link, and the numbers of processes."""
    parser.add_argument("--kind", choices=("train", "search"), default="train", help="AutoX3D-S, or Table 2's space")
    parser.add_argument("--clip", default="13x160", help="FRAMESxCROP")
    parser.add_argument("--batch", type=int, default=8, help="clips a process")
    parser.add_argument("--samples", type=int, default=13, help="K of a search")
    parser.add_argument("--videos", type=int, default=240_000, help="of the list that the weights learn from")
    parser.add_argument("--epochs", type=int, default=None, help="default: 300 of a training, 600 of a search")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8, 16, 32, 64], metavar="N", help="one a GPU")
    parser.add_argument("--link-gbit", type=float, default=25.0, help="gigabits a second between two machines")
    parser.add_argument("--latency-us", type=float, default=50.0, help="microseconds of a small message")
    parser.add_argument("--step-seconds", type=float, default=None, help="of one process; default: measured here")
    parser.add_argument("--device", default="cpu", help="where to measure")
    parser.add_argument("--repeats", type=int, default=5, help="steps that are measured")
    parser.add_argument(
        "--check", type=int, nargs="+", default=[], metavar="N", help="run N processes here, and print the error"
    )


def run(args: argparse.Namespace) -> None:
    """Measure a step, or the bytes of its gradients alone, and print the table."""
    from rich.console import Console

    from pytorchvideo_autox3d.benchmarks import scaling

    check_at_least(args, 1, "batch", "samples", "videos", "repeats", *(["epochs"] if args.epochs is not None else []))
    numbers = [*args.processes, *args.check]
    if min(numbers) < 1 or not (args.link_gbit > 0 and args.latency_us >= 0):
        raise ConfigError("--processes, --check and --link-gbit are above 0, --latency-us is 0 or more")
    step = scaling.Step(kind=args.kind, clip=clip_of(args.clip), batch=args.batch, samples=args.samples)
    console = Console()
    if args.check:
        console.print(_checked(step, args.check, args.repeats))
        return
    if args.step_seconds is not None:
        measured = scaling.with_seconds(step, args.step_seconds)
    else:
        measured = scaling.measure(step, repeats=args.repeats, device=args.device)
    link = scaling.Link(args.link_gbit * 1e9 / 8, args.latency_us * 1e-6)
    epochs = args.epochs or (600 if args.kind == "search" else 300)
    rows = scaling.plan(measured, step, link, processes=args.processes, videos=args.videos, epochs=epochs)
    console.print(_table(rows, f"{args.kind}: {measured.gradient_bytes / 1e6:.1f} MB of gradients a step"))


def _table(rows: list, title: str) -> Table:
    from rich.table import Table

    table = Table("processes", "step s", "efficiency", "days", title=title)
    for row in rows:
        table.add_row(str(row.processes), f"{row.step_seconds:.3f}", f"{100 * row.efficiency:.1f}%", f"{row.days:.2f}")
    return table


def _checked(step: Step, numbers: list[int], repeats: int) -> Table:
    from rich.table import Table

    from pytorchvideo_autox3d.benchmarks import scaling

    table = Table("processes", "predicted s", "measured s", "error", title="CPU processes of one thread, this machine")
    for number in numbers:
        predicted, found = scaling.check(step, number, repeats=repeats)
        table.add_row(str(number), f"{predicted:.3f}", f"{found:.3f}", f"{100 * (predicted / found - 1):+.0f}%")
    return table
