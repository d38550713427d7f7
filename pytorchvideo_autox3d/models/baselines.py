"""Baselines in the same registry and contract: logits from one clip tensor of any size, in train and eval.

They are pytorchvideo's own networks; only their heads change (adaptive pooling, no softmax in eval), which at the
training size is the same computation, and their depthwise convolutions run on this package's kernels.
`MobileNetV2_3D` is in `mobilenet.py`, `SlowFast` in `slowfast_net.py`.
"""

from __future__ import annotations

from typing import Any

from pytorchvideo.models.csn import create_csn
from pytorchvideo.models.net import Net
from pytorchvideo.models.r2plus1d import create_r2plus1d
from pytorchvideo.models.resnet import create_resnet
from pytorchvideo.models.x3d import create_x3d
from torch import nn

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels import accelerate
from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments, check_depth
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

# pytorchvideo's X3D builder asserts a crop of at least its stride; with the pool made adaptive no size matters.
_MOST_DEPTH = 100  # X3D-XL has 5
_X3D_CROP = 160
DEPTHS = (50, 101, 152)


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
    """X3D (Feichtenhofer, CVPR 2020). XS, S and M have depth factor 2.2, L 5.0, and XL 5.0 with width factor 2.9.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        width_factor, depth_factor, bottleneck_factor: X3D's expansion factors of channels, of blocks, and of the
            channels inside a block.
        stem_channels: channels of the stem, before `width_factor`.
        head_hidden: channels of the hidden layer of the head.
        head_norm_hidden: whether a batch norm follows the hidden layer (BN_LIN5 in PySlowFast).
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate)
    if not 0 < depth_factor <= _MOST_DEPTH:
        raise ModelError(f"depth_factor is {depth_factor:g}, expected above 0 and up to {_MOST_DEPTH}")
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
    check_depth(model_depth, DEPTHS)
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
    check_depth(model_depth, DEPTHS)
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


def _resnet(arguments: CommonArguments, model_depth: int, **options: Any) -> ClipNet:
    """pytorchvideo's ResNet with the arguments that all of its variants here share."""
    check_depth(model_depth, DEPTHS)
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
