"""`torch.export`: the network as torch's own portable graph, for any program that has torch and nothing of ours."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.export.targets import Runner
from pytorchvideo_autox3d.export.targets.silence import silenced

_FILE = "metadata.json"


def write(
    model: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, str], dynamic_batch: bool = False
) -> None:
    """Write the exported program, with `metadata` as an extra file inside it."""
    shapes = ({0: torch.export.Dim("batch", min=1)},) if dynamic_batch else None
    example = torch.cat([example] * 2) if dynamic_batch and example.shape[0] == 1 else example
    with torch.no_grad(), silenced():
        program = torch.export.export(model, (example,), dynamic_shapes=shapes)
        torch.export.save(program, str(path), extra_files={_FILE: json.dumps(dict(metadata))})


def load(path: Path, *, threads: int = 0) -> Runner:
    """Open a program to be run by torch itself; `threads` is not used, torch's own number is."""
    program = torch.export.load(str(path)).module()

    def run(clip: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = program(clip)
        return logits

    return run


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata that `write` was given."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(_FILE)]
        return json.loads(archive.read(names[0])) if names else {}
