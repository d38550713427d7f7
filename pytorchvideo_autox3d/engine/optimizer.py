"""Optimisers with PySlowFast's parameter groups, and gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from pytorchvideo_autox3d.engine.muon import MATRIX_LR_SCALE, Muon, is_matrix
from pytorchvideo_autox3d.errors import ConfigError


def parameter_groups(
    model: nn.Module, *, weight_decay: float, bn_weight_decay: float = 0.0, zero_wd_1d_param: bool = True
) -> list[dict[str, Any]]:
    """Split trainable parameters by the weight decay they get; every parameter is in exactly one group.

    Args:
        model: whose parameters they are.
        weight_decay: of all parameters that the next two do not name.
        bn_weight_decay: of the parameters of normalisations (BN.WEIGHT_DECAY).
        zero_wd_1d_param: whether biases and other 1-D parameters have none (SOLVER.ZERO_WD_1D_PARAM).

    Returns:
        Groups as torch's optimisers take them; empty ones are left out.
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
    """The optimiser of a model's trainable parameters, in the groups of `parameter_groups`.

    Args:
        model: whose trainable parameters are optimised.
        method: "sgd", "adam", "adamw" or "muon" (SOLVER.OPTIMIZING_METHOD). Muon's matrices have half the rate.
        base_lr: the learning rate until a schedule sets another.
        momentum, dampening, nesterov: of SGD; Muon has the first and the last.
        betas: of Adam and AdamW.
        weight_decay, bn_weight_decay, zero_wd_1d_param: see `parameter_groups`.

    Raises:
        ConfigError: an unknown method, a momentum below 0, Nesterov without momentum or with dampening, or nothing to
            train; names the SOLVER key.
    """
    groups = parameter_groups(
        model, weight_decay=weight_decay, bn_weight_decay=bn_weight_decay, zero_wd_1d_param=zero_wd_1d_param
    )
    if not groups:
        raise ConfigError("the model has no trainable parameter")
    if method in ("sgd", "muon") and momentum < 0:
        raise ConfigError(f"SOLVER.MOMENTUM: {momentum} is below 0")
    if method in ("sgd", "muon") and nesterov and (momentum == 0 or dampening != 0):
        raise ConfigError(f"SOLVER.NESTEROV: needs momentum above 0 and no dampening, not {momentum}, {dampening}")
    if method == "sgd":
        return torch.optim.SGD(groups, lr=base_lr, momentum=momentum, dampening=dampening, nesterov=nesterov)
    if method == "muon":
        optimizer = Muon(_matrices_apart(groups), lr=base_lr, momentum=momentum, nesterov=nesterov)
        set_lr(optimizer, base_lr)
        return optimizer
    if method == "adam":
        return torch.optim.Adam(groups, lr=base_lr, betas=betas)
    if method == "adamw":
        return torch.optim.AdamW(groups, lr=base_lr, betas=betas)
    raise ConfigError(f"SOLVER.OPTIMIZING_METHOD: {method!r} is none of sgd, adam, adamw, muon")


def _matrices_apart(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    parts = []
    for group in groups:
        matrices = [parameter for parameter in group["params"] if is_matrix(parameter)]
        others = [parameter for parameter in group["params"] if not is_matrix(parameter)]
        if matrices:
            parts.append({**group, "params": matrices, "orthogonal": True, "lr_scale": MATRIX_LR_SCALE})
        if others:
            parts.append({**group, "params": others})
    return parts


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group the rate `lr`, times the group's own "lr_scale" where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def clip_gradients(
    parameters: Iterable[nn.Parameter], *, max_norm: float | None = None, max_value: float | None = None
) -> Tensor:
    """Clip gradients in place by their L2 norm or by value; without either limit, only measure the norm.

    Args:
        parameters: whose gradients they are.
        max_norm: limit of the L2 norm of all gradients together (SOLVER.CLIP_GRAD_L2NORM).
        max_value: limit of each element's absolute value (SOLVER.CLIP_GRAD_VAL).

    Returns:
        The L2 norm before clipping.

    Raises:
        ConfigError: both limits are set.
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
