"""`autox3d fuse A B`: late fusion of test results, as two-stream networks fuse colours and flow."""

from __future__ import annotations

import argparse
import math
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The results, their weights, and where the fused one goes."""
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULT",
        help="tests' test_results.json or .npz, of one list",
    )
    parser.add_argument("--weights", nargs="+", type=float, default=None, help="one a result; default: equal")
    parser.add_argument(
        "--output", type=Path, default=None, metavar="FOLDER", help="write test_results.json and .npz of the mean there"
    )


def run(args: argparse.Namespace) -> None:
    """Fuse, print each accuracy and the mean's, and write."""
    from pytorchvideo_autox3d.evaluation import fuse, read_scores, topk_accuracy
    from pytorchvideo_autox3d.files import refuse_overwriting

    if args.output:
        written = [args.output / f"test_results.{ending}" for ending in ("json", "npz")]
        read = [Path(path.removesuffix(".npz").removesuffix(".json") + ".json") for path in args.results]
        refuse_overwriting("--output", written, [str(path) for one in read for path in (one, one.with_suffix(".npz"))])
    results = [read_scores(path) for path in args.results]
    weights = args.weights or [1.0] * len(results)
    fused = fuse(results, weights)
    for one, weight in zip(results, weights, strict=True):
        accuracies = (topk_accuracy(one.score_NK, one.label_N, k) if fused.labelled else math.nan for k in (1, 5))
        print("{}: top-1 {:.2f}%, top-5 {:.2f}%, weight {:g}".format(one.name, *accuracies, weight))
    print(f"fused: top-1 {fused.top1_acc:.2f}%, top-5 {fused.top5_acc:.2f}%, {len(fused.video_N)} videos")
    if args.output:
        first = results[0]
        paths = [first.paths.get(number, "") for number in range(int(first.video_N.max()) + 1)]
        fused.save(
            str(args.output / "test_results.json"),
            paths=paths if first.paths else None,
            fused=[{"result": one.name, "weight": weight} for one, weight in zip(results, weights, strict=True)],
            list_hash=first.list_hash,
        )
