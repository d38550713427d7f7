"""`autox3d make-mini-kinetics TRAIN VAL OUTPUT`: Mini-Kinetics-200's lists, or smaller, from Kinetics' lists."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytorchvideo_autox3d.commands.arguments import check_at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two lists, where to, and the sizes."""
    parser.add_argument("train", help="the training list of Kinetics: csv, json or a folder of class folders")
    parser.add_argument("val", help="the validation list")
    parser.add_argument("output", type=Path, help="a folder for train.csv, val.csv, test.csv and classes.json")
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--train-per-class", type=int, default=400)
    parser.add_argument("--val-per-class", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    """Draw the lists and say what there is."""
    from pytorchvideo_autox3d.data.list_forms import read_list
    from pytorchvideo_autox3d.data.tools.mini_kinetics import MiniKinetics, make_mini_kinetics

    check_at_least(args, 1, "classes", "train_per_class", "val_per_class")
    check_at_least(args, 0, "seed")
    settings = MiniKinetics(args.classes, args.train_per_class, args.val_per_class, args.seed)
    make_mini_kinetics(read_list(args.train), read_list(args.val), args.output, settings)
    per_class = f"{args.train_per_class} training and {args.val_per_class} validation videos"
    print(f"{args.output}: {args.classes} classes of {per_class} each")
