"""What follows from a space but is not searched: the blocks of each group, their strides and widths.

The static models, the supernet and the cost formulas all take it from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space.search_space import SearchSpace


@dataclass(frozen=True)
class BlockPlan:
    """One block: its spatial stride and whether it has squeeze-excitation."""

    stride: int
    squeeze_excite: bool


def block_plan(space: SearchSpace, depth_factor: float = 1.0) -> tuple[tuple[BlockPlan, ...], ...]:
    """The blocks of every group.

    A group of n blocks gets ceil(n * depth_factor), as X3D rounds repeats (X3D, `round_repeats`). As in X3D every
    other block of a stage has squeeze-excitation, beginning with the first; a stage begins at a group with a stride.

    Raises:
        SpaceError: the depth factor is not positive.
    """
    if not depth_factor > 0 or math.isinf(depth_factor):
        raise SpaceError(f"depth_factor {depth_factor} is not a positive number")
    plan, position = [], 0
    for group in space.groups:
        position = 0 if group.stride > 1 else position
        depth = math.ceil(group.blocks * depth_factor)
        strides = [group.stride] + [1] * (depth - 1)
        plan.append(tuple(BlockPlan(s, (position + i) % 2 == 0) for i, s in enumerate(strides)))
        position += depth
    return tuple(plan)


def stages(space: SearchSpace) -> tuple[tuple[int, ...], ...]:
    """The groups (0-based) of every stage; a stage begins with a group whose stride is above 1."""
    result: list[list[int]] = []
    for number, group in enumerate(space.groups):
        if group.stride > 1 or not result:
            result.append([])
        result[-1].append(number)
    return tuple(map(tuple, result))


def inner_width(in_channels: int, expansion: float) -> int:
    """Channels of a block's depthwise convolution: the expansion is relative to the block's input."""
    return max(1, round(in_channels * expansion))
