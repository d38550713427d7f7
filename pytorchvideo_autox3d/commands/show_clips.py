"""`autox3d show-clips --cfg YAML`: a contact sheet of clips as a config trains on them."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytorchvideo_autox3d.commands.run import split_config_files
from pytorchvideo_autox3d.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, what of it to show, and where to."""
    parser.add_argument("--cfg", dest="cfg_files", nargs="+", required=True, metavar="YAML", help="config files")
    parser.add_argument("--output", type=Path, default=Path("clips.png"), help="the picture to write")
    parser.add_argument("--mode", choices=("train", "val", "test"), default="train")
    parser.add_argument("--videos", type=int, default=4, help="the first so many of the shuffled list")
    parser.add_argument("--clips", type=int, default=2, help="of each: the clips of so many epochs, or views of a test")
    parser.add_argument("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="override keys")
    parser.add_argument("rest", nargs="*", metavar="KEY VALUE", help="the same, without --opts")


def run(args: argparse.Namespace) -> None:
    """Draw the sheet: a row a clip, with the class, the video's number and the epoch or view."""
    from pytorchvideo_autox3d.config import load_cfg
    from pytorchvideo_autox3d.data import ClipBatchSampler
    from pytorchvideo_autox3d.data.flow import clip_pictures
    from pytorchvideo_autox3d.files import atomic_write
    from pytorchvideo_autox3d.jobs import build
    from pytorchvideo_autox3d.report import contact_sheet

    if min(args.videos, args.clips) < 1:
        raise ConfigError("--videos and --clips must be 1 or more")
    if args.output.suffix != ".png":
        raise ConfigError(f"--output: {args.output} is no .png file")
    files, overrides = split_config_files(args.cfg_files)
    cfg = load_cfg(files, [*overrides, *args.rest, *args.opts])
    dataset = build.build_dataset(cfg, args.mode)
    sampler = ClipBatchSampler(len(dataset), batch_size=1, shuffle=True, drop_last=False, seed=cfg.RNG_SEED)
    chosen = [index for _, [(_, index)] in zip(range(args.videos), sampler, strict=False)]
    clips, labels = [], []
    for index in chosen:
        batches = [dataset[epoch, index] for epoch in range(1 if args.mode == "test" else args.clips)]
        pictures = [(batch, view) for batch in batches for view in range(len(batch))][: args.clips]
        for number, (batch, view) in enumerate(pictures):
            label = int(batch.label_B[view])
            name = dataset.manifest.classes.name(label)
            clips.append(clip_pictures(batch.clip_BCTHW[view]))
            labels.append(f"{name}, video {index}, {'view' if args.mode == 'test' else 'epoch'} {number}")
    with atomic_write(args.output) as beside:
        beside.write_bytes(contact_sheet(clips, labels))
    print(f"{args.output}: {len(clips)} clips of {len(chosen)} videos")
