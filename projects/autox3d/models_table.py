"""The systems of the paper's Tables 5 and 6: multiply-adds and parameters counted here beside those published.

python projects/autox3d/models_table.py --output docs/models.md
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.analysis.counting import on_meta
from pytorchvideo_autox3d.files import atomic_write
from pytorchvideo_autox3d.models.hub import HUB

TOLERANCE = 0.03


@dataclass(frozen=True)
class System:
    """One row of the paper's tables.

    Args:
        name: as the paper has it.
        hub: its name in the hub.
        frames, crop: of the clip that the figures are of.
        gflops, params: published, in 1e9 multiply-adds of a view and in millions; None where nothing is published.
        classes: 400 for Kinetics (Table 5), 174 for Something-Something-V2 (Table 6).
        note: why a figure differs by more than `TOLERANCE`, or what is special.
        top1: the paper's, in percent, of which nothing is claimed here.
        views: those of the paper's figure; None where it prints none.
    """

    name: str
    hub: str
    frames: int
    crop: int
    gflops: float | None
    params: float | None
    classes: int = 400
    note: str = ""
    top1: float | None = None
    views: int | None = None

    @property
    def table(self) -> int:
        """Of the paper; 0 for what neither lists."""
        return 0 if self.top1 is None else 6 if self.classes == 174 else 5


SYSTEMS = (
    System(
        "I3D", "i3d", 64, 224, 108, 12.0,
        note="12.0 M is without the classes' layer, 12.3 M here; pads alike on both sides where TensorFlow does not",
        top1=71.1,
    ),
    System("2-stream I3D", "i3d_two_stream", 64, 224, 216, 25.0, top1=75.7),
    System("MF-Net", "mfnet", 16, 224, 11.1, 8.0, top1=72.8, views=50),
    System("TSM R50", "tsm_r50", 16, 224, 65.0, 24.3, top1=74.7, views=10),
    System("S3D-G", "s3d_g", 64, 224, 71.0, None, note="gates after every temporal convolution", top1=74.7),
    System("R(2+1)D-34", "r2plus1d_34", 32, 112, 152, 63.6, top1=72.0, views=115),
    System("2-stream R(2+1)D-34", "r2plus1d_34_two_stream", 32, 112, 304, 127, top1=73.9, views=115),
    System("ip-CSN-50", "ip_csn_50", 8, 224, 11.9, 14.3, top1=70.8, views=30),
    System("ip-CSN-101", "ip_csn_101", 8, 224, 15.9, 24.5, top1=71.8, views=30),
    System(
        "TSM MobileNetV2", "tsm_mobilenetv2", 16, 224, 6.0, 3.9,
        note="MobileNetV2 has 0.300 G an image of 224^2 and 2.2 M without its classifier: 16 frames are 4.8 G, and no "
        "400-way layer on 1280 channels makes 3.9 M. mmaction2 prints 2.74 M",
        top1=69.5,
    ),
    System(
        "VoV3D-M", "vov3d_m", 16, 224, 4.4, 3.8,
        note="a reconstruction: widths chosen for these figures", top1=73.9, views=30,
    ),
    System("X3D-S", "x3d_s", 13, 182, 2.7, 3.8, top1=73.3, views=30),
    System("AutoX3D-S", "autox3d_s", 13, 182, 2.9, 3.5, note="a reconstruction", top1=74.7, views=30),
    System(
        "MobileNetV2-3D", "mobilenetv2_3d", 16, 256, 6.5, 4.4,
        note="a reconstruction: found by `projects/autox3d/fit_mobilenet.py`",
        top1=71.2, views=30,
    ),
    System("SlowFast 4x16, R50", "slowfast_4x16_r50", 32, 256, 36.1, 34.4, top1=75.6, views=30),
    System(
        "VoV3D-L", "vov3d_l", 16, 224, 9.3, 6.2,
        note="a reconstruction: widths chosen for these figures", top1=76.3, views=30,
    ),
    System("X3D-M", "x3d_m", 16, 256, 6.2, 3.8, top1=76.0, views=30),
    System("AutoX3D-M", "autox3d_m", 16, 256, 6.8, 3.5, note="a reconstruction", top1=76.7, views=30),
    System(
        "SlowFast 8x8, R101", "slowfast_8x8_r101", 32, 256, 106, 53.7,
        note="mmaction2 counts 126 G and 62.9 M for this network, as is counted here",
        top1=77.9, views=30,
    ),
    System("X3D-L", "x3d_l", 16, 356, 24.8, 6.1, top1=77.5, views=30),
    System("X3D-XL", "x3d_xl", 16, 356, 48.4, 11.1, top1=79.1, views=30),
    System("AutoX3D-L", "autox3d_l", 16, 356, 27.8, 6.2, note="a reconstruction", top1=78.8, views=30),
    System("TSM 8F", "tsm_r50", 8, 224, 32.9, 23.9, 174, top1=59.1),
    System("TSM 16F", "tsm_r50", 16, 224, 65.8, 23.9, 174, top1=63.4),
    System("STM 8F", "stm_r50", 8, 224, 33.3, 24.0, 174, top1=62.3),
    System("STM 16F", "stm_r50", 16, 224, 66.5, 24.0, 174, top1=64.2),
    System(
        "GST 8F", "gst_r50", 8, 224, 35.4, None, 174,
        note="the paper prints 35.4 G for 8 and for 16 frames, which can't both be; alpha 8 and beta 1 have 36.4 G at "
        "8 frames, this is GST's own alpha 4 and beta 2",
        top1=61.6,
    ),
    System("GST 16F", "gst_r50", 16, 224, 35.4, None, 174, note="as GST 8F", top1=62.6),
    System(
        "SmallBigNet 8F", "smallbignet_r50", 8, 224, 52, None, 174,
        note="two convolutions of a block see both views and the first has the stride, which gives the figure",
        top1=61.6,
    ),
    System("SmallBigNet 16F", "smallbignet_r50", 16, 224, 105, None, 174, top1=63.8),
    System(
        "X3D-S", "x3d_s", 13, 160, 2.0, 3.8, 174,
        note="3.33 M with 174 classes; the paper prints Kinetics' 3.8 M", top1=61.3,
    ),
    System("X3D-M", "x3d_m", 16, 224, 4.7, 3.8, 174, note="as X3D-S", top1=62.7),
    System(
        "AutoX3D-S", "autox3d_s", 13, 160, 2.2, 3.5, 174,
        note="a reconstruction; 3.09 M with 174 classes", top1=62.1,
    ),
    System("AutoX3D-M", "autox3d_m", 16, 224, 5.3, 3.5, 174, note="as AutoX3D-S", top1=63.4),
    System(
        "C3D", "c3d", 16, 112, 38.5, 78.4,
        note="not in the tables, but in section 2; 78.4 M has 101 classes",
    ),
)  # fmt: skip

MISSING = (
    (
        "Dynamic Inference",
        "stops early on a grid of frames and depth with an online shift on MSDNet or ResNet; the two pages of the "
        "workshop paper give neither the thresholds, the checkpoints' places nor their heads, and 35.4 G is an average "
        "over videos that no network has by itself",
    ),
    ("I3D + STIN + OIE", "reads the boxes of hands and objects beside the video, which no list here holds"),
)

_HEAD = """\
# Models

