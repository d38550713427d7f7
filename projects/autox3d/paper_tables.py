"""What the scripts of the paper's Tables 5 and 6 and Figure 1 share: train each system by its config, and test it.

A system's config is read, then the overlays (`baselines/on_demo.yaml`: small clips), then the data's folder and
classes. What is there in `--output` is not computed again. Two-stream rows are two networks whose scores are averaged,
as the papers have them. Multiply-adds are counted at the clip that is tested.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from fvcore.common.config import CfgNode
from models_table import SYSTEMS, System
from view_scores import Sweep, sweep, view_scores

from pytorchvideo_autox3d import jobs
from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.config import load_cfg
from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.engine import last_checkpoint
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.jobs import build

_OWN_CONFIGS = {f"{kind}_{size}": f"autox3d/{prefix}{size.upper()}.yaml"
                for kind, prefix in (("autox3d", ""), ("x3d", "X3D_")) for size in "sml"}  # fmt: skip
_XL = ["X3D.WIDTH_FACTOR", 2.9]


@dataclass(frozen=True)
class Result:
    """A system on the given data.

    Args:
        system: the row of the paper.
        gflops, params: here: of one view at the tested clip, and in millions.
        views: tested, of a video.
        sweep: top-1 by clips and crops, the last with all of them.
    """

    system: System
    gflops: float
    params: float
    views: int
    sweep: list[Sweep]

    @property
    def top1(self) -> float:
        """With all views."""
        return self.sweep[-1].top1

    def within(self, budget: float) -> Sweep | None:
        """The most views that cost at most `budget` GFLOPs a video, clips before crops; None where one is too dear."""
        fitting = [one for one in self.sweep if one.views * self.gflops <= budget * (1 + 1e-9)]
        return max(fitting, key=lambda one: (one.views, one.clips), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "top1": self.top1}


def parse_arguments(description: str, table: int) -> argparse.Namespace:
    """The arguments of every table."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with train.csv, val.csv and test.csv")
    parser.add_argument("--prefix", default=None, help="joined before relative paths; default: the folder")
    parser.add_argument("--overlay", nargs="*", default=[], metavar="YAML", help="configs read over each system's")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="keys set over all of these")
    parser.add_argument("--frame-scale", type=float, default=1.0, help="of the frames of every system's clip")
    parser.add_argument("--max-frames", type=int, default=None, help="of any clip: how many the videos have")
    parser.add_argument("--systems", nargs="*", default=None, help="names in the hub; default: the table's")
    parser.add_argument("--output", type=Path, default=Path(f"output/table{table}"), help="runs and the result")
    parser.add_argument("--budget", type=float, default=None, help="GFLOPs a video; default: the cheapest row's")
    return parser.parse_args()


def rows_of(table: int, names: list[str] | None) -> list[System]:
    """The table's systems, or those of them that are named."""
    own = [system for system in SYSTEMS if system.table == table]
    unknown = sorted(set(names or []) - {system.hub for system in own})
    if unknown:
        raise ConfigError(f"--systems: {unknown[0]} is not in table {table}: {', '.join(one.hub for one in own)}")
    return [system for system in own if names is None or system.hub in names]


def measure(system: System, args: argparse.Namespace) -> Result:
    """Train and test a row's network, or its two."""
    streams = [_config(system, name, args) for name in _configs_of(system.hub)]
    scores = [trained_scores(cfg) for cfg in streams]
    score_NVSK = sum(score for score, _ in scores) / len(scores)
    gflops = params = 0.0
    for cfg in streams:
        with torch.device("meta"):
            model = build.build_model(cfg)
        crop = cfg.DATA.TEST_CROP_SIZE
        counted = count_module(model, (cfg.DATA.NUM_FRAMES, crop, crop), in_channels=getattr(model, "in_channels", 3))
        gflops, params = gflops + counted.gflops, params + counted.params / 1e6
    views = streams[0].TEST.NUM_ENSEMBLE_VIEWS * streams[0].TEST.NUM_SPATIAL_CROPS
    return Result(system, gflops, params, views, sweep(score_NVSK, scores[0][1]))


def report(table: int, args: argparse.Namespace) -> list[Result]:
    """Measure all rows, print them beside the paper's, and write `table<N>.json`."""
    results = []
    for system in rows_of(table, args.systems):
        results.append(measure(system, args))
        write_json(args.output / f"table{table}.json", [one.to_dict() for one in results])
    print(text(results, args.budget or min(one.gflops * one.views for one in results)))
    return results


def text(results: list[Result], budget: float) -> str:
    """The rows as Markdown: the paper's columns, then this data's, then this data's at one cost a video."""
    lines = [
        f"| model | paper: top-1 | GFLOPs x views | params | here: top-1 | GFLOPs x views | params | "
        f"top-1 at {budget:.3g} GFLOPs a video |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        system, fitting = one.system, one.within(budget)
        views = "N/A" if system.views is None else system.views
        at_budget = "one view costs more" if fitting is None else f"{fitting.top1:.1f} ({fitting.views} views)"
        published = "-" if system.params is None else f"{system.params:g}"
        lines.append(
            f"| {system.name} | {system.top1} | {system.gflops:g} x {views} | {published} | {one.top1:.1f} | "
            f"{one.gflops:.3g} x {one.views} | {one.params:.2f} | {at_budget} |"
        )
    return "\n".join(lines)


def _configs_of(hub: str) -> list[str]:
    if hub.endswith("_two_stream"):
        rgb = hub.removesuffix("_two_stream")
        return [f"baselines/{rgb}.yaml", f"baselines/{rgb}_flow.yaml"]
    return [_OWN_CONFIGS.get("x3d_l" if hub == "x3d_xl" else hub, f"baselines/{hub}.yaml")]


def _config(system: System, name: str, args: argparse.Namespace) -> CfgNode:
    """The system's config over this data."""
    prefix = str(args.data) if args.prefix is None else args.prefix
    classes = int(read_list(str(args.data / "train.csv"), path_prefix=prefix).labels.max()) + 1
    frames = max(1, round(system.frames * args.frame_scale))
    if args.max_frames is not None:
        frames = min(frames, args.max_frames)
    folder = args.output / f"{system.hub}_{Path(name).stem}_{frames}"
    opts: list[Any] = ["DATA.PATH_TO_DATA_DIR", str(args.data), "DATA.PATH_PREFIX", prefix, "OUTPUT_DIR", str(folder)]
    opts += ["MODEL.NUM_CLASSES", classes, "DATA.NUM_FRAMES", frames, "TEST.ENABLE", False, *args.opts]
    return load_cfg([name, *args.overlay], [*opts, *(_XL if system.hub == "x3d_xl" else [])])


def trained_scores(cfg: CfgNode) -> Any:
    """Scores of every view, after training to the last epoch where that is not done."""
    last = last_checkpoint(cfg.OUTPUT_DIR)
    if last is None or int(Path(last).stem.rsplit("_", 1)[1]) < cfg.SOLVER.MAX_EPOCH:
        jobs.launch(cfg)
    return view_scores(cfg)
