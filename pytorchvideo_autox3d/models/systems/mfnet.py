"""MF-Net (Chen et al., ECCV 2018): residual units of parallel fibers, that a multiplexer lets exchange information.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments
from pytorchvideo_autox3d.models.systems.common import finish
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

_FIBERS = 16
_STEM = 16
# Channels, units, stride of the first unit (Table 1 of the paper; the widths within a unit equal its output's).
_STAGES = (
    (96, 3, (2, 1, 1)),
    (192, 4, (1, 2, 2)),
    (384, 6, (1, 2, 2)),
    (768, 3, (1, 2, 2)),
)
_MULTIPLEXER_RATIO = 4

Size = tuple[int, int, int]


class NormActConv(nn.Sequential):
    """Normalisation and ReLU before the convolution, as in pre-activation ResNets.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: (t, h, w), odd; padded so that stride 1 keeps the size.
        stride: (t, h, w).
        groups: of the convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1), groups: int = 1
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        super().__init__(
            OrderedDict(
                norm=nn.BatchNorm3d(in_channels),
                activation=nn.ReLU(),
                conv=nn.Conv3d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False),
            )
        )


class MultiFiberUnit(nn.Module):
    """Multiplexer, then two grouped convolutions, 3 x 3 x 3 and 1 x 3 x 3, where each group is a fiber; both residual.

    In a unit that changes the shape the second is 1 x 1 x 1 and joins the fibers.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: (t, h, w) of the first convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: Size) -> None:
        super().__init__()
        narrow = out_channels // _MULTIPLEXER_RATIO
        self.multiplexer = nn.Sequential(NormActConv(in_channels, narrow), NormActConv(narrow, in_channels))
        reshaped = in_channels != out_channels or stride != (1, 1, 1)
        joining = NormActConv(out_channels, out_channels)
        apart = NormActConv(out_channels, out_channels, (1, 3, 3), groups=_FIBERS)
        self.fibers = nn.Sequential(
            NormActConv(in_channels, out_channels, (3, 3, 3), stride, _FIBERS), joining if reshaped else apart
        )
        self.shortcut = NormActConv(in_channels, out_channels, stride=stride) if reshaped else nn.Identity()

    def forward(self, map_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C', T', H', W')."""
        mixed_BCTHW = map_BCTHW + self.multiplexer(map_BCTHW)
        sum_BCTHW: torch.Tensor = self.fibers(mixed_BCTHW) + self.shortcut(map_BCTHW)
        return sum_BCTHW


@MODEL_REGISTRY.register(name="MFNet")
def create_mfnet(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 16,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    in_channels: int = 3,
) -> ClipNet:
    """MF-Net-3D: 16 fibers, stages of 96 to 768 channels.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    stem = OrderedDict(
        conv=nn.Conv3d(in_channels, _STEM, (3, 5, 5), (1, 2, 2), (1, 2, 2), bias=False),
        norm=nn.BatchNorm3d(_STEM),
        activation=nn.ReLU(),
        pool=nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    )
    stages: list[nn.Module] = [nn.Sequential(stem)]
    width = _STEM
    for channels, count, stride in _STAGES:
        units = [MultiFiberUnit(width, channels, stride)]
        units += [MultiFiberUnit(channels, channels, (1, 1, 1)) for _ in range(count - 1)]
        stages.append(nn.Sequential(*units))
        width = channels
    stages.append(nn.Sequential(nn.BatchNorm3d(width), nn.ReLU()))
    return finish(stages, arguments, num_features=width)
