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

from pytorchvideo_autox3d.kernels.batch_norm_affine import Affine, slopes

_LIBRARY = torch.library.Library("autox3d", "FRAGMENT")
_OPERANDS = "Tensor x, Tensor? residual, Tensor? weight, Tensor? bias"
_EXCITE = "Tensor? reduce, Tensor? reduce_bias, Tensor? restore, Tensor? restore_bias"
# The statistics given are used; without them those of the batch are. Returns out, the statistics used and each clip's
# mean of x (nothing where it isn't needed).
_LIBRARY.define(
    f"batch_norm_act({_OPERANDS}, {_EXCITE}, Tensor? mean, Tensor? var, float eps, str activation)"
    " -> (Tensor, Tensor, Tensor, Tensor)"
)
# Returns the gradients of the operands and of the excitation's parameters; a tensor of shape (0,) for what was not
# given, and for the residual where no activation follows it. Without `with_sums` only x and the residual have one.
_LIBRARY.define(
    f"batch_norm_act_backward(Tensor grad, {_OPERANDS}, {_EXCITE}, Tensor mean, Tensor var, Tensor clip_mean,"
    " float eps, str activation, bool batch_statistics, bool with_sums)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)
batch_norm_act = torch.ops.autox3d.batch_norm_act.default
_backward = torch.ops.autox3d.batch_norm_act_backward.default


def _cpu() -> ModuleType:
    from pytorchvideo_autox3d.kernels import batch_norm_cpu

    return batch_norm_cpu


def _small_dtype(x: Tensor) -> torch.dtype:
    """Of statistics: float32, or float64 for float64 tensors."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _register_kernels(key: str, kernels: Any) -> None:
    def forward(x: Tensor, residual: Tensor | None, *operands: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight, bias, *excite, mean, var, eps, activation = operands
        clip_mean = x.new_empty(0)
        given = (mean, var) if mean is not None else None
        if given is None or excite[0] is not None:
            mean, var, clip_mean = kernels().statistics(x)
        mean, var = given or (mean, var)
        affine = Affine.of(weight, bias, mean, var, clip_mean, tuple(excite), eps)
        out = kernels().apply(x, *affine.rows(), residual, activation)
        mean, var, clip_mean = (value.to(_small_dtype(x), copy=True) for value in (mean, var, clip_mean))
        return out, mean, var, clip_mean

    def backward(grad: Tensor, x: Tensor, residual: Tensor | None, *operands: Any) -> tuple[Tensor, ...]:
        weight, bias, *excite, mean, var, clip_mean, eps, activation, batch_statistics, with_sums = operands
        affine = Affine.of(weight, bias, mean, var, clip_mean, tuple(excite), eps)
        rows, parameter_grads = affine.rows(), (None,) * 6
        x_factor = constant = torch.zeros_like(affine.mean)
        if with_sums:
            total, product = kernels().reduce(grad, x, *rows, residual, activation)
            result = slopes(affine, total, product, clip_mean, prod(x.shape[2:]), batch_statistics)
            x_factor, constant = result.x_factor, result.constant
            parameter_grads = (result.weight, result.bias, *(result.excite or (None,) * 4))
        dx, back = kernels().gradient(grad, x, (*rows, x_factor, constant), residual, activation)
        shaped = (_like(value, old) for value, old in zip(parameter_grads, (weight, bias, *excite), strict=True))
        return dx, x.new_empty(0) if back is None else back, *(x.new_empty(0) if g is None else g for g in shaped)

    _LIBRARY.impl("batch_norm_act", forward, key)
    _LIBRARY.impl("batch_norm_act_backward", backward, key)


def _like(grad: Tensor | None, parameter: Tensor | None) -> Tensor | None:
    return None if grad is None or parameter is None else grad.to(parameter.dtype).reshape(parameter.shape)


_register_kernels("CPU", _cpu)


# --------------------------------------------------------------------------------------------- fake and autograd


def _last(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, memory_format=torch.channels_last_3d)


@torch.library.register_fake("autox3d::batch_norm_act", lib=_LIBRARY)
def _fake_forward(x: Tensor, residual: Any, *operands: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _weight, _bias, reduce, *_, mean, _var, _eps, _activation = operands
    channels, dtype = x.shape[1], _small_dtype(x)
    clips = x.new_empty((x.shape[0], channels) if mean is None or reduce is not None else (0,), dtype=dtype)
    return _last(x), x.new_empty(channels, dtype=dtype), x.new_empty(channels, dtype=dtype), clips


@torch.library.register_fake("autox3d::batch_norm_act_backward", lib=_LIBRARY)
def _fake_backward(grad: Tensor, x: Tensor, residual: Tensor | None, *operands: Any) -> tuple[Tensor, ...]:
    *parameters, _mean, _var, _clip_mean, _eps, activation, _batch, with_sums = operands
    back = x.new_empty(0) if residual is None or activation == "none" else _last(residual)
    grads = (
        value.new_empty(value.shape) if with_sums and value is not None else x.new_empty(0) for value in parameters
    )
    return _last(x), back, *grads


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, residual, *parameters, mean, _var, ctx.eps, ctx.activation = inputs
    ctx.batch_statistics, ctx.has_residual = mean is None, residual is not None
    # Without an activation the residual's gradient is that of the output, and z is not needed.
    ctx.save_for_backward(x, residual if ctx.activation != "none" else None, *parameters, *output[1:])
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 12
    x, residual, *parameters, mean, var, clip_mean = ctx.saved_tensors
    with_sums = ctx.batch_statistics or any(ctx.needs_input_grad[2:8]) or parameters[2] is not None
    dx, back, *grads = _backward(grad, x, residual, *parameters, mean, var, clip_mean, ctx.eps, ctx.activation,
                                 ctx.batch_statistics, with_sums)  # fmt: skip
    to_residual = None
    if ctx.has_residual:
        to_residual = grad if residual is None else back
    given = (value if old is not None and with_sums else None for value, old in zip(grads, parameters, strict=True))
    return dx, to_residual, *given, None, None, None, None


def _refuse(ctx: Any, *_: Any) -> None:
    raise RuntimeError("the fused batch norm is differentiable once; AUTOX3D_BATCH_NORM=0 takes torch's own")


def _save_nothing(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    pass


torch.library.register_autograd("autox3d::batch_norm_act", _differentiate, setup_context=_save, lib=_LIBRARY)
torch.library.register_autograd("autox3d::batch_norm_act_backward", _refuse, setup_context=_save_nothing, lib=_LIBRARY)