Every system of the paper's Tables 5 and 6 that can be built, with its multiply-adds and parameters counted here beside
those published. GFLOPs are 1e9 multiply-adds of convolutions, linear layers and matrix products of one view. Where the
two differ by more than 3% the note says why. Nothing here is an accuracy: no weights are published for any of them.

This page is generated, and a test keeps it true:

    python projects/autox3d/models_table.py --output docs/models.md

`name` is what `torch.hub` and `autox3d bench model --models NAME --clip TxS` know, and the name of the config that
trains it in [configs/baselines](../configs/baselines); those of AutoX3D and X3D are in configs/autox3d. The clip is
that of the published figure. A system on videos of one's own, and any of them in small on the demo's:

    autox3d run --cfg baselines/tsm_r50.yaml DATA.PATH_TO_DATA_DIR /data/mine MODEL.NUM_CLASSES 12 OUTPUT_DIR output/tsm
    autox3d run --cfg baselines/mfnet.yaml baselines/on_demo.yaml

`projects/autox3d/table5.py` and `table6.py` train all of them on one's data and print the paper's rows beside.

| system | name | clip | classes | GFLOPs | published | parameters, M | published | note |
|---|---|---|---|---|---|---|---|---|
"""

_TAIL = """
## Public weights

    autox3d convert-checkpoint resnet50.pth tsm_imagenet.pyth --model tsm_r50

writes a checkpoint of another code base under our names; `TRAIN.CHECKPOINT_FILE_PATH` starts from it, with a fresh
classifier where the classes differ. Which layout a file has is recognised: PyTorchVideo's hub; PySlowFast's Slow, C2D,
I3D and SlowFast; torchvision's VideoResNet, S3D, 2-D ResNet and MobileNetV2; the TSM authors' ResNet and MobileNetV2.
2-D kernels are inflated by I3D's rule: repeated over time, divided by the number of repetitions. What a system adds to
its 2-D network (STM's motion, GST's temporal group, SmallBigNet's second normalisation, S3D-G's gates) starts afresh,
and the command says so. X3D's weights go the other way too, with `--to`.
"""


@cache
def counted(system: System) -> tuple[float, float]:
    """GFLOPs and millions of parameters of the row."""
    entry = HUB[system.hub]
    with on_meta():
        model = entry.build(num_classes=system.classes)
    params = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    stated = {entry.train_crop: entry.train_macs, entry.test_crop: entry.test_macs}
    macs = stated.get(system.crop) if system.frames == entry.clip_length else None
    if macs is None:
        macs = count_module(model, (system.frames, system.crop, system.crop), in_channels=model.in_channels).macs
    return macs / 1e9, params


def table() -> str:
    """The page."""
    lines = [_line(system) for system in SYSTEMS]
    missing = "\n".join(f"- **{name}** {reason}." for name, reason in MISSING)
    return f"{_HEAD}{chr(10).join(lines)}\n\nNot built:\n\n{missing}\n{_TAIL}"


def _line(system: System) -> str:
    gflops, params = counted(system)
    clip = f"{system.frames} x {system.crop}^2"
    cells = (
        system.name, f"`{system.hub}`", clip, str(system.classes), f"{gflops:.4g}", _published(system.gflops, gflops),
        f"{params:.2f}", _published(system.params, params), system.note,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _published(published: float | None, here: float) -> str:
    return "-" if published is None else f"{published:g} ({here / published - 1:+.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=None, metavar="FILE")
    args = parser.parse_args()
    page = table()
    print(page)
    if args.output:
        with atomic_write(args.output) as beside:
            beside.write_text(page, encoding="utf8")


if __name__ == "__main__":
    main()
