"""The small part of batch normalisation with squeeze-excitation: what happens on channels, in float64.

Shapes: B clips, C channels, R channels of the squeeze-excitation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Weight and bias of the reducing convolution (R, C, 1, 1, 1) and of the restoring one (C, R, 1, 1, 1); all or none.
Excite = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]


class Gate(NamedTuple):
    """sigmoid(W2 relu(W1 pooled + b1) + b2) and what its gradient needs; (B, C) but for hidden (B, R)."""

    reduce: Tensor
    restore: Tensor
    pooled: Tensor
    hidden: Tensor
    value: Tensor

    def backward(self, grad: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Gradients of the pooled map and of the four parameters, from that of the value (B, C)."""
        outer = grad * self.value * (1 - self.value)
        inner = (outer @ self.restore) * (self.hidden > 0)
        return inner @ self.reduce, (inner.t() @ self.pooled, inner.sum(0), outer.t() @ self.hidden, outer.sum(0))


def _gate(excite: Excite, pooled: Tensor) -> Gate | None:
    reduce, reduce_bias, restore, restore_bias = excite
    if reduce is None or reduce_bias is None or restore is None or restore_bias is None:
        return None
    down, up = reduce.double().flatten(1), restore.double().flatten(1)
    hidden = torch.relu(torch.addmm(reduce_bias.double(), pooled, down.t()))
    return Gate(down, up, pooled, hidden, torch.sigmoid(torch.addmm(restore_bias.double(), hidden, up.t())))


class Affine(NamedTuple):
    """u = (x - mean) * scale + shift for each channel (C,), and the gate (B, C) that u is multiplied by."""

    mean: Tensor
    deviation: Tensor
    weight: Tensor | float
    shift: Tensor
    gate: Gate | None

    @classmethod
    def of(
        cls,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        clip_mean: Tensor,
        excite: Excite,
        eps: float,
    ) -> Affine:
        """From the operator's arguments; `clip_mean` is x's mean of each clip (B, C), used with a gate alone."""
        mean, deviation = mean.double(), torch.sqrt(var.double() + eps)
        shift = torch.zeros_like(mean) if bias is None else bias.double()
        affine = cls(mean, deviation, 1.0 if weight is None else weight.double(), shift, None)
        if excite[0] is None:
            return affine
        return affine._replace(gate=_gate(excite, (clip_mean.double() - mean) * affine.scale + shift))

    @property
    def scale(self) -> Tensor:
        return self.weight / self.deviation

    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """mean, factor and offset of z = (x - mean) * factor + offset + residual."""
        if self.gate is None:
            return self.mean, self.scale, self.shift
        return self.mean, self.scale * self.gate.value, self.shift * self.gate.value


class Slopes(NamedTuple):
    """Gradients of the channels' parameters, and dx = h * factor + (x - mean) * x_factor + constant."""

    weight: Tensor
    bias: Tensor
    excite: tuple[Tensor, Tensor, Tensor, Tensor] | None
    x_factor: Tensor
    constant: Tensor


def slopes(
    affine: Affine, total: Tensor, product: Tensor, clip_mean: Tensor, pixels: int, batch_statistics: bool
) -> Slopes:
    """Derive them from the sums over each clip (B, C) of h = dz and of h * (x - mean).

    Args:
        affine: of the forward pass.
        total, product: the sums.
        clip_mean: each clip's mean of x.
        pixels: positions of a clip.
        batch_statistics: whether mean and deviation are functions of x.
    """
    normalised, pool_grad, excite = product / affine.deviation, None, None
    if affine.gate is not None:
        pool_grad, excite = affine.gate.backward(affine.weight * normalised + affine.shift * total)
        distance = (clip_mean.double() - affine.mean) / affine.deviation
        total = total * affine.gate.value + pool_grad
        normalised = normalised * affine.gate.value + pool_grad * distance
    weight_grad, bias_grad = normalised.sum(0), total.sum(0)
    x_factor, constant = torch.zeros_like(bias_grad), torch.zeros_like(bias_grad)
    if batch_statistics:
        count = pixels * total.shape[0]
        x_factor = -affine.scale * weight_grad / (affine.deviation * count)
        constant = -affine.scale * bias_grad / count
    if pool_grad is not None:
        constant = constant + affine.scale * pool_grad / pixels
    return Slopes(weight_grad, bias_grad, excite, x_factor, constant)
