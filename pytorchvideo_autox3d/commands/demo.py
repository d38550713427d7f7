"""`autox3d demo`: from nothing to a report. Makes data, searches on them, trains what it found and its rivals.

    data -> search -> derived network, an X3D and random architectures of equal multiply-adds -> tests -> report

Each stage keeps its files in a folder of its own and is taken from there when the command is given again, so that an
interrupted demo goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejson

from pytorchvideo_autox3d.commands.demo_models import demo_entries, search_config
from pytorchvideo_autox3d.commands.demo_report import demo_report, measured_latencies, model_result, search_summary
from pytorchvideo_autox3d.commands.demo_tasks import demo_task

if TYPE_CHECKING:
    from fvcore.common.config import CfgNode


WHOLE: dict[str, Any] = {
    "output": Path("demo"), "epochs": None, "search_epochs": None, "videos_per_class": 100, "random": 3,
    "val_per_class": 42, "test_per_class": 84,
}  # fmt: skip
QUICK: dict[str, Any] = {
    "output": Path("demo_quick"), "epochs": 5, "search_epochs": 6, "videos_per_class": 20, "random": 1,
    "val_per_class": 5, "test_per_class": 10,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and the size of it all."""
    parser.add_argument(
        "--output", type=Path, default=None, help="folder for data, checkpoints and the report; demo, or demo_quick"
    )
    parser.add_argument("--quick", action="store_true", help="the same road in little, for a first look")
    parser.add_argument("--epochs", type=int, default=None, help="of each training; fewer for a quick look")
    parser.add_argument("--search-epochs", type=int, default=None, help="of the search; fewer for a quick look")
    parser.add_argument("--videos-per-class", type=int, default=None, help="training videos; fewer for a quick look")
    parser.add_argument("--random", type=int, default=None, help="random architectures to compare with; 3")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    """All stages, in order; the last line says where the report is."""
    from pytorchvideo_autox3d.report import write_report

    args = with_defaults(args)
    task = demo_task(args)
    _keep_settings(args)
    task.make_data(args.output / "data", settings=task.settings, num_workers=os.cpu_count() or 1)
    search_cfg = search_config(args, task)
    threads = nullcontext if args.quick else _core_for_the_loader
    _run_once(search_cfg, "search_result.json", threads)
    entries = demo_entries(args, task, search_cfg)
    for entry in entries:
        _run_once(entry.cfg, "test_results.json", threads)
    latencies = measured_latencies(entries)
    results = [model_result(entry, latencies[entry.name]) for entry in entries]
    report = demo_report(_command(args), task, entries[0].cfg, results, search_summary(search_cfg))
    page, data = write_report(args.output / "report.html", report)
    for result in results:
        low, high = result.interval(task.num_test_videos)
        macs = f"{result.gflops * 1e3:.2f} M multiply-adds"
        print(f"{result.name}: {result.top1:.1f}% top-1 (95% interval {low:.1f} to {high:.1f}), {macs}")
    if args.quick:
        print("quick: a look at the road; networks trained so briefly say nothing about which is better")
    for pair in report.rivals:
        told = f"{pair.difference:+.1f} points, 95% interval {pair.low:+.1f} to {pair.high:+.1f}"
        print(f"{pair.ours} is {pair.relation} {pair.theirs}: {told}")
    print(f"report: {page} and {data}")


def with_defaults(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments, with what is not given filled in for --quick or the whole demo."""
    return argparse.Namespace(**{**_missing(args), **{key: val for key, val in vars(args).items() if val is not None}})


def _missing(args: argparse.Namespace) -> dict[str, Any]:
    return QUICK if args.quick else WHOLE


def _command(args: argparse.Namespace) -> str:
    """What makes this report: what was given beside the defaults, the folder and the seed always."""
    options = {"output": args.output, "seed": args.seed}
    for key in ("epochs", "search_epochs", "videos_per_class", "random"):
        if getattr(args, key) != _missing(args)[key]:
            options[key] = getattr(args, key)
    words = [f"--{key.replace('_', '-')} {shlex.quote(str(value))}" for key, value in options.items()]
    return " ".join(["autox3d demo", *["--quick"] * args.quick, *words])


def _keep_settings(args: argparse.Namespace) -> None:
    """Write down what the results in the folder are of; those of other settings would be taken for these.

    The data keep their own, and more random architectures are only added.

    Raises:
        ConfigError: the folder holds a demo of other settings; names both.
    """
    from pytorchvideo_autox3d.errors import ConfigError
    from pytorchvideo_autox3d.files import write_text

    kept = args.output / "settings.json"
    settings = simplejson.dumps({key: getattr(args, key) for key in ("quick", "epochs", "search_epochs", "seed")})
    if not kept.is_file():
        write_text(kept, settings)
    elif (before := kept.read_text(encoding="utf8")) != settings:
        raise ConfigError(f"{args.output}: holds a demo of {before}, not {settings}; choose another --output")


def _run_once(cfg: CfgNode, result: str, threads: Callable[[], AbstractContextManager[None]]) -> None:
    """Run the config's jobs within `threads()` unless their result is there; an interrupted run goes on as it was."""
    from pytorchvideo_autox3d import jobs

    if not Path(cfg.OUTPUT_DIR, result).is_file():
        with threads():
            jobs.launch(cfg)


@contextmanager
def _core_for_the_loader() -> Iterator[None]:
    """One thread of torch's fewer: reading such small videos keeps a core half busy, decoded copies or not.

    On two cores an epoch of 75 steps took 5.3 s so, and 8.1 s with two threads beside the loader's worker (read from
    files each time; from memory it takes 4 to 5 s). The networks of --quick are larger, and take all threads.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
