"""Baselines in the same registry and contract: logits from one clip tensor of any size, in train and eval.

They are pytorchvideo's own networks; only their heads change (adaptive pooling, no softmax in eval), which at the
training size is the same computation, and their depthwise convolutions run on this package's kernels.
`MobileNetV2_3D` is in `mobilenet.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorchvideo.models.csn import create_csn
from pytorchvideo.models.net import Net
from pytorchvideo.models.r2plus1d import create_r2plus1d
from pytorchvideo.models.resnet import create_resnet
from pytorchvideo.models.slowfast import create_slowfast
from pytorchvideo.models.x3d import create_x3d
from torch import nn

from pytorchvideo_autox3d.kernels import accelerate
from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments, check_depth, check_positive
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

# pytorchvideo's X3D builder asserts a crop of at least its stride; with the pool made adaptive no size matters.
_X3D_CROP = 160
_DEPTHS = (50, 101, 152)


@MODEL_REGISTRY.register(name="X3D")
def create_x3d_baseline(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 13,
    input_crop_size: int = 160,
    dropout_rate: float = 0.5,
    width_factor: float = 2.0,
    depth_factor: float = 2.2,
    bottleneck_factor: float = 2.25,
    stem_channels: int = 12,
    head_hidden: int = 2048,
    head_norm_hidden: bool = False,
) -> ClipNet:
    """X3D (Feichtenhofer, CVPR 2020). XS, S and M are depth 2.2; L is depth 5.0; XL is width 2.9, depth 5.0.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        width_factor, depth_factor, bottleneck_factor: X3D's expansion axes of channels, of blocks, and of the channels
            inside a block.
        stem_channels: channels of the stem, before `width_factor`.
        head_hidden: channels of the hidden layer of the head.
        head_norm_hidden: whether a batch norm follows the hidden layer (BN_LIN5 in PySlowFast).
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    net = create_x3d(
        input_clip_length=input_clip_length,
        input_crop_size=max(_X3D_CROP, input_crop_size),
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        width_factor=width_factor,
        depth_factor=depth_factor,
        bottleneck_factor=bottleneck_factor,
        stem_dim_in=stem_channels,
        inner_act=nn.SiLU,
        head_dim_out=head_hidden,
        head_bn_lin5_on=head_norm_hidden,
        head_activation=None,
    )
    net.blocks[-1].pool.pool = nn.AdaptiveAvgPool3d(1)
    features = net.blocks[-1].pool.pre_conv.in_channels
    return _adopt(net, features, arguments)


@MODEL_REGISTRY.register(name="Slow")
def create_slow(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
) -> ClipNet:
    """The Slow pathway alone (Feichtenhofer et al., ICCV 2019); pytorchvideo's `slow_r50` at depth 50.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        model_depth: 50, 101 or 152.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    return _resnet(
        arguments,
        model_depth,
        stem_conv_kernel_size=(1, 7, 7),
    )


@MODEL_REGISTRY.register(name="C2D")
def create_c2d(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
) -> ClipNet:
    """A ResNet without temporal convolutions (Wang et al., CVPR 2018); pytorchvideo's `c2d_r50` at depth 50.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        model_depth: 50, 101 or 152.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    return _resnet(
        arguments,
        model_depth,
        stem_conv_kernel_size=(1, 7, 7),
        stage1_pool=nn.MaxPool3d,
        stage_conv_a_kernel_size=((1, 1, 1),) * 4,
    )


@MODEL_REGISTRY.register(name="I3D_ResNet")
def create_i3d_resnet(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
) -> ClipNet:
    """I3D on a ResNet, as Wang et al. (CVPR 2018) inflate it; pytorchvideo's `i3d_r50` at depth 50.

    The I3D of Carreira and Zisserman (CVPR 2017) inflates Inception.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        model_depth: 50, 101 or 152.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    alternating = [(3, 1, 1), (1, 1, 1)]
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    return _resnet(
        arguments,
        model_depth,
        stem_conv_kernel_size=(5, 7, 7),
        stage1_pool=nn.MaxPool3d,
        stage_conv_a_kernel_size=((3, 1, 1), alternating, alternating, alternating[::-1]),
    )


@MODEL_REGISTRY.register(name="R2Plus1D_Bottleneck")
def create_r2plus1d_bottleneck(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 16,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
) -> ClipNet:
    """R(2+1)D on a bottleneck ResNet, as pytorchvideo builds it; Tran et al. (CVPR 2018) use basic blocks.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        model_depth: 50, 101 or 152.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    check_depth(model_depth, _DEPTHS)
    net = create_r2plus1d(
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        model_depth=model_depth,
        head_pool=nn.AdaptiveAvgPool3d,
        head_activation=None,
    )
    return _adopt(net, net.blocks[-1].proj.in_features, arguments)


