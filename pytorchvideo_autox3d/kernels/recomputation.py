"""Computes an activation again in the backward pass instead of keeping it for the layer behind it.

A convolution keeps its input for its weight's gradient. Where that input comes from the fused batch norm, whose own
input is kept anyway, one pass over memory computes it again: less memory for a few per cent of a step's time.
Off unless asked for: `recompute_activations(True)`, or the environment's AUTOX3D_RECOMPUTE=1.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from pytorchvideo_autox3d.kernels import batch_norm_ops
from pytorchvideo_autox3d.kernels.dispatch import KernelSwitch

_switch = KernelSwitch("AUTOX3D_RECOMPUTE", enabled=False)
_ATTRIBUTE = "_autox3d_again"


def set_recompute_activations(enabled: bool) -> None:
    """Recompute activations or keep them, for the whole process; the environment's AUTOX3D_RECOMPUTE=0 keeps them."""
    _switch.set(enabled)


def recompute_activations(enabled: bool) -> AbstractContextManager[None]:
    """Recompute or keep activations in the forward passes of a block of code, in all threads of the process."""
    return _switch.during(enabled)


def offer_again(out: Tensor, operands: tuple[Any, ...], statistics: Tensor, eps: float, activation: str) -> None:
    """Attach to `out` the means to compute it again, so that the layer behind it need not keep it.

    Does nothing where recomputation is off, where no gradient is wanted, or where something else, such as activation
    checkpointing, decides what is kept.

    Args:
        out: the result of a fused batch norm.
        operands: what it was computed from: x, residual, weight, bias and the excitation's four.
        statistics: the mean and variance that it used.
        eps: added to the variance.
        activation: "none", "relu" or "silu".
    """
    if not _switch.enabled or not out.requires_grad or torch.compiler.is_compiling() or _others_hook():
        return
    kept = tuple(value.detach() if isinstance(value, Tensor) else value for value in operands)
    before = _versions(kept)

    def again() -> Tensor:
        if _versions(kept) != before:  # autograd finds this where it keeps the result, but not where we don't
            raise RuntimeError(
                f"an activation of shape {tuple(kept[0].shape)} can't be recomputed: what it was computed from has "
                "been modified by an inplace operation; switch recompute_activations off, or the operation's inplace"
            )
        with torch.no_grad():
            return batch_norm_ops.batch_norm_act(*kept, statistics, eps, activation)[0]

    setattr(out, _ATTRIBUTE, (again, out._version))


def call_without_keeping(layer: Callable[..., Tensor], x: Tensor, *arguments: Any) -> Tensor:
    """layer(x, *arguments), where x is not kept for the backward pass if it can be computed again (`offer_again`)."""
    again, version = getattr(x, _ATTRIBUTE, (None, 0))
    if again is None:
        return layer(x, *arguments)
    address, shape = x.data_ptr(), x.shape

    def pack(kept: Tensor) -> Any:
        # An activation that works in place returns the same tensor with other values, of a later version.
        same = kept.data_ptr() == address and kept.shape == shape and kept._version == version
        return again if same else kept

    def unpack(packed: Any) -> Tensor:
        return packed if isinstance(packed, Tensor) else packed()

    with saved_tensors_hooks(pack, unpack):
        return layer(x, *arguments)


def _versions(tensors: tuple[Any, ...]) -> list[int]:
    return [t._version if isinstance(t, Tensor) and not t.is_inference() else 0 for t in tensors]


def _others_hook() -> bool:
    """Whether somebody else decides what is kept, as activation checkpointing does."""
    return torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
