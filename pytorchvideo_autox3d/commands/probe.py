"""`autox3d probe TRAIN TEST`: k-NN and linear classifiers on the features of two folders."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folders and the classifiers' settings."""
    parser.add_argument("train", type=Path, help="features to learn from (autox3d extract-features)")
    parser.add_argument("test", type=Path, help="features to measure on")
    parser.add_argument("--neighbours", type=int, default=5)
    parser.add_argument("--regularisation", type=float, default=1.0, help="inverse strength of the L2 penalty")


def run(args: argparse.Namespace) -> None:
    """Fit and measure."""
    from pytorchvideo_autox3d.predict.probe import probe

    found = probe(args.train, args.test, neighbours=args.neighbours, regularisation=args.regularisation)
    print(f"learnt from {found.train_videos} videos, measured on {found.test_videos}")
    print(f"k-NN, k = {found.neighbours}: {found.knn_acc:.2f}% top-1")
    print(f"linear: {found.linear_acc:.2f}% top-1")
