"""Multiply-adds, parameters and largest output of each layer, in integers, for one clip.

Multiply-adds are those of convolutions, linear layers and matrix products, as fvcore counts them and as the X3D and
AutoX3D papers report them: no normalisation, activation, pooling or bias. Widths may be numpy arrays, which then
broadcast: that is how `CostTable` costs all candidates of a group at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from pytorchvideo_autox3d.analysis.counting import count_module
from pytorchvideo_autox3d.models import NODE_RATIO
from pytorchvideo_autox3d.registry import ATTENTION_COST_REGISTRY, ATTENTION_REGISTRY

# An exact integer, or an int64 array of them.
Ints = int | npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cost:
    """Cost of a layer or a chain of layers; arrays broadcast.

    Args:
        macs: multiply-adds.
        params: parameters.
        peak: elements of the largest output of a convolution, linear layer or matrix product.
    """

    macs: Ints = 0
    params: Ints = 0
    peak: Ints = 0

    def __add__(self, other: Cost) -> Cost:
        """The cost of two layers, one after the other."""
        peak = np.maximum(self.peak, other.peak)
        return Cost(self.macs + other.macs, self.params + other.params, peak)


def chain(costs: Iterable[Cost]) -> Cost:
    """The cost of layers one after the other."""
    return sum(costs, Cost())


def convolution(in_channels: Ints, out_channels: Ints, positions: Ints, *, taps: Ints = 1, bias: bool = False) -> Cost:
    """A dense convolution with `taps` = t * h * w, giving `positions` positions.

    Args:
        in_channels, out_channels: its channels.
        positions: T * H * W of its output.
        taps: t * h * w of its kernel.
        bias: whether it has one.
    """
    weights = in_channels * out_channels * taps
    return Cost(weights * positions, weights + bias * out_channels, out_channels * positions)


def depthwise(channels: Ints, positions: int, *, taps: Ints) -> Cost:
    """A depthwise convolution without bias; `positions` is T * H * W of its output, `taps` t * h * w of its kernel."""
    return Cost(channels * taps * positions, channels * taps, channels * positions)


def batch_norm(channels: Ints) -> Cost:
    """The weight and bias of a batch norm; running statistics are buffers, not parameters."""
    return Cost(params=2 * channels)


def matrix_product(rows: Ints, inner: Ints, columns: Ints) -> Cost:
    """The product (rows, inner) @ (inner, columns) of two activations."""
    return Cost(macs=rows * inner * columns, peak=rows * columns)


def squeeze_excitation(channels: Ints, se_ratio: float) -> Cost:
    """Squeeze-excitation: two 1x1x1 convolutions with bias on the mean over all positions."""
    reduced = _round_width(channels, se_ratio)
    return convolution(channels, reduced, 1, bias=True) + convolution(reduced, channels, 1, bias=True)


def mbconv(
    in_channels: Ints,
    out_channels: Ints,
    inner_channels: Ints,
    *,
    taps: Ints,
    in_positions: int,
    out_positions: int,
    se_ratio: float,
) -> Cost:
    """`layers.MBConv3D`; `se_ratio` 0 is a block without squeeze-excitation.

    Args:
        in_channels, out_channels, inner_channels: of the block's input and output, and between its 1x1x1 convolutions.
        taps: t * s * s of the depthwise kernel.
        in_positions, out_positions: T * H * W before and after the depthwise convolution.
        se_ratio: reduced over inner channels of squeeze-excitation.
    """
    layers = [
        convolution(in_channels, inner_channels, in_positions),
        batch_norm(inner_channels),
        depthwise(inner_channels, out_positions, taps=taps),
        batch_norm(inner_channels),
        convolution(inner_channels, out_channels, out_positions),
        batch_norm(out_channels),
    ]
    if se_ratio > 0:
        layers.append(squeeze_excitation(inner_channels, se_ratio))
    return chain(layers)


@ATTENTION_COST_REGISTRY.register(name="none")
def pass_through(channels: Ints, positions: int) -> Cost:
    """No attention, which costs nothing."""
    return Cost()


@ATTENTION_COST_REGISTRY.register(name="glore")
def glore(channels: Ints, positions: int, *, node_ratio: float = NODE_RATIO) -> Cost:
    """`layers.GloRe` with m nodes: 5 C m + 4 m^2 multiply-adds a position, and 6 m^3 for the graph convolution."""
    nodes = np.maximum(1, np.rint(channels * node_ratio)).astype(np.int64)
    return chain(
        [
            convolution(channels, 2 * nodes, positions, bias=True),
            convolution(channels, nodes, positions, bias=True),
            matrix_product(2 * nodes, positions, nodes),
            convolution(nodes, nodes, 2 * nodes, bias=True),
            convolution(2 * nodes, 2 * nodes, nodes),
            matrix_product(2 * nodes, nodes, positions),
            convolution(2 * nodes, channels, positions),
            batch_norm(channels),
        ]
    )


@ATTENTION_COST_REGISTRY.register(name="nonlocal")
def non_local(channels: Ints, positions: int) -> Cost:
    """pytorchvideo's Non-local with half of the channels inside: quadratic in the number of positions."""
    inner = np.maximum(1, channels // 2)
    three = [convolution(channels, inner, positions, bias=True)] * 3
    products = matrix_product(positions, inner, positions) + matrix_product(inner, positions, positions)
    return chain([*three, products, convolution(inner, channels, positions, bias=True), batch_norm(channels)])


def attention(name: str, channels: Ints, positions: int, options: Mapping[str, Any]) -> Cost:
    """The attention registered as `name`: by its formula where it has one, else counted at each width.

    Args:
        name: in the ATTENTION registry.
        channels: of its map; an array costs all at once.
        positions: T * H * W of its map.
        options: with which it is built.


    Raises:
        RegistryError: there is no such attention.
    """
    plain = ATTENTION_REGISTRY.get(name)
    if name in ATTENTION_COST_REGISTRY:
        cost: Cost = ATTENTION_COST_REGISTRY.get(name)(channels, positions, **options)
        return cost
    widths = np.asarray(channels)
    counts = {int(width): _counted(plain(int(width), **options), int(width), positions) for width in np.unique(widths)}
    macs, params, peak = (
        np.vectorize(lambda width, field=field: getattr(counts[int(width)], field), otypes=[np.int64])(widths)
        for field in ("macs", "params", "peak")
    )
    return Cost(macs, params, peak)


def _counted(block: nn.Module, channels: int, positions: int) -> Cost:
    """The cost of a block, counted by running it once on a map of `positions` positions in a row."""
    count = count_module(block, (1, 1, positions), in_channels=channels)
    return Cost(count.macs, count.params, channels * positions)


def stem(in_channels: int, channels: int, temporal_kernel: int, positions: int) -> Cost:
    """The 1x3x3 convolution, the depthwise one over time if its kernel exceeds 1, and BN.

    Args:
        in_channels, channels: of a clip and of the stem.
        temporal_kernel: frames that the depthwise convolution spans.
        positions: T * H * W of its output.
    """
    layers = [convolution(in_channels, channels, positions, taps=9), batch_norm(channels)]
    if temporal_kernel > 1:
        layers.append(depthwise(channels, positions, taps=temporal_kernel))
    return chain(layers)


def head(in_channels: Ints, channels: int, hidden: int, num_classes: int, positions: int) -> Cost:
    """X3D's head: a convolution at every position, and two linear layers after the pooling.

    Args:
        in_channels: channels of the map that it receives.
        channels, hidden: of the convolution before the pool and of the layer after it.
        num_classes: classes.
        positions: T * H * W of that map.
    """
    return chain(
        [
            convolution(in_channels, channels, positions),
            batch_norm(channels),
            convolution(channels, hidden, 1),
            convolution(hidden, num_classes, 1, bias=True),
        ]
    )


def _round_width(channels: Ints, ratio: float, divisor: int = 8) -> Ints:
    """X3D's rounding to a multiple of 8, at least 8, never under 90% of the exact width."""
    exact = np.asarray(channels) * ratio
    rounded = np.maximum(divisor, (exact + divisor / 2).astype(np.int64) // divisor * divisor)
    return np.where(rounded < 0.9 * exact, rounded + divisor, rounded)


def positions_after(size: tuple[int, int, int], stride: int) -> tuple[int, int, int]:
    """(T, H, W) after a "same" convolution of this spatial stride."""
    return size[0], math.ceil(size[1] / stride), math.ceil(size[2] / stride)


__all__ = ["Cost", "Ints", "attention", "chain", "head", "mbconv", "positions_after", "stem"]
