"""Heads, registered in HEAD. Each pools adaptively, so any clip size works, and gives logits in train and eval."""

from __future__ import annotations

from collections.abc import Callable

from pytorchvideo.models.head import create_res_basic_head
from pytorchvideo.models.x3d import create_x3d_head
from torch import nn

from pytorchvideo_autox3d.kernels import accelerate
from pytorchvideo_autox3d.registry import HEAD_REGISTRY


@HEAD_REGISTRY.register(name="x3d")
def create_projected_head(
    *,
    in_channels: int,
    num_classes: int,
    channels: int = 432,
    hidden: int = 2048,
    dropout_rate: float = 0.5,
    norm: Callable[..., nn.Module] = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    norm_hidden: bool = False,
) -> nn.Module:
    """X3D's head: 1x1x1 conv, BN, ReLU, global average pool, linear to `hidden`, ReLU, dropout, linear to the classes.

    Args:
        in_channels: channels of the map that it receives.
        num_classes: classes.
        channels: of the convolution before the pool.
        hidden: of the linear layer after it.
        dropout_rate: before the last layer.
        norm, norm_eps, norm_momentum: make the batch norms.
        norm_hidden: whether one of them follows the hidden layer, as X3D can have it (BN_LIN5 in PySlowFast).
    """
    head = create_x3d_head(
        dim_in=in_channels,
        dim_inner=channels,
        dim_out=hidden,
        num_classes=num_classes,
        pool_kernel_size=None,
        norm=norm,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        bn_lin5_on=norm_hidden,
        dropout_rate=dropout_rate,
        activation=None,
    )
    accelerate(head)
    return head


@HEAD_REGISTRY.register(name="linear")
def create_linear_head(*, in_channels: int, num_classes: int, dropout_rate: float = 0.5) -> nn.Module:
    """Global average pool, dropout, linear to the classes."""
    return create_res_basic_head(
        in_features=in_channels, out_features=num_classes, pool=nn.AdaptiveAvgPool3d, dropout_rate=dropout_rate
    )
