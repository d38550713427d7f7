"""What the systems share: their arguments' checks, the last steps of building, and networks of two streams.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from pytorchvideo_autox3d.kernels.depthwise import accelerate
from pytorchvideo_autox3d.models.heads import create_linear_head
from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments

RGB_CHANNELS, FLOW_CHANNELS = 3, 2
TWO_STREAM_CHANNELS = RGB_CHANNELS + FLOW_CHANNELS


def finish(stages: Sequence[nn.Module], arguments: CommonArguments, *, num_features: int) -> ClipNet:
    """Join the stages and a head (global average pool, dropout, linear layer) into a network, and initialise it.

    Args:
        stages: what comes before the head.
        arguments: of the network.
        num_features: channels that the last stage gives.
    """
    head = create_linear_head(
        in_channels=num_features, num_classes=arguments.model_num_class, dropout_rate=arguments.dropout_rate
    )
    net = ClipNet(
        [*stages, head],
        num_features=num_features,
        input_clip_length=arguments.input_clip_length,
        input_crop_size=arguments.input_crop_size,
        in_channels=arguments.in_channels,
    )
    accelerate(net)
    return net


class TwoStreams(nn.Module):
    """A colour and a flow network side by side: clip (B, 3 + 2, T, H, W) -> their maps joined along C."""

    def __init__(self, rgb: nn.Module, flow: nn.Module) -> None:
        super().__init__()
        self.rgb, self.flow = rgb, flow

    def forward(self, clip_BCTHW: torch.Tensor) -> torch.Tensor:
        """The maps (B, C, T', H', W') of both streams, joined along C."""
        rgb_BCTHW, flow_BCTHW = clip_BCTHW.split((RGB_CHANNELS, FLOW_CHANNELS), dim=1)
        return torch.cat((self.rgb(rgb_BCTHW), self.flow(flow_BCTHW)), dim=1)


def join_streams(build: Callable[..., ClipNet], arguments: CommonArguments) -> ClipNet:
    """One network of two streams that `build` makes, whose logits are the sum of both streams' logits.

    A linear layer over both maps' pooled channels is the sum of a linear layer over each, so one head serves both.
    The papers train the streams apart and average their scores: that takes two runs and `autox3d fuse`.

    Args:
        build: makes one stream from `input_clip_length`, `input_crop_size` and `in_channels`.
        arguments: of both streams together, so `in_channels` is `TWO_STREAM_CHANNELS`.
    """
    size = {"input_clip_length": arguments.input_clip_length, "input_crop_size": arguments.input_crop_size}
    rgb, flow = build(**size), build(**size, in_channels=FLOW_CHANNELS)
    return finish(
        [TwoStreams(rgb.backbone(), flow.backbone())], arguments, num_features=rgb.num_features + flow.num_features
    )
