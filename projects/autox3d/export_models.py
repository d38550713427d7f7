"""Export every network of the registry at its full depth, for every runtime that is installed, and compare with eager.

    python projects/autox3d/export_models.py --output output/exports.json     # go on where it stopped, print the table
    python projects/autox3d/export_models.py --models x3d_s C2D --formats onnx openvino

The networks are those of the hub and the models of the registry that have no name there. Clips are as long as the
network's own and small (--size), so that a network of hundreds of layers takes seconds. The statistics of every batch
norm are those of a few random clips: with fresh ones logits would hardly depend on the clip.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import simplejson
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.errors import ExportError
from pytorchvideo_autox3d.export import TARGETS, export_model
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.models import ClipNet
from pytorchvideo_autox3d.models.hub import HUB
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

# Whose classifier takes one size of map only.
FIXED_SIZES = {"c3d": 112}
LOWERED = "onnx_4d"
FORMATS = ("onnx", "openvino", "torch_export", LOWERED, "executorch", "litert")
SETTLING_CLIPS = 4


def builders() -> dict[str, Callable[..., ClipNet]]:
    """Every network of the hub, and every model of the registry that the hub has no entry for, by name."""
    of_hub = {name: entry.build for name, entry in HUB.items()}
    seen = {entry.model for entry in HUB.values()}
    return of_hub | {name: builder for name, builder in MODEL_REGISTRY if name not in seen}


def main() -> None:
    """Export what the file does not hold yet, and print all of it."""
    known = list(builders())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=known, choices=known, metavar="NAME")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=[*TARGETS, LOWERED],
                        help=f"{LOWERED}: onnx of the network lowered to four dimensions")  # fmt: skip
    parser.add_argument("--size", type=int, default=64, help="height and width of the clips")
    parser.add_argument("--output", type=Path, default=Path("output/exports.json"))
    args = parser.parse_args()
    rows = simplejson.loads(args.output.read_text()) if args.output.is_file() else {}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    for name in track(args.models, "exporting"):
        left = [format for format in args.formats if format not in rows.get(name, {})]
        if not left:
            continue
        model, clip = network(name, args.size)
        for format in left:
            rows[name] = {**rows.get(name, {}), format: attempt(model, clip, format)}
            write_json(args.output, rows)
    print(table({name: rows[name] for name in args.models}, args.formats))


def network(name: str, size: int) -> tuple[ClipNet, Tensor]:
    """A settled network and a clip of its own length."""
    torch.manual_seed(0)
    size = FIXED_SIZES.get(name, size)
    model = builders()[name](input_crop_size=size)
    clip = torch.randn(1, model.in_channels, model.input_clip_length, size, size)
    return settled(model, torch.randn(SETTLING_CLIPS, *clip.shape[1:])), clip


def attempt(model: ClipNet, clip: Tensor, format: str) -> dict[str, Any]:
    """Export and compare; an exporter that refuses says why."""
    export = (
        partial(export_model, format="onnx", lower="4d") if format == LOWERED else partial(export_model, format=format)
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = export(model, Path(folder, "net"), clip=clip)
        except ExportError as error:
            return {"error": str(error).rpartition(f"{folder}/")[2]}
    kept = ("clip", "runtime", "max_difference", "relative_difference", "eager_error", "exported_error", "bytes")
    return {key: value for key, value in report.to_dict().items() if key in kept}


def settled(model: ClipNet, clips: Tensor) -> ClipNet:
    """In eval, every batch norm with the statistics of what arrives there, none of them at weight zero."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = 1.0
            nn.init.ones_(module.weight)
    with torch.no_grad():
        model.train()(clips)
    return model.eval()


def table(rows: dict[str, Any], formats: list[str]) -> str:
    """The rows as a table for a document; differences relative to the largest logit, where that exceeds 1."""
    lines = ["| network | clip | " + " | ".join(formats) + " |", "|---" * (2 + len(formats)) + "|"]
    for name, row in rows.items():
        cells = [row[format] for format in formats]
        clip = next((cell["clip"] for cell in cells if "clip" in cell), [0])
        lines.append(f"| {name} | {' x '.join(map(str, clip[1:]))} | {' | '.join(map(shown, cells))} |")
    return "\n".join(lines)


def shown(cell: dict[str, Any]) -> str:
    """A cell of the table: the difference; from float64, where eager is far from it itself; or the refusal."""
    if "error" in cell:
        return str(cell["error"])
    if cell["eager_error"] is not None:
        return f"{cell['exported_error']:.0e} from float64 (eager {cell['eager_error']:.0e})"
    return f"{cell['relative_difference']:.0e}"


if __name__ == "__main__":
    main()
