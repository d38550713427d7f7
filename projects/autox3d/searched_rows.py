"""What the scripts of the paper's Tables 3 and 4 and Figure 4 share: searches and networks by config, on any data.

A search's config is read, then `--search-overlay`; a network's, then `--overlay`; then the data's folder and classes.
What is there in `--output` is not computed again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fvcore.common.config import CfgNode
from paper_tables import trained_scores
from view_scores import sweep

from pytorchvideo_autox3d import jobs
from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.config import load_cfg
from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.search.result import ARCHITECTURE_NAME
from pytorchvideo_autox3d.space import Architecture

RECIPE = "autox3d/S.yaml"


@dataclass(frozen=True)
class Network:
    """A network on the given data: 1e9 multiply-adds of a training clip, millions of parameters, top-1 of a test."""

    name: str
    gflops: float
    params: float
    top1: float


def parse_arguments(description: str, name: str) -> argparse.Namespace:
    """The arguments of every one of these scripts."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with train.csv, val.csv and test.csv")
    parser.add_argument("--prefix", default=None, help="joined before relative paths; default: the folder")
    parser.add_argument("--overlay", nargs="*", default=[], metavar="YAML", help="configs read over each network's")
    parser.add_argument("--search-overlay", nargs="*", default=[], metavar="YAML", help="the same over each search's")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="keys set over these")
    parser.add_argument("--search-opts", nargs="*", default=[], metavar="KEY VALUE", help="the same of the searches'")
    parser.add_argument("--output", type=Path, default=Path(f"output/{name}"), help="runs and the result")
    return parser.parse_args()


def searched(args: argparse.Namespace, folder: str, config: str, opts: list[Any]) -> tuple[CfgNode, Architecture]:
    """The config of a search, and the architecture it found."""
    overlays = [config, *args.search_overlay]
    cfg = load_cfg(overlays, [*_data(args, folder), "SEARCH.RETRAIN_CFG", "", *opts, *args.search_opts])
    found = Path(cfg.OUTPUT_DIR, ARCHITECTURE_NAME)
    if not found.is_file():
        jobs.launch(cfg)
    return cfg, Architecture.from_json(found)


def trained(args: argparse.Namespace, folder: str, space: str, architecture: Architecture) -> Network:
    """An architecture trained by the recipe of AutoX3D-S, and tested over all of its views."""
    opts = [
        *_data(args, folder),
        "AUTOX3D.SPACE",
        space,
        "AUTOX3D.GROUPS",
        architecture.rows,
        "TEST.ENABLE",
        False,
        *args.opts,
    ]
    cfg = load_cfg([RECIPE, *args.overlay], opts)
    clip = (cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TRAIN_CROP_SIZE)
    cost = complexity(build.build_architecture(cfg), clip=clip, num_classes=cfg.MODEL.NUM_CLASSES)
    return Network(folder, cost.gflops, cost.params / 1e6, sweep(*trained_scores(cfg))[-1].top1)


def _data(args: argparse.Namespace, folder: str) -> list[Any]:
    prefix = str(args.data) if args.prefix is None else args.prefix
    classes = int(read_list(str(args.data / "train.csv"), path_prefix=prefix).labels.max()) + 1
    return [
        "DATA.PATH_TO_DATA_DIR", str(args.data), "DATA.PATH_PREFIX", prefix, "MODEL.NUM_CLASSES", classes,
        "OUTPUT_DIR", str(args.output / folder),
    ]  # fmt: skip
