"""Measured pieces as a `LatencyTable`, and how well it predicts whole networks that were measured too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytorchvideo_autox3d.analysis import AdditiveCost, LatencyTable
from pytorchvideo_autox3d.latency.frames import framed, without_frame
from pytorchvideo_autox3d.latency.measure import Measured, Setting
from pytorchvideo_autox3d.latency.pieces import Grid, Piece, network_key, pieces_of, random_networks, whole_networks
from pytorchvideo_autox3d.space import SearchSpace

FITTED, TESTED = 8, 30
"""How many whole networks the overhead is fitted on, and how many others the table is tested on."""


@dataclass(frozen=True)
class Agreement:
    """How predicted and measured milliseconds of random networks agree.

    Attributes:
        networks: how many, none of them among those that the table was fitted on.
        error: mean of |predicted - measured| / measured.
        tau: Kendall's, of their order.
        predicted, measured: the milliseconds.
        spread: mean over the pieces of (slowest - fastest) / median: what the machine itself varies by.
    """

    networks: int
    error: float
    tau: float
    predicted: tuple[float, ...]
    measured: tuple[float, ...]
    spread: float

    def __str__(self) -> str:
        return (
            f"{self.networks} random networks: mean absolute error {self.error:.1%} (aim: at most 10%), Kendall's tau "
            f"{self.tau:.2f} (aim: at least 0.9); timings of one piece spread by {self.spread:.0%} on average"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "predicted": list(self.predicted), "measured": list(self.measured)}


def pieces_to_measure(space: SearchSpace, clip: tuple[int, int, int], backend: str) -> dict[str, Piece]:
    """All that `make_table` needs to have measured, by key.

    Args:
        space: whose networks the table is of.
        clip: (T, S, S).
        backend: a name of `BACKENDS`; other than on "eager" the pieces stand in frames (`frames.py`).
    Returns:
        The pieces, and `FITTED` + `TESTED` whole networks.
    """
    pieces = pieces_of(space, clip)
    if backend != "eager":
        pieces = {piece.key: piece for piece in framed(pieces.values())}
    return {**pieces, **whole_networks(space, clip, FITTED + TESTED)}


def make_table(
    space: SearchSpace, setting: Setting, measured: Mapping[str, Measured]
) -> tuple[LatencyTable, Agreement]:
    """Add the pieces up over every choice, fit what a network adds to its pieces, and test on other networks.

    A piece timed alone and the same piece within a network differ by what calling it costs and by what is in the
    caches. Both are covered by whole = scale * pieces + overhead, fitted by least squares on `FITTED` networks.

    Args:
        space: whose networks the table is of.
        setting: how the pieces were timed.
        measured: of every piece of `pieces_to_measure`, by key.
    Returns:
        The table, and how well it predicts `TESTED` other networks.
    """
    cost = _cost(space, setting.clip, {key: one.fastest for key, one in measured.items()})
    architectures = random_networks(space, FITTED + TESTED)
    whole = np.array([measured[network_key(number, one)].fastest for number, one in enumerate(architectures)])
    total = cost.total(np.array([one.indices for one in architectures]))
    scale, overhead = _fit(total[:FITTED], whole[:FITTED])
    fixed = max(0.0, scale * cost.fixed + overhead)
    fitted = AdditiveCost(fixed, tuple(scale * group for group in cost.groups), scale * cost.head)
    table = LatencyTable(space, setting.clip, setting.batch, setting.backend, setting.threads, setting.machine, fitted)
    predicted = scale * (total - cost.fixed) + fixed
    return table, _agreement(predicted[FITTED:], whole[FITTED:], measured)


def _fit(total: np.ndarray, whole: np.ndarray) -> tuple[float, float]:
    """Scale and overhead. The scale is positive: a table by which more work takes less time is of no use."""
    scale, overhead = np.polyfit(total, whole, 1)
    return (float(scale), float(overhead)) if scale > 0 else (float(whole.sum() / total.sum()), 0.0)


def _cost(space: SearchSpace, clip: tuple[int, int, int], milliseconds: Mapping[str, float]) -> AdditiveCost:
    grid = Grid(space, clip)
    groups = []
    for number, widths, size, plan in grid.groups():
        group = space.groups[number]
        inner = -(-size // plan[0].stride)
        shape = (len(widths), len(group.kernels), len(group.channels), len(group.expansions), len(group.attentions))
        values = np.zeros(shape)
        for w, k, c, e, a in np.ndindex(*shape):
            channels, kernel, expansion = group.channels[c], group.kernels[k], group.expansions[e]
            pieces = [*grid.block(widths[w], channels, kernel, expansion, size, plan[0])]
            for one in plan[1:]:
                pieces += grid.block(channels, channels, kernel, expansion, inner, one)
            if group.attentions[a] != "none":
                pieces.append(grid.attention(group.attentions[a], channels, inner))
            values[w, k, c, e, a] = sum(without_frame(piece, milliseconds) for piece in pieces)
        groups.append(values)
    last = [grid.head(channels, grid.last_size()) for channels in space.groups[-1].channels]
    head = np.array([without_frame(piece, milliseconds) for piece in last])
    return AdditiveCost(without_frame(grid.stem(), milliseconds), tuple(groups), head)


def _agreement(predicted: np.ndarray, whole: np.ndarray, measured: Mapping[str, Measured]) -> Agreement:
    first, second = np.triu_indices(len(whole), 1)
    pairs = [np.sign(values[first] - values[second]) for values in (predicted, whole)]
    # Kendall's tau-b: pairs that are level in one of them count in neither.
    tau = float((pairs[0] * pairs[1]).sum() / np.sqrt((pairs[0] ** 2).sum() * (pairs[1] ** 2).sum()))
    spread = float(np.mean([(one.slowest - one.fastest) / one.median for one in measured.values()]))
    error = float(np.mean(np.abs(predicted - whole) / whole))
    return Agreement(len(whole), error, tau, tuple(map(float, predicted)), tuple(map(float, whole)), spread)
