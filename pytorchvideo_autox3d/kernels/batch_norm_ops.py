"""Batch normalisation + squeeze-excitation + residual + activation as torch operators: the whole and its gradient.

    u = (x - mean) / sqrt(var + eps) * weight + bias        by channel, over clips and positions
    z = u * gate(mean of u over a clip's positions) + residual
    out = activation(z)

The gate is that of squeeze-excitation, sigmoid(W2 relu(W1 pooled + b1) + b2). Only x is kept for the backward pass (and
the residual and the small things): u, z and the activation's slope are computed again. As u is linear in x, pooling it
needs no pass: each clip's mean of x comes with the statistics. Differentiable once.

Shapes: x, residual, out (B, C, T, H, W); weight, bias, mean, var (C,); W1 (R, C, 1, 1, 1), W2 (C, R, 1, 1, 1).
"""

from __future__ import annotations

from math import prod
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pytorchvideo_autox3d.kernels.batch_norm_affine import Affine, slopes

_LIBRARY = torch.library.Library("autox3d", "FRAGMENT")
_OPERANDS = "Tensor x, Tensor? residual, Tensor? weight, Tensor? bias"
_EXCITE = "Tensor? reduce, Tensor? reduce_bias, Tensor? restore, Tensor? restore_bias"
# Statistics are float64 rows of C numbers: mean, variance, and each clip's mean of x where an excitation pools. Those
# given are used, without them those of the batch are. Returns out and the statistics used.
_LIBRARY.define(
    f"batch_norm_act({_OPERANDS}, {_EXCITE}, Tensor? statistics, float eps, str activation) -> (Tensor, Tensor)"
)
# Returns the gradients of the operands and of the excitation's parameters; a tensor of shape (0,) for what was not
# given, and for the residual where no activation follows it. Without `with_sums` only x and the residual have one.
_LIBRARY.define(
    f"batch_norm_act_backward(Tensor grad, {_OPERANDS}, {_EXCITE}, Tensor statistics,"
    " float eps, str activation, bool batch_statistics, bool with_sums)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)
batch_norm_act = torch.ops.autox3d.batch_norm_act.default
_backward = torch.ops.autox3d.batch_norm_act_backward.default


def _cpu() -> ModuleType:
    from pytorchvideo_autox3d.kernels import batch_norm_cpu

    return batch_norm_cpu


def _gpu() -> ModuleType:
    from pytorchvideo_autox3d.kernels import batch_norm_triton

    return batch_norm_triton


def _register_kernels(key: str, kernels: Any) -> None:
    """Make the operators of a backend's passes: `statistics`, `apply`, `reduce` and `gradient`."""

    def forward(x: Tensor, residual: Tensor | None, *operands: Any) -> tuple[Tensor, Tensor]:
        run = kernels()
        *small, eps, activation = operands
        weight, bias, *excite, rows = map(run.small, small)
        if rows is None:
            rows = run.statistics(x)
        elif excite[0] is not None and len(rows) == 2:
            rows = run.library.concatenate((rows, run.statistics(x)[2:]))
        affine = Affine.of(weight, bias, rows[0], rows[1], rows[2:], excite, eps, run.library)
        out = run.apply(x, affine.rows(), residual, activation)
        return out, run.tensor_like(rows, torch.float64, tuple(rows.shape))

    def backward(grad: Tensor, x: Tensor, residual: Tensor | None, *operands: Any) -> tuple[Tensor, ...]:
        run = kernels()
        *small, eps, activation, batch_statistics, with_sums = operands
        weight, bias, *excite, used = map(run.small, small)
        clip_mean = used[2:]
        affine = Affine.of(weight, bias, used[0], used[1], clip_mean, excite, eps, run.library)
        rows, towards = affine.rows(), (0.0, 0.0)
        grads: tuple[Any, ...] = (None,) * 6
        if with_sums:
            total, product = run.reduce(grad, x, rows, residual, activation)
            slope = slopes(affine, total, product, clip_mean, prod(x.shape[2:]), batch_statistics)
            grads, towards = (
                (slope.weight, slope.bias, *(slope.excite or (None,) * 4)),
                (slope.x_factor, slope.constant),
            )
        dx, back = run.gradient(grad, x, (*rows, *towards), residual, activation)
        shaped = (
            x.new_empty(0) if value is None or old is None else run.tensor_like(value, old.dtype, old.shape)
            for value, old in zip(grads, small, strict=False)
        )
        return dx, x.new_empty(0) if back is None else back, *shaped

    _LIBRARY.impl("batch_norm_act", forward, key)
    _LIBRARY.impl("batch_norm_act_backward", backward, key)


_register_kernels("CPU", _cpu)
_register_kernels("CUDA", _gpu)


# --------------------------------------------------------------------------------------------- fake and autograd


def _last(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, memory_format=torch.channels_last_3d)


@torch.library.register_fake("autox3d::batch_norm_act", lib=_LIBRARY)
def _fake_forward(x: Tensor, residual: Any, *operands: Any) -> tuple[Tensor, Tensor]:
    _weight, _bias, reduce, *_, statistics, _eps, _activation = operands
    rows = 2 + (x.shape[0] if statistics is None or reduce is not None else 0)
    return _last(x), x.new_empty((rows, x.shape[1]), dtype=torch.float64)


@torch.library.register_fake("autox3d::batch_norm_act_backward", lib=_LIBRARY)
def _fake_backward(grad: Tensor, x: Tensor, residual: Tensor | None, *operands: Any) -> tuple[Tensor, ...]:
    *parameters, _statistics, _eps, activation, _batch, with_sums = operands
    back = x.new_empty(0) if residual is None or activation == "none" else _last(residual)
    grads = (
        value.new_empty(value.shape) if with_sums and value is not None else x.new_empty(0) for value in parameters
    )
    return _last(x), back, *grads


class _BatchNormAct(torch.autograd.Function):
    """Written out: what torch.library makes of a formula goes through all arguments of the schema in each call."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            output = batch_norm_act(*inputs)
        x, residual, *parameters, statistics, ctx.eps, ctx.activation = inputs
        ctx.batch_statistics, ctx.has_residual = statistics is None, residual is not None
        # Without an activation the residual's gradient is that of the output, and z is not needed.
        ctx.save_for_backward(x, residual if ctx.activation != "none" else None, *parameters, output[1])
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 11
        x, residual, *parameters, statistics = ctx.saved_tensors
        with_sums = ctx.batch_statistics or any(ctx.needs_input_grad[2:8]) or parameters[2] is not None
        dx, back, *grads = _backward(grad, x, residual, *parameters, statistics, ctx.eps, ctx.activation,
                                     ctx.batch_statistics, with_sums)  # fmt: skip
        to_residual = None
        if ctx.has_residual:
            to_residual = grad if residual is None else back
        given = (g if old is not None and with_sums else None for g, old in zip(grads, parameters, strict=True))
        return dx, to_residual, *given, None, None, None


def _differentiable(*inputs: Any) -> tuple[Tensor, ...]:
    if torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in inputs):
        return _BatchNormAct.apply(*inputs)
    with torch._C._AutoDispatchBelowAutograd():
        return batch_norm_act(*inputs)


_LIBRARY.impl("batch_norm_act", _differentiable, "Autograd")
