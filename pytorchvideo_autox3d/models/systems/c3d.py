"""C3D (Tran et al., ICCV 2015): eight 3x3x3 convolutions, five pools and two hidden linear layers.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

# Channels of the convolutions of each stage (section 3.3); every stage ends in a pool.
_STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))
_HIDDEN = 4096
# Four pools of 2 over time, five of 2 over space of which the last is padded.
_SMALLEST = (16, 16, 16)


class FixedSizeNet(ClipNet):
    """A `ClipNet` whose linear layers see every position of the map, so that it takes one clip size alone."""

    takes_one_size = True

    def _checked(self, clip: Any) -> torch.Tensor:
        """The clip as a tensor; `ModelError` where it has another size than the network was built for."""
        checked = super()._checked(clip)
        wanted = (self.input_clip_length, self.input_crop_size, self.input_crop_size)
        if not torch.jit.is_tracing() and tuple(checked.shape[2:]) != wanted:
            size = " x ".join(map(str, checked.shape[2:]))
            raise ModelError(f"C3D was built for clips of {' x '.join(map(str, wanted))}, got one of {size}")
        return checked


class FlatHead(nn.Module):
    """Flatten, two hidden linear layers with ReLU and dropout, linear to the classes.

    Args:
        in_features: numbers of a flattened map.
        num_classes: classes.
        dropout_rate: after each hidden layer.
    """

    def __init__(self, in_features: int, num_classes: int, dropout_rate: float) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            OrderedDict(
                fc6=nn.Linear(in_features, _HIDDEN),
                relu6=nn.ReLU(),
                dropout6=nn.Dropout(dropout_rate),
                fc7=nn.Linear(_HIDDEN, _HIDDEN),
                relu7=nn.ReLU(),
                dropout7=nn.Dropout(dropout_rate),
            )
        )
        self.proj = nn.Linear(_HIDDEN, num_classes)

    def forward(self, map_BCTHW: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of a map (B, C, T, H, W)."""
        # A map in channels_last_3d is flattened in the order of its dimensions all the same.
        logits_BK: torch.Tensor = self.proj(self.hidden(map_BCTHW.reshape(len(map_BCTHW), -1)))
        return logits_BK


@MODEL_REGISTRY.register(name="C3D")
def create_c3d(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 16,
    input_crop_size: int = 112,
    dropout_rate: float = 0.5,
    in_channels: int = 3,
) -> ClipNet:
    """C3D; its linear layers fix the clip size, so tests take clips as large as training does.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range, or the clips are below 16 x 16^2, of which the pools leave nothing.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    size = (input_clip_length, input_crop_size, input_crop_size)
    if any(given < least for given, least in zip(size, _SMALLEST, strict=True)):
        least = " x ".join(map(str, _SMALLEST))
        raise ModelError(
            f"C3D takes clips of {least} or more, got input_clip_length {size[0]}, input_crop_size {size[1]}"
        )
    blocks: list[nn.Module] = []
    width = in_channels
    for number, stage in enumerate(_STAGES):
        layers: list[nn.Module] = []
        for channels in stage:
            layers += [nn.Conv3d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
        layers.append(_pool(number))
        blocks.append(nn.Sequential(*layers))
    # The last pool is padded on both sides: n -> (n + 2) // 2.
    positions = input_clip_length // 16 * ((input_crop_size // 16 + 2) // 2) ** 2
    head = FlatHead(width * positions, model_num_class, dropout_rate)
    return FixedSizeNet(
        [*blocks, head],
        num_features=width,
        input_clip_length=arguments.input_clip_length,
        input_crop_size=arguments.input_crop_size,
        in_channels=arguments.in_channels,
    )


def _pool(stage: int) -> nn.MaxPool3d:
    """The pool that ends a stage: the first keeps time; the last is padded in space, 7 -> 4."""
    if stage == 0:
        return nn.MaxPool3d((1, 2, 2))
    return nn.MaxPool3d(2, padding=(0, 1, 1) if stage == len(_STAGES) - 1 else 0)
