"""The depthwise convolutions that models meet in training, and the work in each."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models.hub import HUB
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

# The model of the demonstration: X3D at the size of its clips.
DEMO = {"depth_factor": 1.0, "input_clip_length": 8, "input_crop_size": 32}


@dataclass(frozen=True)
class Shape:
    """A depthwise convolution as a model meets it: input (B, C, T, H, W), kernel (t, s, s), stride (1, s, s)."""

    input: tuple[int, int, int, int, int]
    kernel: tuple[int, int, int]
    stride: tuple[int, int, int]

    @property
    def output_numel(self) -> int:
        """Values of the output."""
        batch, channels, *sizes = self.input
        return batch * channels * prod((n - 1) // s + 1 for n, s in zip(sizes, self.stride, strict=True))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one pass; forward pass, input gradient and weight gradient have the same number."""
        return self.output_numel * prod(self.kernel)

    def values_moved(self, which: str) -> int:
        """Tensor values that the pass `which` must read or write; the weight's are few and left out."""
        source, result = prod(self.input), self.output_numel
        forward, backward = source + result, 2 * source + result
        return {"forward": forward, "backward": backward, "both": forward + backward}[which]


def build_model(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """Build a model of the hub, or "demo"; return it with the size (T, H, W) of its training clip.

    Raises:
        ModelError: there is no such model.
    """
    if name == "demo":
        frames, size = DEMO["input_clip_length"], DEMO["input_crop_size"]
        return MODEL_REGISTRY.get("X3D")(model_num_class=5, **DEMO), (int(frames), int(size), int(size))
    if name not in HUB:
        raise ModelError(f"no model {name!r} to take shapes from; there are demo, {', '.join(HUB)}")
    return HUB[name].build(), HUB[name].clip


def shapes_of(name: str, batch_size: int) -> list[Shape]:
    """The distinct depthwise convolutions of a model's training step, in their order; nothing is computed.

    Args:
        name: as in `build_model`.
        batch_size: clips in the step.

    Raises:
        ModelError: there is no such model.
    """
    with torch.device("meta"):
        model, clip = build_model(name)
        found: dict[Shape, None] = {}

        def note(module: nn.Conv3d, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            batch, channels, frames, rows, columns = inputs[0].shape
            kernel, stride = tuple(module.kernel_size), tuple(module.stride)
            found[Shape((batch, channels, frames, rows, columns), kernel, stride)] = None  # type: ignore[arg-type]

        for module in model.modules():
            if isinstance(module, nn.Conv3d) and module.groups == module.in_channels > 1:
                module.register_forward_hook(note)
        model(torch.empty(batch_size, 3, *clip))
    return list(found)
