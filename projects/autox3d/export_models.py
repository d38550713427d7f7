"""Export every network of the hub at its full depth, as it is and lowered to four dimensions, and compare with eager.

    python projects/autox3d/export_models.py --output output/exports.json     # go on where it stopped, print the table
    python projects/autox3d/export_models.py --models x3d_s autox3d_s --formats onnx openvino

Clips are as long as the network's own and small (--size), so that a network of hundreds of layers takes seconds. The
statistics of every batch norm are those of a few random clips: with fresh ones logits would hardly depend on the clip.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path
from typing import Any

import simplejson
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.errors import ExportError
from pytorchvideo_autox3d.export import TARGETS, export_model, fuse_for_inference, lower_to_4d
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.models import ClipNet
from pytorchvideo_autox3d.models.hub import HUB

# Whose classifier takes one size of map only.
FIXED_SIZES = {"c3d": 112}
LOWERED = "lowered"
SETTLING_CLIPS = 4


def main() -> None:
    """Export what the file does not hold yet, and print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(HUB), choices=list(HUB), metavar="NAME")
    parser.add_argument("--formats", nargs="+", default=["onnx", LOWERED], choices=[*TARGETS, LOWERED],
                        help=f"{LOWERED}: onnx of the network lowered to four dimensions")  # fmt: skip
    parser.add_argument("--size", type=int, default=64, help="height and width of the clips")
    parser.add_argument("--output", type=Path, default=Path("output/exports.json"))
    args = parser.parse_args()
    rows = simplejson.loads(args.output.read_text()) if args.output.is_file() else {}
    for name in track(args.models, "exporting"):
        left = [format for format in args.formats if format not in rows.get(name, {})]
        if left:
            rows[name] = {**rows.get(name, {}), **export(name, left, args.size)}
            args.output.parent.mkdir(parents=True, exist_ok=True)
            write_json(args.output, rows)
    print(table(rows, args.models, args.formats))


def export(name: str, formats: list[str], size: int) -> dict[str, Any]:
    """By format what came of it: the largest difference from eager, or the error.

    A fresh network can magnify rounding so much that eager itself is far from float64. Where a file disagrees with
    eager, `float64` has this distance and that of the converted network from eager, both in float64, and
    `initialised` what comes of the network with batch norms as initialised, in which the signal fades instead.
    """
    torch.manual_seed(0)
    size = FIXED_SIZES.get(name, size)
    fresh = HUB[name].build(input_crop_size=size).eval()
    clip = torch.randn(1, fresh.in_channels, HUB[name].clip_length, size, size)
    model = settled(copy.deepcopy(fresh), torch.randn(SETTLING_CLIPS, *clip.shape[1:]))
    rows = {}
    for format in formats:
        row = rows[format] = attempt(model, clip, format)
        if "logits differ" in row.get("error", ""):
            row["float64"] = in_float64(model, clip, format)
            row["initialised"] = attempt(fresh, clip, format)
    return rows


def in_float64(model: ClipNet, clip: Tensor, format: str) -> dict[str, float]:
    """How far eager in float32, and the converted network in float64, are from eager in float64."""
    double, clip64 = copy.deepcopy(model).double(), clip.double()
    converted = lower_to_4d(double, clip64) if format == LOWERED else fuse_for_inference(double, clip.shape)
    with torch.inference_mode():
        expected = double(clip64)
        return {
            "eager": float((model(clip) - expected).abs().max()),
            "converted": float((converted(clip64) - expected).abs().max()),
        }


def attempt(model: ClipNet, clip: Tensor, format: str) -> dict[str, Any]:
    """Export and compare; an exporter that refuses says why."""
    options = {"format": "onnx", "lower": "4d"} if format == LOWERED else {"format": format}
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = export_model(model, Path(folder, "net"), clip=clip, **options)
        except ExportError as error:
            return {"error": str(error).rpartition(f"{folder}/")[2]}
    found = {"max_difference": report.max_difference, "relative_difference": report.relative_difference}
    return {"clip": list(report.clip), **found, "bytes": report.bytes}


def settled(model: ClipNet, clips: Tensor) -> ClipNet:
    """In eval, every batch norm with the statistics of what arrives there, none of them at weight zero."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = 1.0
            nn.init.ones_(module.weight)
    with torch.no_grad():
        model.train()(clips)
    return model.eval()


def table(rows: dict[str, Any], models: list[str], formats: list[str]) -> str:
    """The rows as a table for a document; differences relative to the largest logit, where that exceeds 1."""
    lines = ["| network | clip | " + " | ".join(formats) + " |", "|---" * (2 + len(formats)) + "|"]
    for name in models:
        cells = [rows[name][format] for format in formats]
        clip = next(
            (cell["clip"] for cell in [*cells, *(one.get("initialised", {}) for one in cells)] if "clip" in cell), [0]
        )
        lines.append(f"| {name} | {' x '.join(map(str, clip[1:]))} | {' | '.join(map(shown, cells))} |")
    return "\n".join(lines)


def shown(cell: dict[str, Any]) -> str:
    """A cell of the table."""
    if "float64" not in cell:
        return cell.get("error") or f"{cell['relative_difference']:.1e}"
    distances = "eager {eager:.0e}, converted {converted:.0e} from float64".format(**cell["float64"])
    return f"settled: {distances}; as initialised {shown(cell['initialised'])}"


if __name__ == "__main__":
    main()
