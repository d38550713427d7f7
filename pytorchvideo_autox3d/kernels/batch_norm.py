"""Batch normalisation fused with what follows it: squeeze-excitation, a residual and an activation.

Frameworks read and write whole activations for each of these layers, forward and backward, and keep several of them;
here the chain is one operator of two passes each way that keeps only the norm's input (`batch_norm_ops.py`). The
result agrees with the separate layers to rounding, and is always in channels_last_3d. `norm_act` takes the layers as
they are, so parameters, buffers, state_dict, initialisation and what SyncBN or precise BN see of a model don't change;
where the kernels don't apply it calls the layers.

Switch: the environment variable AUTOX3D_BATCH_NORM=0 or `set_batch_norm_kernels(False)` turns the kernels off.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels import batch_norm_ops
from pytorchvideo_autox3d.kernels.activations import ACTIVATION_FUNCTIONS
from pytorchvideo_autox3d.kernels.batch_norm_affine import Excite
from pytorchvideo_autox3d.kernels.dispatch import HAS_TRITON, KernelSwitch, is_plain, transformed
from pytorchvideo_autox3d.kernels.recomputation import offer_again

_switch = KernelSwitch("AUTOX3D_BATCH_NORM")
_DTYPES = {
    "cpu": (torch.float32, torch.bfloat16, torch.float64),
    "cuda": (torch.float32, torch.float16, torch.bfloat16),
}
_LEAST_CHANNELS = 4
# Below this many numbers calling the kernels costs more than the passes over memory that they save: measured on a CPU;
# on a GPU reckoned from some 25 launches for the work on channels against two passes saved at 1 TB/s.
_LEAST_NUMBERS = {"cpu": 262_144, "cuda": 16_777_216}
NO_EXCITE: Excite = (None, None, None, None)
# Layers by their full names: pytorchvideo and PySlowFast each have a Swish of their own.
_ACTIVATION_OF = {
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.SiLU": "silu",
    "torch.nn.modules.linear.Identity": "none",
    "pytorchvideo.layers.swish.Swish": "silu",
    "slowfast.models.operators.Swish": "silu",
}


def set_batch_norm_kernels(enabled: bool) -> None:
    """Turn the kernels on or off for the whole process; the environment's AUTOX3D_BATCH_NORM=0 keeps them off."""
    _switch.set(enabled)


def batch_norm_kernels(enabled: bool) -> AbstractContextManager[None]:
    """Turn the kernels on or off for a block of code; the setting is the process's, not the thread's."""
    return _switch.during(enabled)


def covered(x: Tensor, residual: Tensor | None = None, *, batch_statistics: bool) -> bool:
    """Whether the kernels can compute this; if not, the caller uses torch's layers.

    Args:
        x: the map (B, C, T, H, W).
        residual: what is added to it, or None.
        batch_statistics: whether mean and variance are those of `x`, which needs more than one value a channel.
    """
    if not _switch.enabled or transformed():
        return False
    return (
        x.dim() == 5
        and x.shape[1] >= _LEAST_CHANNELS
        and x.dtype in _DTYPES.get(x.device.type, ())
        and is_plain(x)
        and x.numel() >= _LEAST_NUMBERS[x.device.type]
        and (x.device.type != "cuda" or HAS_TRITON)
        and x.numel() > (x.shape[1] if batch_statistics else 0)  # of one value a channel torch refuses statistics
        and (residual is None or _matches(residual, x))
    )


def _matches(residual: Tensor, x: Tensor) -> bool:
    alike = residual.shape == x.shape and residual.dtype == x.dtype and residual.device == x.device
    return alike and is_plain(residual)


def fused_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    training: bool,
    momentum: float,
    eps: float,
    activation: str = "none",
    residual: Tensor | None = None,
    excite: Excite = NO_EXCITE,
) -> Tensor:
    """activation(excite(F.batch_norm(x)) + residual), for a map that is `covered`.

    Arguments that `F.batch_norm` has too mean the same. In training the running statistics move by `momentum`, with the
    unbiased variance; without running statistics pass `training` True.

    Args:
        activation: "none", "relu" or "silu".
        residual: of x's shape, or None.
        excite: the parameters of a squeeze-excitation whose inner activation is ReLU.
    """
    given = None
    if not training:
        assert running_mean is not None
        assert running_var is not None
        given = torch.stack((running_mean, running_var)).double()
    operands = x, residual, weight, bias, *excite
    out, statistics = batch_norm_ops.batch_norm_act(*operands, given, eps, activation)
    offer_again(out, operands, statistics, eps, activation)
    if training and running_mean is not None and running_var is not None and momentum != 0.0:
        count = x.numel() // x.shape[1]
        with torch.no_grad():
            running_mean.lerp_(statistics[0].to(running_mean.dtype), momentum)
            running_var.lerp_((statistics[1] * (count / (count - 1))).to(running_var.dtype), momentum)
    return out


def norm_act(
    norm: nn.Module,
    activation: nn.Module | None,
    x: Tensor,
    *,
    residual: Tensor | None = None,
    squeeze_excite: nn.Module | None = None,
) -> Tensor:
    """activation(squeeze_excite(norm(x)) + residual), fused where the layers and the map allow it.

    The fused form needs exactly torch's `BatchNorm3d`, a known activation and a known squeeze-excitation, none of them
    with hooks; it reads their parameters without calling them. Otherwise the layers are called one by one.

    Args:
        norm: the normalisation.
        activation: applied at the end; None for none.
        x: (B, C, T, H, W).
        residual: added before the activation, of the same shape.
        squeeze_excite: applied before the residual is added.
    """
    name, excite = activation_name(activation), excite_of(squeeze_excite)
    if (
        type(norm) is nn.BatchNorm3d
        and name is not None
        and excite is not None
        and covered(x, residual, batch_statistics=norm.training or norm.running_mean is None)
        and norm.num_features == x.shape[1]
        and not observed(norm, activation, squeeze_excite)
    ):
        return _fused_layer(norm, x, name, residual, excite)
    out = norm(x)
    if squeeze_excite is not None:
        out = squeeze_excite(out)
    if residual is not None:
        out = residual + out
    return out if activation is None else activation(out)


