"""The cost of very many architectures at once, by look-ups in one table for each group.

A group's cost depends on its own four decisions and on the width that enters it, so a table over (entering width,
kernel, channels, expansion, attention) holds it exactly; an architecture's cost is a sum of look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pytorchvideo_autox3d.analysis import formulas
from pytorchvideo_autox3d.analysis.additive import AdditiveCost
from pytorchvideo_autox3d.analysis.complexity import (
    AttentionOptions,
    Size,
    check_clip,
    group_cost,
    group_sizes,
)
from pytorchvideo_autox3d.analysis.formulas import Cost
from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.models import SE_RATIO, stem_temporal_kernel
from pytorchvideo_autox3d.space import BlockPlan, GroupSpec, SearchSpace, block_plan

IntArray = npt.NDArray[np.int64]

# Rows looked up at a time: their indices and sums stay in cache.
_CHUNK = 8192


class Costs(NamedTuple):
    """Costs of N architectures, each int64 (N,); the fields mean what they mean in `Complexity`."""

    macs: IntArray
    params: IntArray
    peak_activation: IntArray


@dataclass(frozen=True)
class _GroupTable:
    """Cost of one group, flat over (entering width, kernel, channels, expansion, attention)."""

    shape: tuple[int, ...]
    macs: IntArray
    params: IntArray
    peak: IntArray


class CostTable:
    """Look-up tables for one space, clip size and head; arguments as in `complexity`.

    Raises:
        ModelError: the clip is not three whole numbers of at least one.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        clip: Size = (13, 160, 160),
        num_classes: int = 400,
        depth_factor: float = 1.0,
        stem: str | None = None,
        se_ratio: float = SE_RATIO,
        attention_options: AttentionOptions | None = None,
    ) -> None:
        check_clip(clip)
        self.space = space
        size, sizes = group_sizes(space, clip)
        kernel = stem_temporal_kernel(space, stem)
        fixed = formulas.stem(3, space.stem.channels, kernel, int(np.prod(size)))
        entering: tuple[int, ...] = (space.stem.channels,)
        self._groups: list[_GroupTable] = []
        for group, plan, positions in zip(space.groups, block_plan(space, depth_factor), sizes, strict=True):
            cost = _candidate_costs(entering, group, plan, positions, se_ratio, attention_options or {})
            self._groups.append(_flatten(cost, entering, group))
            entering = group.channels
        self._fixed = fixed
        # The head depends on the width that enters it, which is the last group's choice.
        last = space.groups[-1].channels
        head = formulas.head(np.array(last), space.head.channels, space.head.hidden, num_classes, sizes[-1][1])
        self._head = _GroupTable((len(last),), *(_full(values, (len(last),)) for values in _fields(head)))

    def cost(self, indices: npt.ArrayLike) -> Costs:
        """Costs of architectures given as candidate indices.

        Args:
            indices: integers (N, number of decisions), in the order of `SearchSpace.decisions`.
        Raises:
            SpaceError: the array has another shape or an index is out of range.
        """
        rows = self._checked(np.asarray(indices))
        count = len(rows)
        out = Costs(*(np.empty(count, np.int64) for _ in range(3)))
        for start in range(0, count, _CHUNK):
            part = slice(start, start + _CHUNK)
            # Decisions first, so that each one's indices are contiguous.
            chunk = self._chunk_cost(np.ascontiguousarray(rows[part].T, dtype=np.int32))
            for target, values in zip(out, _fields(chunk), strict=True):
                target[part] = values
        return out

    def additive(self, field: str) -> AdditiveCost:
        """A cost as a sum over groups, in floats, which hold these whole numbers exactly.

        Args:
            field: "macs" or "params".
        """
        groups = tuple(getattr(group, field).reshape(group.shape).astype(np.float64) for group in self._groups)
        return AdditiveCost(float(getattr(self._fixed, field)), groups, getattr(self._head, field).astype(np.float64))

    def _checked(self, rows: npt.NDArray) -> npt.NDArray:
        counts = np.array([len(decision.candidates) for decision in self.space.decisions])
        if rows.ndim != 2 or rows.shape[1] != len(counts) or not np.issubdtype(rows.dtype, np.integer):
            raise SpaceError(f"expected integer indices of shape (N, {len(counts)}), got {rows.shape} {rows.dtype}")
        if len(rows) and (rows.min() < 0 or (rows.max(axis=0) >= counts).any()):
            raise SpaceError("an index is out of its decision's range")
        return rows

    def _chunk_cost(self, columns: npt.NDArray[np.int32]) -> Cost:
        total = self._fixed
        entering = np.zeros(columns.shape[1], np.int32)
        for number, group in enumerate(self._groups):
            kernel, channels, expansion, attention = columns[4 * number : 4 * number + 4]
            _, kernels, widths, expansions, attentions = group.shape
            flat = (((entering * kernels + kernel) * widths + channels) * expansions + expansion) * attentions
            flat += attention
            total += Cost(group.macs[flat], group.params[flat], group.peak[flat])
            entering = channels
        head = self._head
        return total + Cost(head.macs[entering], head.params[entering], head.peak[entering])


def _candidate_costs(
    entering: tuple[int, ...],
    group: GroupSpec,
    plan: tuple[BlockPlan, ...],
    positions: tuple[int, int],
    se_ratio: float,
    attention_options: AttentionOptions,
) -> list[Cost]:
    """A cost for each candidate attention, each broadcastable to (entering, kernel, channels, expansion)."""
    before, after = positions
    width_in = np.array(entering, np.int64).reshape(-1, 1, 1, 1)
    taps = np.array([t * s * s for t, s in group.kernels], np.int64).reshape(1, -1, 1, 1)
    width = np.array(group.channels, np.int64).reshape(1, 1, -1, 1)
    expansion = np.array(group.expansions).reshape(1, 1, 1, -1)
    first, later = (_inner_widths(values, expansion) for values in (width_in, width))
    blocks = group_cost(width_in, width, first, later, taps, plan, before, after, se_ratio)
    return [
        blocks + formulas.attention(name, width, after, attention_options.get(name, {})) for name in group.attentions
    ]


def _inner_widths(channels: IntArray, expansion: npt.NDArray[np.float64]) -> IntArray:
    """`space.inner_width` of arrays; numpy's rint rounds ties to even, as Python's round does."""
    return np.maximum(1, np.rint(channels * expansion)).astype(np.int64)


def _flatten(costs: list[Cost], entering: tuple[int, ...], group: GroupSpec) -> _GroupTable:
    shape = (len(entering), len(group.kernels), len(group.channels), len(group.expansions))
    stacked = (
        np.stack([_full(values, shape) for values in values_of], axis=-1)
        for values_of in zip(*map(_fields, costs), strict=True)
    )
    return _GroupTable((*shape, len(costs)), *(values.reshape(-1) for values in stacked))


def _fields(cost: Cost) -> tuple:
    return cost.macs, cost.params, cost.peak


def _full(values: object, shape: tuple[int, ...]) -> IntArray:
    return np.broadcast_to(np.asarray(values, dtype=np.int64), shape).copy()
