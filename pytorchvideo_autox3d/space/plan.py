"""What follows from a space without being searched: the blocks of each group, their strides and their widths.

The static models, the supernet and the cost formulas all take it from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space.search_space import SearchSpace

MOST_BLOCKS = 1000
"""Of a network. The deepest published of this kind, X3D-XL, has 55; a file could ask for a billion."""


@dataclass(frozen=True)
class BlockPlan:
    """What is fixed of one block.

    Args:
        stride: spatial stride of its depthwise convolution, 1 or 2; time is never strided.
        squeeze_excite: whether it has squeeze-excitation, where the network has any.
    """

    stride: int
    squeeze_excite: bool


def block_plan(space: SearchSpace, depth_factor: float = 1.0) -> tuple[tuple[BlockPlan, ...], ...]:
    """List the blocks of every group.

    A group of n blocks gets ceil(n * depth_factor), as X3D rounds repeats (X3D, `round_repeats`). As in X3D every
    other block of a stage has squeeze-excitation, beginning with the first; a stage begins at a group with a stride.

    Args:
        space: says how many blocks each group has and the stride of its first block.
        depth_factor: multiplies the number of blocks; 1 keeps the space's own depth.
    Returns:
        For each group its blocks, in order.
    Raises:
        SpaceError: the depth factor is not a positive, finite number, or there are more than `MOST_BLOCKS`.
    """
    if not depth_factor > 0 or math.isinf(depth_factor):
        raise SpaceError(f"depth_factor {depth_factor} is not a positive number")
    if (blocks := sum(math.ceil(group.blocks * depth_factor) for group in space.groups)) > MOST_BLOCKS:
        raise SpaceError(f"{blocks} blocks (depth_factor {depth_factor:g}), expected {MOST_BLOCKS} or fewer")
    plan, position = [], 0
    for group in space.groups:
        position = 0 if group.stride > 1 else position
        depth = math.ceil(group.blocks * depth_factor)
        strides = [group.stride] + [1] * (depth - 1)
        plan.append(tuple(BlockPlan(s, (position + i) % 2 == 0) for i, s in enumerate(strides)))
        position += depth
    return tuple(plan)


def stages(space: SearchSpace) -> tuple[tuple[int, ...], ...]:
    """Group the groups (0-based numbers) into stages; a stage begins at a group whose stride is above 1."""
    result: list[list[int]] = []
    for number, group in enumerate(space.groups):
        if group.stride > 1 or not result:
            result.append([])
        result[-1].append(number)
    return tuple(map(tuple, result))


def inner_width(in_channels: int, expansion: float) -> int:
    """The channels of a block's depthwise convolution, at least one.

    Args:
        in_channels: channels of the block's input, which the expansion is relative to.
        expansion: the ratio of inner to input channels; the product is rounded to the nearest whole number.
    """
    return max(1, round(in_channels * expansion))