def _fused_layer(
    norm: nn.BatchNorm3d, x: Tensor, activation: str, residual: Tensor | None, excite: Excite = NO_EXCITE
) -> Tensor:
    """Do what `norm.forward` does, its running statistics included, together with what follows it."""
    momentum = 0.0 if norm.momentum is None else norm.momentum
    if norm.training and norm.track_running_stats and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if norm.momentum is None:  # the average over all batches so far
            momentum = 1.0 / float(norm.num_batches_tracked)
    return fused_batch_norm(
        x,
        norm.running_mean if not norm.training or norm.track_running_stats else None,
        norm.running_var if not norm.training or norm.track_running_stats else None,
        norm.weight,
        norm.bias,
        training=norm.training or norm.running_mean is None,
        momentum=momentum,
        eps=norm.eps,
        activation=activation,
        residual=residual,
        excite=excite,
    )


def full_name(layer: nn.Module) -> str:
    """The full name of a layer's class, with its module."""
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def activation_name(layer: nn.Module | None) -> str | None:
    """What the kernels call this activation layer; "none" for no layer, None for an activation they don't have."""
    return "none" if layer is None else _ACTIVATION_OF.get(full_name(layer))


def _parameters(reduce: Any, between: Any, restore: Any, gate: Any) -> Excite | None:
    """The parameters of a squeeze-excitation's layers; None where they are not those that the kernels compute."""
    pointwise = all(
        type(conv) is nn.Conv3d and conv.kernel_size == conv.stride == (1, 1, 1) and conv.groups == 1
        and conv.bias is not None and conv.padding == (0, 0, 0)
        for conv in (reduce, restore)
    )  # fmt: skip
    if not pointwise or type(between) is not nn.ReLU or type(gate) is not nn.Sigmoid:
        return None
    return reduce.weight, reduce.bias, restore.weight, restore.bias


def _fvcore_parameters(layer: Any) -> Excite | None:
    return _parameters(*layer.block) if layer.is_3d and len(layer.block) == 4 else None


def _slowfast_parameters(layer: Any) -> Excite | None:
    pool, *rest = layer.children()
    pools_all = type(pool) is nn.AdaptiveAvgPool3d and pool.output_size in (1, (1, 1, 1))
    return _parameters(*rest) if pools_all and len(rest) == 4 else None


_EXCITE_OF: dict[str, Callable[[Any], Excite | None]] = {
    "torch.nn.modules.linear.Identity": lambda layer: NO_EXCITE,
    "fvcore.nn.squeeze_excitation.SqueezeExcitation": _fvcore_parameters,
    "slowfast.models.operators.SE": _slowfast_parameters,
}


def excite_of(layer: nn.Module | None) -> Excite | None:
    """The parameters of a squeeze-excitation layer; `NO_EXCITE` for no layer, None for one the kernels don't know."""
    if layer is None:
        return NO_EXCITE
    read = _EXCITE_OF.get(full_name(layer))
    return None if read is None else read(layer)


def watched(layer: nn.Module) -> bool:
    """Whether a hook, of this layer or of all modules, waits for the layer to be called, which fusing would skip.

    So does a `forward` that was put on the layer itself in place of its class's.
    """
    if nn_module._global_forward_hooks or nn_module._global_forward_pre_hooks or nn_module._global_backward_hooks:
        return True
    return bool(
        layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks
        or "forward" in vars(layer)
    )  # fmt: skip


def observed(*layers: nn.Module | None) -> bool:
    """Whether one of the layers, or a layer inside one, is `watched`."""
    return any(watched(inner) for layer in layers if layer is not None for inner in layer.modules())


class FusedBatchNormAct3d(nn.BatchNorm3d):
    """`nn.BatchNorm3d` followed by a residual, if one is given, and an activation; parameters and state are the same.

    As a subclass it is found by everything that looks for batch norms (weight decay, precise BN);
    `nn.SyncBatchNorm.convert_sync_batchnorm` would replace it by a norm without the activation, so use `norm_act` with
    separate layers where SyncBN may come.

    Args:
        num_features: channels; other arguments of `nn.BatchNorm3d` are passed on.
        activation: "none", "relu" or "silu".
    Raises:
        ModelError: there is no such activation.
    """

    def __init__(self, num_features: int, *args: Any, activation: str = "relu", **options: Any) -> None:
        super().__init__(num_features, *args, **options)
        if activation not in ACTIVATION_FUNCTIONS:
            raise ModelError(f"activation {activation!r} is none of {', '.join(ACTIVATION_FUNCTIONS)}")
        self.activation = activation

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        """activation(batch_norm(input) + residual), all of them (B, C, T, H, W)."""
        fits = input.dim() == 5 and input.shape[1] == self.num_features  # if not, torch says what is wrong
        if fits and covered(input, residual, batch_statistics=self.training or self.running_mean is None):
            return _fused_layer(self, input, self.activation, residual)
        out = super().forward(input)
        return ACTIVATION_FUNCTIONS[self.activation](out if residual is None else out + residual)

    def extra_repr(self) -> str:
        """The norm's settings and the activation, as `print` shows them."""
        return f"{super().extra_repr()}, activation={self.activation!r}"
