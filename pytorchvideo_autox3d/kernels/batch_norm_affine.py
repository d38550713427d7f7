"""The part of batch normalisation with squeeze-excitation that works on channels alone, in float64.

Written for NumPy arrays and for tensors alike: the CPU's kernels use the former, whose operations cost a fraction of a
microsecond, a GPU's the latter. Shapes: B clips, C channels, R channels of the squeeze-excitation.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from torch import Tensor

# Weight and bias of the reducing convolution (R, C, 1, 1, 1) and of the restoring one (C, R, 1, 1, 1); all or none.
Excite = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]


class Gate(NamedTuple):
    """A squeeze-excitation's gate, sigmoid(W2 relu(W1 pooled + b1) + b2), and what its gradient needs.

    Args:
        reduce: W1 (R, C).
        restore: W2 (C, R).
        pooled: the mean of each clip's map (B, C).
        hidden: the activations between the two layers (B, R).
        value: the gate (B, C), between 0 and 1.
    """

    reduce: Any
    restore: Any
    pooled: Any
    hidden: Any
    value: Any

    @classmethod
    def of(cls, excite: Any, pooled: Any, library: ModuleType) -> Gate:
        """Compute the gate.

        Args:
            excite: W1 (R, C), b1 (R,), W2 (C, R), b2 (C,).
            pooled: the mean of each clip's map (B, C).
            library: numpy or torch, whose arrays these are.
        """
        reduce, reduce_bias, restore, restore_bias = excite
        hidden = pooled @ reduce.T + reduce_bias
        hidden = hidden * (hidden > 0)
        return cls(reduce, restore, pooled, hidden, 1 / (1 + library.exp(-(hidden @ restore.T + restore_bias))))

    def backward(self, grad: Any) -> tuple[Any, tuple[Any, Any, Any, Any]]:
        """Bring a gradient back through the gate.

        Args:
            grad: the gradient of `value` (B, C).
        Returns:
            The gradient of `pooled` (B, C), and those of W1, b1, W2 and b2.
        """
        outer = grad * self.value * (1 - self.value)
        inner = (outer @ self.restore) * (self.hidden > 0)
        return inner @ self.reduce, (inner.T @ self.pooled, inner.sum(0), outer.T @ self.hidden, outer.sum(0))


class Affine(NamedTuple):
    """The norm as a linear function of x, u = (x - mean) * scale + shift, and the gate that multiplies u.

    Args:
        mean: of each channel (C,).
        deviation: sqrt(variance + eps) (C,).
        scale: weight / deviation (C,).
        weight: the norm's weight (C,), or 1.
        shift: the norm's bias (C,), or zeros.
        gate: the squeeze-excitation's gate, or None.
    """

    mean: Any
    deviation: Any
    scale: Any
    weight: Any
    shift: Any
    gate: Gate | None

    @classmethod
    def of(
        cls, weight: Any, bias: Any, mean: Any, var: Any, clip_mean: Any, excite: Any, eps: float, library: ModuleType
    ) -> Affine:
        """Compute it from the operator's arguments; those that are missing are None.

        Args:
            weight: the norm's weight (C,).
            bias: the norm's bias (C,).
            mean: of each channel (C,).
            var: the biased variance of each channel (C,).
            clip_mean: x's mean in each clip (B, C); only a gate uses it.
            excite: the gate's parameters, as matrices and vectors; the first is None without a gate.
            eps: added to the variance.
            library: numpy or torch, whose arrays these are.
        """
        deviation = library.sqrt(var + eps)
        weight, shift = 1.0 if weight is None else weight, library.zeros_like(mean) if bias is None else bias
        scale = weight / deviation
        gate = None if excite[0] is None else Gate.of(excite, (clip_mean - mean) * scale + shift, library)
        return cls(mean, deviation, scale, weight, shift, gate)

    def rows(self) -> tuple[Any, Any, Any]:
        """mean, factor and offset of z = (x - mean) * factor + offset + residual.

        The mean is (C,); factor and offset are (C,), or (B, C) with a gate.
        """
        if self.gate is None:
            return self.mean, self.scale, self.shift
        return self.mean, self.scale * self.gate.value, self.shift * self.gate.value


class Slopes(NamedTuple):
    """Gradients of the parameters, and the coefficients of dx = h * factor + (x - mean) * x_factor + constant.

    h is the gradient before the activation, and factor that of `Affine.rows`.

    Args:
        weight: the gradient of the norm's weight (C,).
        bias: the gradient of the norm's bias (C,).
        excite: the gradients of W1, b1, W2 and b2; None without a gate.
        x_factor: (C,), or 0 where the statistics were given.
        constant: (C,), (B, C) with a gate, or 0.
    """

    weight: Any
    bias: Any
    excite: tuple[Any, Any, Any, Any] | None
    x_factor: Any
    constant: Any


def slopes(affine: Affine, total: Any, product: Any, clip_mean: Any, pixels: int, batch_statistics: bool) -> Slopes:
    """Derive them from two sums over each clip (B, C).

    Args:
        affine: of the forward pass.
        total: the sum of h, the gradient before the activation.
        product: the sum of h * (x - mean).
        clip_mean: x's mean in each clip (B, C).
        pixels: positions (frames times rows times columns) of a clip.
        batch_statistics: whether mean and deviation were computed from x and so pass gradients to it.
    """
    normalised, pool_grad, excite = product / affine.deviation, None, None
    if affine.gate is not None:
        pool_grad, excite = affine.gate.backward(affine.weight * normalised + affine.shift * total)
        total = total * affine.gate.value + pool_grad
        normalised = normalised * affine.gate.value + pool_grad * ((clip_mean - affine.mean) / affine.deviation)
    weight_grad, bias_grad = normalised.sum(0), total.sum(0)
    x_factor = constant = 0.0
    if batch_statistics:
        per_count = affine.scale / (-pixels * total.shape[0])
        x_factor, constant = per_count * weight_grad / affine.deviation, per_count * bias_grad
    if pool_grad is not None:
        constant = constant + affine.scale * pool_grad / pixels
    return Slopes(weight_grad, bias_grad, excite, x_factor, constant)
