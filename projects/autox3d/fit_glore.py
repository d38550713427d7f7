"""Fit GloRe's number of nodes, which the paper does not give, to the rows of its Table 3.

Table 3 puts GloRe blocks by hand on X3D-S (13 x 160^2, 200 classes) and reports GFLOPs and parameters. One ratio of
nodes to channels is fitted to the GFLOPs of its four hand-placed rows, by least squares over a grid.

    python projects/autox3d/fit_glore.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytorchvideo_autox3d.analysis.formulas import Cost, chain, glore
from pytorchvideo_autox3d.layers.glore import NODE_RATIO

# X3D-S itself as Table 3 gives it: GFLOPs (multiply-adds, 1e9) and parameters in millions.
BASE_GFLOPS, BASE_PARAMS = 1.96, 3.4
# Channels and positions of X3D-S's four stages at 13 x 160^2.
STAGES = {1: (24, 13 * 40**2), 2: (48, 13 * 20**2), 3: (96, 13 * 10**2), 4: (192, 13 * 5**2)}
GRID = np.arange(0.25, 2.5, 0.01)


@dataclass(frozen=True)
class Row:
    """A row of Table 3: GloRe blocks by stage, GFLOPs, parameters in millions."""

    blocks: dict[int, int]
    gflops: float
    params: float


ROWS = (
    Row({1: 2}, 2.33, 3.5),
    Row({2: 2}, 2.56, 3.6),
    Row({3: 2}, 2.39, 3.7),
    Row({3: 2, 4: 3}, 2.92, 5.4),
)


def added(row: Row, node_ratio: float) -> Cost:
    """What the row's blocks add to X3D-S."""
    return chain(
        glore(*STAGES[stage], node_ratio=node_ratio) for stage, count in row.blocks.items() for _ in range(count)
    )


def fitted(row: Row, node_ratio: float) -> tuple[float, float]:
    """GFLOPs and millions of parameters of the row with this ratio."""
    cost = added(row, node_ratio)
    return BASE_GFLOPS + float(cost.macs) / 1e9, BASE_PARAMS + float(cost.params) / 1e6


def squared_error(node_ratio: float) -> float:
    """Sum over the rows of the squared error in GFLOPs."""
    return sum((fitted(row, node_ratio)[0] - row.gflops) ** 2 for row in ROWS)


def best_ratio() -> float:
    """The ratio of the grid with the least squared error."""
    return float(min(GRID, key=squared_error))


def main() -> None:
    best = best_ratio()
    for name, ratio in (("best fit", best), ("the layer's default", NODE_RATIO)):
        print(f"{name}: nodes / channels = {ratio:.2f}, squared error {squared_error(ratio):.4f}")
        print(
            f"{'blocks by stage':<18} {'GFLOPs':>8} {'fitted':>8} {'error':>8} {'params':>8} {'fitted':>8} {'error':>8}"
        )
        for row in ROWS:
            gflops, params = fitted(row, ratio)
            placed = ", ".join(f"{count} in {stage}" for stage, count in row.blocks.items())
            print(
                f"{placed:<18} {row.gflops:>8.2f} {gflops:>8.2f} {gflops / row.gflops - 1:>+8.1%} "
                f"{row.params:>8.1f} {params:>8.1f} {params / row.params - 1:>+8.1%}"
            )
        print()


if __name__ == "__main__":
    main()
