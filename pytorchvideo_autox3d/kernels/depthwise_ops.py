"""The depthwise convolution as torch operators: forward, input gradient and weight gradient.

Each is registered with torch.library (fake, autograd, FLOP formula), so torch.compile, DDP and activation
checkpointing treat them like built-in ones. The three are bilinear and each one's derivative is made of the other
two, so they can be differentiated any number of times. A fourth operator, for inference and without gradients, adds a
bias and an activation to the forward pass. The kernels themselves are imported at the first call.

Shapes: x (B, C, T, H, W), weight (C, 1, t, s, s) with t and s odd, padding (t // 2, s // 2, s // 2), stride
(stride_t, stride_s, stride_s); results are channels_last_3d.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from pytorchvideo_autox3d.kernels.shapes import output_shape

_LIBRARY = torch.library.Library("autox3d", "DEF")
_LIBRARY.define("depthwise_conv3d(Tensor x, Tensor weight, int stride_t, int stride_s) -> Tensor")
_LIBRARY.define(
    "depthwise_conv3d_input_gradient(Tensor grad, Tensor weight, SymInt[] shape, int stride_t, int stride_s) -> Tensor"
)
_LIBRARY.define(
    "depthwise_conv3d_weight_gradient(Tensor grad, Tensor x, SymInt[] shape, int stride_t, int stride_s) -> Tensor"
)
_LIBRARY.define(
    "depthwise_conv3d_activated(Tensor x, Tensor weight, Tensor? bias, int stride_t, int stride_s, str activation)"
    " -> Tensor"
)
# Calling the overload skips the choice among overloads, which costs microseconds a call.
conv3d = torch.ops.autox3d.depthwise_conv3d.default
activated = torch.ops.autox3d.depthwise_conv3d_activated.default
input_gradient = torch.ops.autox3d.depthwise_conv3d_input_gradient.default
weight_gradient = torch.ops.autox3d.depthwise_conv3d_weight_gradient.default


# ------------------------------------------------------------------------------------------------------ kernels


def _cpu() -> ModuleType:
    from pytorchvideo_autox3d.kernels import depthwise_cpu

    return depthwise_cpu


def _register_kernels(key: str, kernels: Any) -> None:
    def forward(x: Tensor, weight: Tensor, stride_t: int, stride_s: int) -> Tensor:
        return kernels().forward(x, weight, (stride_t, stride_s))

    def to_input(grad: Tensor, weight: Tensor, shape: Sequence[int], stride_t: int, stride_s: int) -> Tensor:
        return kernels().input_gradient(grad, weight, tuple(shape), (stride_t, stride_s))

    def to_weight(grad: Tensor, x: Tensor, shape: Sequence[int], stride_t: int, stride_s: int) -> Tensor:
        return kernels().weight_gradient(grad, x, tuple(shape), (stride_t, stride_s))

    def to_activated(
        x: Tensor, weight: Tensor, bias: Tensor | None, stride_t: int, stride_s: int, activation: str
    ) -> Tensor:
        return kernels().forward_activated(x, weight, bias, (stride_t, stride_s), activation)

    _LIBRARY.impl("depthwise_conv3d", forward, key)
    _LIBRARY.impl("depthwise_conv3d_activated", to_activated, key)
    _LIBRARY.impl("depthwise_conv3d_input_gradient", to_input, key)
    _LIBRARY.impl("depthwise_conv3d_weight_gradient", to_weight, key)


def _gpu() -> ModuleType:
    from pytorchvideo_autox3d.kernels import depthwise_triton

    return depthwise_triton


_register_kernels("CPU", _cpu)
_register_kernels("CUDA", _gpu)


# --------------------------------------------------------------------------------------------- fake and autograd


def _channels_last(shape: Sequence[int], like: Tensor) -> Tensor:
    return torch.empty(tuple(shape), dtype=like.dtype, device=like.device, memory_format=torch.channels_last_3d)


@torch.library.register_fake("autox3d::depthwise_conv3d", lib=_LIBRARY)
def _fake_forward(x: Tensor, weight: Tensor, stride_t: int, stride_s: int) -> Tensor:
    return _channels_last(output_shape(x.shape, stride_t, stride_s), x)


@torch.library.register_fake("autox3d::depthwise_conv3d_activated", lib=_LIBRARY)
def _fake_activated(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride_t: int, stride_s: int, activation: str
) -> Tensor:
    return _channels_last(output_shape(x.shape, stride_t, stride_s), x)


@torch.library.register_fake("autox3d::depthwise_conv3d_input_gradient", lib=_LIBRARY)
def _fake_input_gradient(grad: Tensor, weight: Tensor, shape: Sequence[int], stride_t: int, stride_s: int) -> Tensor:
    return _channels_last(shape, grad)


@torch.library.register_fake("autox3d::depthwise_conv3d_weight_gradient", lib=_LIBRARY)
def _fake_weight_gradient(grad: Tensor, x: Tensor, shape: Sequence[int], stride_t: int, stride_s: int) -> Tensor:
    return grad.new_empty(tuple(shape))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, second, *_ = inputs
    ctx.save_for_backward(first, second)
    ctx.strides = inputs[-2:]


def _backward_forward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    to_x, to_weight, *_ = ctx.needs_input_grad
    return (
        input_gradient(grad, weight, x.shape, *ctx.strides) if to_x else None,
        weight_gradient(grad, x, weight.shape, *ctx.strides) if to_weight else None,
        None,
        None,
    )


def _backward_input_gradient(ctx: Any, gradgrad: Tensor) -> tuple[Tensor | None, ...]:
    grad, weight = ctx.saved_tensors
    to_grad, to_weight, *_ = ctx.needs_input_grad
    return (
        conv3d(gradgrad, weight, *ctx.strides) if to_grad else None,
        weight_gradient(grad, gradgrad, weight.shape, *ctx.strides) if to_weight else None,
        None,
        None,
        None,
    )


def _backward_weight_gradient(ctx: Any, gradgrad: Tensor) -> tuple[Tensor | None, ...]:
    grad, x = ctx.saved_tensors
    to_grad, to_x, *_ = ctx.needs_input_grad
    return (
        conv3d(x, gradgrad, *ctx.strides) if to_grad else None,
        input_gradient(grad, gradgrad, x.shape, *ctx.strides) if to_x else None,
        None,
        None,
        None,
    )


for _name, _backward in (
    ("depthwise_conv3d", _backward_forward),
    ("depthwise_conv3d_input_gradient", _backward_input_gradient),
    ("depthwise_conv3d_weight_gradient", _backward_weight_gradient),
):
    torch.library.register_autograd(f"autox3d::{_name}", _backward, setup_context=_save, lib=_LIBRARY)


# ---------------------------------------------------------------------------------------------------- FLOP count


@register_flop_formula(torch.ops.autox3d.depthwise_conv3d)
def _flop_forward(
    x_shape: Sequence[int], weight_shape: Sequence[int], *strides: int, out_shape: Any = None, **_: Any
) -> int:
    """Two operations per multiply-add, as torch counts a convolution (padding included)."""
    return 2 * prod(output_shape(x_shape, *strides)) * prod(weight_shape[2:])


@register_flop_formula(torch.ops.autox3d.depthwise_conv3d_activated)
def _flop_activated(
    x_shape: Sequence[int], weight_shape: Sequence[int], _bias: Any, *options: Any, out_shape: Any = None, **_: Any
) -> int:
    return _flop_forward(x_shape, weight_shape, *options[:2])


@register_flop_formula(torch.ops.autox3d.depthwise_conv3d_input_gradient)
def _flop_input_gradient(grad_shape: Sequence[int], weight_shape: Sequence[int], *_args: Any, **_: Any) -> int:
    return 2 * prod(grad_shape) * prod(weight_shape[2:])


@register_flop_formula(torch.ops.autox3d.depthwise_conv3d_weight_gradient)
def _flop_weight_gradient(
    grad_shape: Sequence[int], x_shape: Sequence[int], shape: Sequence[int], *_args: Any, **_: Any
) -> int:
    return 2 * prod(grad_shape) * prod(shape[2:])
