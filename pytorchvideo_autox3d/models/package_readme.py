"""The README.md of a package: its card for people, with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytorchvideo_autox3d.models.card import ModelCard

_SHOWN_CLASSES = 50


def package_readme(card: ModelCard, *, name: str, description: str, license: str, measured: Mapping[str, Any]) -> str:
    """The text of a package's README.md, in Markdown; the arguments besides the card are those of `Release`."""
    clip = card.preprocessing
    lines = [
        "---",
        f"license: {license.lower()}",
        "library_name: pytorchvideo_autox3d",
        "pipeline_tag: video-classification",
        "---",
        "",
        f"# {name}",
        "",
        *([description, ""] if description else []),
        "    pip install pytorchvideo_autox3d",
        "    autox3d predict --model PATH/OF/THIS/FOLDER video.mp4",
        "",
        "```python",
        "from pytorchvideo_autox3d.predict import Recognizer",
        "",
        'print(Recognizer.from_package("PATH/OF/THIS/FOLDER")("video.mp4").top)',
        "```",
        "",
        "| | |",
        "|---|---|",
        f"| network | {card.model} |",
        f"| clip | {clip.num_frames} frames, every {clip.sampling_rate} at {clip.fps:g} frames a second |",
        f"| picture | {clip.crop_size} x {clip.crop_size}, the short side scaled to {clip.short_side} |",
        f"| normalisation | (value / 255 - mean) / std, mean {list(clip.mean)}, std {list(clip.std)} |",
        f"| views of a video | {card.num_clips} clips x {card.num_crops} crops |",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in measured.items()),
        f"| licence | {license} |",
        "",
        f"Classes ({card.num_classes}): {_named(card.labels)}",
        "",
    ]
    return "\n".join(lines)


def _named(labels: tuple[str, ...]) -> str:
    more = f", and {len(labels) - _SHOWN_CLASSES} more in config.json" if len(labels) > _SHOWN_CLASSES else ""
    return ", ".join(labels[:_SHOWN_CLASSES]) + more
