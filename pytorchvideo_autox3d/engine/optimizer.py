"""Optimisers with PySlowFast's parameter groups, and gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from pytorchvideo_autox3d.errors import ConfigError


def parameter_groups(
    model: nn.Module, *, weight_decay: float, bn_weight_decay: float = 0.0, zero_wd_1d_param: bool = True
) -> list[dict[str, Any]]:
    """Split trainable parameters by the weight decay they get; every parameter is in exactly one group.

    Batch norm's get `bn_weight_decay` (BN.WEIGHT_DECAY); with `zero_wd_1d_param` (SOLVER.ZERO_WD_1D_PARAM) biases and
    other 1-D ones get none; all others `weight_decay`. Empty groups are left out.
    """
    bn: list[nn.Parameter] = []
    one_d: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    seen: set[nn.Parameter] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            if isinstance(module, _NormBase):
                bn.append(parameter)
            elif zero_wd_1d_param and (parameter.ndim == 1 or name == "bias"):
                one_d.append(parameter)
            else:
                others.append(parameter)
    decays = ((bn, bn_weight_decay), (others, weight_decay), (one_d, 0.0))
    return [{"params": params, "weight_decay": decay} for params, decay in decays if params]


def build_optimizer(
    model: nn.Module,
    *,
    method: str = "sgd",
    base_lr: float,
    momentum: float = 0.9,
    dampening: float = 0.0,
    nesterov: bool = True,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 1e-4,
    bn_weight_decay: float = 0.0,
    zero_wd_1d_param: bool = True,
) -> torch.optim.Optimizer:
    """ "sgd", "adam" or "adamw" over `parameter_groups`; raises `ConfigError` naming the SOLVER key at fault.

    Args:
        model: whose trainable parameters are optimised.
        method: SOLVER.OPTIMIZING_METHOD.
        base_lr: the rate until a schedule sets another.
        momentum, dampening, nesterov: of SGD.
        betas: of Adam and AdamW.
        weight_decay: of all parameters but those that the next two speak of.
        bn_weight_decay: of the parameters of batch norms.
        zero_wd_1d_param: whether biases and other parameters of one dimension have no decay.
    """
    groups = parameter_groups(
        model, weight_decay=weight_decay, bn_weight_decay=bn_weight_decay, zero_wd_1d_param=zero_wd_1d_param
    )
    if not groups:
        raise ConfigError("the model has no trainable parameter")
    if method == "sgd":
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ConfigError(f"SOLVER.NESTEROV: needs momentum above 0 and no dampening, not {momentum}, {dampening}")
        return torch.optim.SGD(groups, lr=base_lr, momentum=momentum, dampening=dampening, nesterov=nesterov)
    if method == "adam":
        return torch.optim.Adam(groups, lr=base_lr, betas=betas)
    if method == "adamw":
        return torch.optim.AdamW(groups, lr=base_lr, betas=betas)
    raise ConfigError(f"SOLVER.OPTIMIZING_METHOD: {method!r} is none of sgd, adam, adamw")


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group the rate `lr`, times the group's own "lr_scale" where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def clip_gradients(
    parameters: Iterable[nn.Parameter], *, max_norm: float | None = None, max_value: float | None = None
) -> Tensor:
    """Clip by L2 norm (SOLVER.CLIP_GRAD_L2NORM) or by value (SOLVER.CLIP_GRAD_VAL); return the norm before clipping.

    Without either, only measure. The two exclude each other (`ConfigError`).
    """
    if max_norm and max_value:
        raise ConfigError("SOLVER.CLIP_GRAD_L2NORM and SOLVER.CLIP_GRAD_VAL exclude each other")
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    if max_norm:
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    elif max_value:
        nn.utils.clip_grad_value_(parameters, max_value)
    return norm