@MODEL_REGISTRY.register(name="IR_CSN")
def create_ir_csn(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 32,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
) -> ClipNet:
    """Interaction-reduced channel-separated network (Tran et al., ICCV 2019), as pytorchvideo builds it.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        model_depth: 50, 101 or 152.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    check_depth(model_depth, _DEPTHS)
    net = create_csn(
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        model_depth=model_depth,
        stem_pool=nn.MaxPool3d,
        head_pool=nn.AdaptiveAvgPool3d,
    )
    return _adopt(net, net.blocks[-1].proj.in_features, arguments)


# What these were called before their names said which variant they are.
for _old, _new in (("I3D", "I3D_ResNet"), ("R2Plus1D", "R2Plus1D_Bottleneck"), ("CSN", "IR_CSN")):
    MODEL_REGISTRY.rename(_old, _new)


class SlowFastNet(ClipNet):
    """pytorchvideo's SlowFast fed with one clip: the Fast pathway sees all frames, the Slow one every alpha-th."""

    alpha: int

    def _prepare(self, clip_BCTHW: torch.Tensor) -> list[torch.Tensor]:
        frames = clip_BCTHW.shape[2]
        # As many frames as the fusion convolutions of stride alpha give; at equal distances, as PySlowFast packs them.
        index = torch.linspace(0, frames - 1, -(-frames // self.alpha), device=clip_BCTHW.device).long()
        return [clip_BCTHW.index_select(2, index), clip_BCTHW]


@MODEL_REGISTRY.register(name="SlowFast")
def create_slowfast_baseline(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 32,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
    alpha: int = 8,
    beta_inv: int = 8,
    fusion_ratio: int = 2,
    fusion_kernel: int = 5,
) -> SlowFastNet:
    """SlowFast (Feichtenhofer et al., ICCV 2019). 4x16 is alpha 8, fusion kernel 5; 8x8 is alpha 4, kernel 7.

    `input_clip_length` counts the Fast pathway's frames. The map before the head is already pooled.

    Args:
        model_num_class, input_crop_size, dropout_rate: see `CommonArguments`.
        input_clip_length: frames of the Fast pathway.
        model_depth: 50, 101 or 152.
        alpha: the Fast pathway has `alpha` times the Slow one's frames.
        beta_inv: the Slow pathway has `beta_inv` times the Fast one's channels.
        fusion_ratio: channels of the lateral connections over those of the Fast pathway.
        fusion_kernel: length in frames of the lateral connections.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    check_depth(model_depth, _DEPTHS)
    check_positive(alpha=alpha, beta_inv=beta_inv, fusion_ratio=fusion_ratio, fusion_kernel=fusion_kernel)
    net = create_slowfast(
        slowfast_channel_reduction_ratio=(beta_inv,),
        slowfast_conv_channel_fusion_ratio=fusion_ratio,
        slowfast_fusion_conv_kernel_size=(fusion_kernel, 1, 1),
        slowfast_fusion_conv_stride=(alpha, 1, 1),
        stem_dim_outs=(64, 64 // beta_inv),
        model_depth=model_depth,
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        head_pool=nn.AdaptiveAvgPool3d,
        # One output size a pathway.
        head_output_size=((1, 1, 1), (1, 1, 1)),
    )
    features = net.blocks[-1].proj.in_features
    model = SlowFastNet(
        net.blocks,
        num_features=features,
        input_clip_length=arguments.input_clip_length,
        input_crop_size=arguments.input_crop_size,
    )
    model.alpha = alpha
    return model


def _resnet(arguments: CommonArguments, model_depth: int, **options: Any) -> ClipNet:
    """pytorchvideo's ResNet with the arguments that all of its variants here share."""
    check_depth(model_depth, _DEPTHS)
    net = create_resnet(
        model_depth=model_depth,
        model_num_class=arguments.model_num_class,
        dropout_rate=arguments.dropout_rate,
        head_pool=nn.AdaptiveAvgPool3d,
        head_output_size=(1, 1, 1),
        **options,
    )
    return _adopt(net, net.blocks[-1].proj.in_features, arguments)


def _adopt(net: Net, features: int, arguments: CommonArguments) -> ClipNet:
    accelerate(net)
    return ClipNet(
        net.blocks,
        num_features=features,
        input_clip_length=arguments.input_clip_length,
        input_crop_size=arguments.input_crop_size,
    )
