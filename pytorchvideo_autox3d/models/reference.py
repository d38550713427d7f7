"""Reference architectures S, M and L, reconstructed from the paper's published constraints.

The paper draws its searched architecture (Figure 5) but does not list its choices. These were solved for
(projects/autox3d/solve_reference.py) so that all published multiply-adds and parameters of AutoX3D-S, M and L hold
at once and what the text says about Figure 5 is true. They are not the authors' networks and have no published
accuracy.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.space import Architecture

REFERENCE_PATH = Path(__file__).with_name("reference.json")


@dataclass(frozen=True)
class ReferenceModel:
    """How a reference architecture is trained and tested (paper, section 5.3.1 and Table 5).

    Args:
        name: "S", "M" or "L".
        clip_length: frames of a clip.
        sampling_rate: one frame in so many is taken, at 30 frames a second, as by X3D's model of the same name.
        train_crop: height and width of a training clip, in pixels.
        test_crop: height and width of a test clip, in pixels.
        depth_factor: multiplies the blocks of every group.
    """

    name: str
    clip_length: int
    sampling_rate: int
    train_crop: int
    test_crop: int
    depth_factor: float

    @property
    def architecture(self) -> Architecture:
        """The architecture; S, M and L share one."""
        return reference_architecture(self.name)


REFERENCE_MODELS = {
    "S": ReferenceModel("S", clip_length=13, sampling_rate=6, train_crop=160, test_crop=182, depth_factor=1.0),
    "M": ReferenceModel("M", clip_length=16, sampling_rate=5, train_crop=224, test_crop=256, depth_factor=1.0),
    "L": ReferenceModel("L", clip_length=16, sampling_rate=5, train_crop=312, test_crop=356, depth_factor=2.0),
}


def reference_model(name: str) -> ReferenceModel:
    """The record of reference model "S", "M" or "L".

    Raises:
        ModelError: there is no such reference model.
    """
    if name not in REFERENCE_MODELS:
        raise ModelError(f"no reference architecture {name!r}; there are {', '.join(REFERENCE_MODELS)}")
    return REFERENCE_MODELS[name]


def reference_architecture(name: str) -> Architecture:
    """The reference architecture of AutoX3D-S, M or L: reconstructed from published constraints.

    It meets the paper's published multiply-adds and parameters within 3% (Tables 5 and 6). It is not the authors'
    network, which is unpublished, and has no published accuracy. M and L are S at other clip sizes, L with depth
    factor 2 (`reference_model` has both).

    Raises:
        ModelError: there is no such reference architecture.
    """
    reference_model(name)
    return _reference()


@functools.cache
def _reference() -> Architecture:
    return Architecture.from_json(REFERENCE_PATH)
