"""The long form: twenty kills of each job, and what came of them as JSON. `make soak` runs it."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import simplejson
import torch
from rich.console import Console
from rich.progress import track

from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.files import write_json
from tests.soak.harness import Soak, jobs, soak

KINDS = ("train", "search", "test")


def main() -> int:
    """Run all three; exit with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each job")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode, of each job")
    parser.add_argument("--jobs", nargs="+", choices=KINDS, default=KINDS, help="others keep their result in --output")
    parser.add_argument("--output", default="tests/soak/result.json", help="where the result is kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autox3d-soak-") as scratch:
        results = _soak_all(Path(scratch), args)
    record = {
        "seed": args.seed, "workers": args.workers, "torch": torch.__version__, "python": platform.python_version(),
        "jobs": {**_kept(args), **{kind: asdict(result) for kind, result in results.items()}},
    }  # fmt: skip
    write_json(args.output, record)
    different = [f"{kind}: {name}" for kind, result in results.items() for name in result.differences]
    print("\n".join(different) or f"every job ended bit for bit as without kills; see {args.output}")
    return 1 if different else 0


def _kept(args: argparse.Namespace) -> dict[str, Any]:
    """The results of the jobs that are not run, of the same seed and workers."""
    path = Path(args.output)
    before = simplejson.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    if any(before.get(name) != getattr(args, name) for name in ("seed", "workers")):
        return {}
    return {kind: result for kind, result in before["jobs"].items() if kind not in args.jobs}


def _soak_all(folder: Path, args: argparse.Namespace) -> dict[str, Soak]:
    settings = DemoSettings(train_per_class=2, val_per_class=1, test_per_class=2, num_frames=8)
    data = make_demo_data(folder / "data", settings=settings, show_progress=False)
    kinds = jobs(data, folder, epochs=6, workers=args.workers)
    results: dict[str, Soak] = {}
    for kind in track(KINDS, "soak", console=Console(stderr=True)):
        if kind not in args.jobs and not (kind == "train" and "test" in args.jobs):
            continue
        (folder / kind).mkdir()
        found = soak(kinds[kind], folder / kind, kills=args.kills if kind in args.jobs else 0, seed=args.seed)
        results |= {kind: found} if kind in args.jobs else {}
        if kind == "train":
            (folder / kind / "whole").rename(folder / "trained")
    return results


if __name__ == "__main__":
    sys.exit(main())
