"""`autox3d gradcam --model M --output FOLDER VIDEO ...`: where and when a network looked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pytorchvideo_autox3d.commands.model_arguments import add_model, recognizer_of

if TYPE_CHECKING:
    from pytorchvideo_autox3d.predict.gradcam import Attention

_SIDE = 240  # pixels of the film's pictures, at least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the videos, the class and the layer."""
    add_model(parser)
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="as of autox3d predict")
    parser.add_argument("--output", type=Path, required=True, help="folder for NAME.mp4 and NAME.png of each video")
    parser.add_argument("--prefix", default="", help="joined before a list's relative paths")
    parser.add_argument("--label", default=None, help="the class to ask for; default: that of highest score")
    parser.add_argument("--layer", type=int, default=None, help="in network.blocks; default: the last of 4 x 4 up")
    parser.set_defaults(views="1")


def run(args: argparse.Namespace) -> None:
    """Look at the clips of each video: the middle one, or those of --views."""
    from pytorchvideo_autox3d.files import refuse_overwriting
    from pytorchvideo_autox3d.predict.gradcam import look
    from pytorchvideo_autox3d.predict.records import unique_names
    from pytorchvideo_autox3d.predict.sources import find_videos

    recognizer = recognizer_of(args)
    videos = find_videos(args.videos, prefix=args.prefix)
    names = unique_names(videos)
    refuse_overwriting("--output", [args.output / f"{name}.mp4" for name in names.values()], videos)
    for video, clips in recognizer.decoded(videos):
        looks = [look(recognizer, clip, label=args.label, layer=args.layer) for clip in clips.clip_VCTHW]
        target = args.output / names[str(video)]
        _write(target, looks, rate=recognizer.card.preprocessing.fps / recognizer.card.preprocessing.sampling_rate)
        print(f"{video}: {looks[0].label} {looks[0].score:.3f}, block {looks[0].layer}: {target}.mp4, {target}.png")


def _write(target: Path, looks: list[Attention], *, rate: float) -> None:
    """Write the overlay as a video at the clip's own speed, and frames and overlays as strips in a picture."""
    from pytorchvideo_autox3d.files import atomic_write
    from pytorchvideo_autox3d.predict.annotate import write_video
    from pytorchvideo_autox3d.report import contact_sheet

    strips, labels = [], []
    for one in looks:
        strips += [one.clip_CTHW, one.overlay()]
        labels += ["frames", f"{one.label} {one.score:.2f}"]
    with atomic_write(f"{target}.png") as beside:
        beside.write_bytes(contact_sheet(strips, labels, height=110))
    factor = -(-_SIDE // looks[0].clip_CTHW.shape[-1])
    frames = (
        frame_CHW.repeat_interleave(factor, 1).repeat_interleave(factor, 2).permute(1, 2, 0).numpy()
        for one in looks
        for frame_CHW in one.overlay().unbind(1)
    )
    write_video(f"{target}.mp4", frames, rate)
