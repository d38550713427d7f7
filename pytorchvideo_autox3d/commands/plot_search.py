"""`autox3d plot-search`: the pictures of a search from what it left in its folder, while it runs or after."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorchvideo_autox3d.errors import AutoX3DError, SearchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folders, and where the pictures go."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="OUTPUT_DIR of a search; several share one curve"
    )
    parser.add_argument("--output", type=Path, default=None, metavar="DIR", help="default: the first folder")


def run(args: argparse.Namespace) -> None:
    """Write search_curve.png and, once a search has ended, policy.png, coverage.png and pareto.png; print their paths.

    pareto.png needs several budgets (SEARCH.PARETO_*) and scores (SEARCH.DERIVE best_of).
    """
    from pytorchvideo_autox3d.report.style import save_figure

    for folder in args.folders:
        if not folder.is_dir():
            raise SearchError(f"{folder}: no such folder; name the OUTPUT_DIR of a search")
    output = args.output or args.folders[0]
    output.mkdir(parents=True, exist_ok=True)
    try:
        figures = _figures(args.folders)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, AutoX3DError):
            raise
        folders = ", ".join(map(str, args.folders))
        raise SearchError(f"{folders}: holds a history or a result that no search wrote ({error!r})") from error
    for name, figure in figures.items():
        path = output / f"{name}.png"
        print(save_figure(path, figure))


def _figures(folders: list[Path]) -> dict[str, Figure]:
    from pytorchvideo_autox3d.report.pareto import draw_pareto
    from pytorchvideo_autox3d.report.results import PolicyTable
    from pytorchvideo_autox3d.report.search import draw_coverage, draw_policy, draw_search_curve
    from pytorchvideo_autox3d.search import read_history, read_result
    from pytorchvideo_autox3d.search.result import RESULT_NAME, read_pareto

    histories = {str(folder): read_history(str(folder)) for folder in folders}
    ended = (folders[0] / RESULT_NAME).is_file()
    result: dict[str, Any] = read_result(str(folders[0])) if ended else {}
    targets = [one["target"] for one in result.get("derived", {}).get("budgets", []) if one["metric"] == "gflops"]
    curve = draw_search_curve(
        histories if len(histories) > 1 else next(iter(histories.values())),
        target_gflops=targets[0] if targets else None,
        num_samples=result.get("num_samples"),
        warmup_epochs=result.get("warmup_epochs", 0),
    )
    figures = {"search_curve": curve}
    if ended:
        figures["policy"] = draw_policy([PolicyTable(**table) for table in result["policy"]])
        figures["coverage"] = draw_coverage(result["coverage"])
    rows = read_pareto(str(folders[0]))
    if any(row["score"] is not None for row in rows):
        figures["pareto"] = draw_pareto(rows)
    return figures
