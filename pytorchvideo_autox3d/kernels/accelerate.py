"""`accelerate`: puts a whole model on this package's kernels, in place.

Depthwise convolutions become `DepthwiseConv3d`. The blocks of pytorchvideo's and PySlowFast's X3D, SlowFast, ResNets
and CSN, known by their full names, get a forward pass that computes a batch norm together with the activation, the
squeeze-excitation and the residual behind it; so do plain sequences. A block's new class is a subclass of its own
class, and its layers stay what they were. Blocks that are not known, and blocks with a hook, run as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.kernels.batch_norm import watched
from pytorchvideo_autox3d.kernels.depthwise_conv import DepthwiseConv3d
from pytorchvideo_autox3d.kernels.fused_layers import FusedSequential, run_layers

Layers = Iterable[nn.Module | None]
Forward = Callable[[Any, Any], Any]


def _named(*names: str) -> Callable[[Any], Layers]:
    return lambda block: [getattr(block, name) for name in names]


def _two_convolutions(block: Any) -> Layers:
    """pytorchvideo's (2+1)D convolution, either part first."""
    first, last = (block.conv_xy, block.conv_t) if block.conv_xy_first else (block.conv_t, block.conv_xy)
    return [first, block.norm, block.activation, last]


# Blocks that call their layers one after another: how to list these.
_SEQUENCES: dict[str, Callable[[Any], Layers]] = {
    "pytorchvideo.models.resnet.BottleneckBlock": _named(
        "conv_a", "norm_a", "act_a", "conv_b", "norm_b", "act_b", "conv_c", "norm_c"
    ),
    "pytorchvideo.models.stem.ResNetBasicStem": _named("conv", "norm", "activation", "pool"),
    "pytorchvideo.models.x3d.ProjectedPool": _named(
        "pre_conv", "pre_norm", "pre_act", "pool", "post_conv", "post_norm", "post_act"
    ),
    "pytorchvideo.layers.convolutions.Conv2plus1d": _two_convolutions,
    "slowfast.models.resnet_helper.BasicTransform": _named("a", "a_bn", "a_relu", "b", "b_bn"),
    "slowfast.models.resnet_helper.BottleneckTransform": _named(
        "a", "a_bn", "a_relu", "b", "b_bn", "b_relu", "c", "c_bn"
    ),
    "slowfast.models.resnet_helper.X3DTransform": lambda block: block.children(),
    "slowfast.models.stem_helper.ResNetBasicStem": _named("conv", "bn", "relu", "pool_layer"),
    "slowfast.models.stem_helper.X3DStem": _named("conv_xy", "conv", "bn", "relu"),
}
# Blocks that lead the fast pathway into the slow one.
_FUSIONS: dict[str, Callable[[Any], Layers]] = {
    "pytorchvideo.models.slowfast.FuseFastToSlow": _named("conv_fast_to_slow", "norm", "activation"),
    "slowfast.models.video_model_builder.FuseFastToSlow": _named("conv_f2s", "bn", "relu"),
}


def _sequence_forward(layers: Callable[[Any], Layers]) -> Forward:
    return lambda block, x: run_layers(layers(block), x)


def _fusion_forward(layers: Callable[[Any], Layers]) -> Forward:
    def forward(block: Any, pathways: list[Tensor]) -> list[Tensor]:
        slow, fast = pathways
        return [torch.cat([slow, run_layers(layers(block), fast)], 1), fast]

    return forward


def _branch_layers(branch: Any) -> Layers | None:
    """The layers of a residual branch, whose last norm can then add the residual; None where it must be called."""
    listed = getattr(type(branch), "_autox3d_layers", None)
    return None if listed is None or watched(branch) else listed(branch)


def _is_addition(function: Any) -> bool:
    """Whether a function of two arguments only adds them; compares its bytecode with that of `x + y`."""
    code, adding = getattr(function, "__code__", None), (lambda x, y: x + y).__code__
    return code is not None and (code.co_code, code.co_argcount) == (adding.co_code, adding.co_argcount)


def _ptv_residual_forward(block: Any, x: Tensor) -> Tensor | None:
    layers = _branch_layers(block.branch2)
    if layers is None or not _is_addition(block.branch_fusion):
        return None
    shortcut = x if block.branch1_conv is None else run_layers([block.branch1_conv, block.branch1_norm], x)
    return run_layers(layers, x, residual=shortcut, activation=block.activation)


def _slowfast_residual_forward(block: Any, x: Tensor) -> Tensor | None:
    layers = _branch_layers(block.branch2)
    if layers is None or (block.training and block._drop_connect_rate > 0.0):
        return None
    shortcut = run_layers([block.branch1, block.branch1_bn], x) if hasattr(block, "branch1") else x
    return run_layers(layers, x, residual=shortcut, activation=block.relu)


_RESIDUALS: dict[str, Callable[[Any, Tensor], Tensor | None]] = {
    "pytorchvideo.models.resnet.ResBlock": _ptv_residual_forward,
    "slowfast.models.resnet_helper.ResBlock": _slowfast_residual_forward,
}


_classes: dict[type[nn.Module], type[nn.Module] | None] = {}


def _fused_class(original: type[nn.Module]) -> type[nn.Module] | None:
    """The subclass of a known block's class that runs fused, the same one at every call; None for any other class."""
    if original not in _classes:
        _classes[original] = _make_fused_class(original)
    return _classes[original]


def _make_fused_class(original: Any) -> type[nn.Module] | None:
    name = f"{original.__module__}.{original.__qualname__}"
    members: dict[str, Any] = {"__module__": __name__, "__reduce__": _reduce}
    if name in _SEQUENCES:
        members |= {"forward": _sequence_forward(_SEQUENCES[name]), "_autox3d_layers": staticmethod(_SEQUENCES[name])}
    elif name in _FUSIONS:
        members["forward"] = _fusion_forward(_FUSIONS[name])
    elif name in _RESIDUALS:
        fused = _RESIDUALS[name]

        def forward(block: Any, x: Tensor) -> Tensor:
            out = fused(block, x)
            return original.forward(block, x) if out is None else out

        members["forward"] = forward
    else:
        return None
    return type(f"Fused{original.__name__}", (original,), members)


def _reduce(block: nn.Module) -> tuple[Any, ...]:
    """Tell pickle and deepcopy how to rebuild a block, as its class exists in no module."""
    return _rebuild, (type(block).__bases__[0],), block.__dict__


def _rebuild(original: type[nn.Module]) -> nn.Module:
    fused = _fused_class(original)
    assert fused is not None
    return fused.__new__(fused)


def _depthwise(module: Any) -> bool:
    return type(module) is nn.Conv3d and module.groups == module.in_channels == module.out_channels > 1


def accelerate(model: nn.Module) -> int:
    """Put the layers and blocks of `model` that are known on the kernels, in place.

    The modules stay the same objects, so parameters, state_dict keys, hooks, training flags and references to them are
    untouched. Subclasses of known classes are left alone. The kernels return channels_last_3d tensors whatever the
    input's layout, so code behind them that needs contiguous memory takes `reshape` rather than `view`.

    Args:
        model: any module; may be part of a larger one.
    Returns:
        How many modules were changed; 0 where nothing is known.
    """
    count = 0
    for module in model.modules():
        fused = DepthwiseConv3d if _depthwise(module) else _fused_class(type(module))
        if fused is None and type(module) is nn.Sequential and any(type(m) is nn.BatchNorm3d for m in module):
            fused = FusedSequential
        if fused is not None:
            module.__class__ = fused
            count += 1
    return count
