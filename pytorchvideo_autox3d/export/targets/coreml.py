"""Core ML packages: converted here, run on Apple's machines only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.export.targets.silence import silenced

with silenced():  # it logs what it lacks elsewhere than on Apple's machines
    import coremltools


def write(
    model: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, str], dynamic_batch: bool = False
) -> None:
    """Write an ML program of 32-bit floats; `metadata` becomes its user-defined metadata."""
    with torch.no_grad(), silenced():
        program = torch.export.export(model, (example,)).run_decompositions({})
        converted = coremltools.convert(
            program,
            minimum_deployment_target=coremltools.target.iOS16,
            compute_precision=coremltools.precision.FLOAT32,
        )
        converted.user_defined_metadata.update(metadata)
        converted.save(str(path))


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata that `write` was given."""
    specification = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    return dict(specification.description.metadata.userDefined)
