"""A cost that adds up over groups, as arrays with one entry for each choice of a group and each width that enters it.

Shapes: W widths that enter a group; K kernels, C channels, E expansions, A attentions, its candidates; N architectures,
D decisions, in the order of `SearchSpace.decisions`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AdditiveCost:
    """cost(A) = fixed + sum over groups of groups[g][entering width, choice] + head[last width].

    Attributes:
        fixed: the part that no choice changes (the stem).
        groups: an array (W, K, C, E, A) for each group; W is 1 for the first, and for any other the C of the group
            before it.
        head: the cost of the head by the width that enters it, (C of the last group,).
    """

    fixed: float
    groups: tuple[FloatArray, ...]
    head: FloatArray

    def total(self, indices_ND: npt.ArrayLike) -> FloatArray:
        """The costs (N,) of N architectures, given as candidate indices (N, D)."""
        columns = np.asarray(indices_ND).T
        total = np.full(columns.shape[1], self.fixed)
        entering = np.zeros(columns.shape[1], np.int64)
        for number, group in enumerate(self.groups):
            kernel, channels, expansion, attention = columns[4 * number : 4 * number + 4]
            total += group[entering, kernel, channels, expansion, attention]
            entering = channels
        return total + self.head[entering]

    def range(self) -> tuple[float, float]:
        """The least and the greatest cost of all architectures, exact."""
        return float(self.fixed + self.rest(np.min)[0][0]), float(self.fixed + self.rest(np.max)[0][0])

    def unspent(self, most: float) -> AdditiveCost:
        """`most` minus this cost, as a cost of its own; an upper limit on it is a lower limit on this cost."""
        return AdditiveCost(most - self.fixed, tuple(-group for group in self.groups), -self.head)

    def rest(self, best: np.ufunc | object = np.min) -> list[FloatArray]:
        """The best cost of the rest of a network, from each group on.

        Args:
            best: np.min or np.max.

        Returns:
            For each group an array over the widths that enter it; then one for the head alone.
        """
        after = [self.head]
        for group in reversed(self.groups):
            onward = group + after[0][None, None, :, None, None]
            after.insert(0, best(onward, axis=(1, 2, 3, 4)))  # type: ignore[operator]
        return after
