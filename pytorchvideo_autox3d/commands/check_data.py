"""`autox3d check-data LIST`: read every file of a list to the end; write a clean list and a report."""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytorchvideo_autox3d.commands.arguments import check_at_least
from pytorchvideo_autox3d.errors import printable

if TYPE_CHECKING:
    from pytorchvideo_autox3d.data.tools.check import CheckReport

_SHOWN = 20  # faults on the terminal
_PAGE_WIDTH = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The list, the rules, and where to write."""
    parser.add_argument("list", help="a list of videos: csv, json or a folder of class folders")
    parser.add_argument("--prefix", default="", help="joined before relative paths (DATA.PATH_PREFIX)")
    parser.add_argument("--output", type=Path, default=None, help="where to write; default LIST.check")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; 0: none but this one")
    parser.add_argument("--min-frames", type=int, default=1, help="fewer frames are a fault")
    parser.add_argument("--short-side", type=int, default=0, help="another short side is a fault; 0 takes any")
    parser.add_argument("--no-variable-rate", action="store_true", help="leave such videos out of the clean list")
    parser.add_argument("--seconds", type=float, default=120, help="the time that one file may take")


def run(args: argparse.Namespace) -> None:
    """Check, or go on with a check that was interrupted."""
    from pytorchvideo_autox3d.data import read_list
    from pytorchvideo_autox3d.data.tools.check import Rules, check_list
    from pytorchvideo_autox3d.files import write_text

    check_at_least(args, 0, "workers", "min_frames", "short_side", "seconds")
    output = args.output or Path(f"{args.list.rstrip('/')}.check")
    rules = Rules(args.min_frames, args.short_side, not args.no_variable_rate)
    manifest = read_list(args.list, path_prefix=args.prefix)
    report = check_list(manifest, output, rules=rules, workers=args.workers, seconds=args.seconds)
    print_report(report, Console(), shown=_SHOWN)
    text = io.StringIO()
    print_report(report, Console(file=text, width=_PAGE_WIDTH), shown=len(report.faults))
    write_text(output / "report.txt", text.getvalue())
    print(f"written: clean.csv, report.json and report.txt in {output}")


def print_report(report: CheckReport, console: Console, *, shown: int) -> None:
    """Print two tables: the counts of each kind of fault, and the first `shown` faults one by one."""
    total = len(report.manifest)
    console.print(f"{report.num_present} of {total} present, {len(report.clean)} in the clean list")
    console.print(f"hash of the list: {report.manifest.digest()}")
    if not report.faults:
        return
    counts = Table("fault", "videos", box=box.SIMPLE_HEAD)
    for fault, count in report.counts.items():
        if count:
            counts.add_row(fault, str(count))
    console.print(counts)
    locations = report.manifest.locations
    listed = Table("number" if locations is None else locations.unit, "video", "fault", "detail", box=box.SIMPLE_HEAD)
    for index, fault, detail in report.faults[:shown]:
        number = index + 1 if locations is None else int(locations.number[index])
        listed.add_row(str(number), Text(printable(report.manifest.listed(index))), fault, Text(printable(detail)))
    console.print(listed)
    if len(report.faults) > shown:
        console.print(f"and {len(report.faults) - shown} more, in report.txt")
