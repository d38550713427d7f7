"""The cost of an architecture from its description alone; no module is built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytorchvideo_autox3d.analysis import formulas
from pytorchvideo_autox3d.analysis.formulas import Cost, Ints
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import SE_RATIO, stem_temporal_kernel
from pytorchvideo_autox3d.space import (
    STEM_STRIDE,
    Architecture,
    BlockPlan,
    SearchSpace,
    block_plan,
    inner_width,
)

Size = tuple[int, int, int]
AttentionOptions = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Complexity:
    """What a network costs for one clip.

    Args:
        macs: multiply-adds of convolutions, linear layers and matrix products (no BN, no activations). Papers on
            video networks, and this package where it prints GFLOPs, mean 1e9 of these.
        params: number of parameters.
        peak_activation: elements of the largest output of a convolution, linear layer or matrix product.
    """

    macs: int
    params: int
    peak_activation: int

    @property
    def gflops(self) -> float:
        """Multiply-adds in 1e9."""
        return self.macs / 1e9


def complexity(
    architecture: Architecture,
    *,
    clip: Size = (13, 160, 160),
    num_classes: int = 400,
    depth_factor: float = 1.0,
    stem: str | None = None,
    se_ratio: float = SE_RATIO,
    attention_options: AttentionOptions | None = None,
) -> Complexity:
    """The cost of `create_autox3d(architecture, ...)` with the same arguments, for one clip.

    The counts equal fvcore's (conv, linear, matmul) and the module's parameters exactly.

    Args:
        architecture: the choices.
        clip: (T, H, W) of the clip; three channels.
        num_classes: of the head.
        depth_factor: multiplies the blocks of every group, rounded up.
        stem: "table2", "x3d" or None for the space's own.
        se_ratio: reduced over inner channels of squeeze-excitation, which every other block has; 0 is none.
        attention_options: arguments of attentions, by their names.
    Raises:
        ModelError: the clip is not three whole numbers of at least one.
    """
    check_clip(clip)
    space, options = architecture.space, attention_options or {}
    kernel = stem_temporal_kernel(space, stem)
    size, sizes = group_sizes(space, clip)
    parts = [formulas.stem(3, space.stem.channels, kernel, math.prod(size))]
    width = space.stem.channels
    plans = block_plan(space, depth_factor)
    for choice, plan, (before, after) in zip(architecture.groups, plans, sizes, strict=True):
        first, later = inner_width(width, choice.expansion), inner_width(choice.channels, choice.expansion)
        taps = choice.kernel[0] * choice.kernel[1] ** 2
        parts.append(group_cost(width, choice.channels, first, later, taps, plan, before, after, se_ratio))
        chosen = options.get(choice.attention, {})
        parts.append(formulas.attention(choice.attention, choice.channels, after, chosen))
        width = choice.channels
    parts.append(formulas.head(width, space.head.channels, space.head.hidden, num_classes, sizes[-1][1]))
    total = formulas.chain(parts)
    return Complexity(int(total.macs), int(total.params), int(total.peak))


def group_sizes(space: SearchSpace, clip: Size) -> tuple[Size, list[tuple[int, int]]]:
    """(T, H, W) after the stem, and for every group the positions (T * H * W) of its input and of its output."""
    after_stem = size = formulas.positions_after(clip, STEM_STRIDE)
    positions = []
    for group in space.groups:
        after = formulas.positions_after(size, group.stride)
        positions.append((math.prod(size), math.prod(after)))
        size = after
    return after_stem, positions


def group_cost(
    in_channels: Ints,
    channels: Ints,
    first_inner: Ints,
    later_inner: Ints,
    taps: Ints,
    plan: tuple[BlockPlan, ...],
    in_positions: int,
    out_positions: int,
    se_ratio: float,
) -> Cost:
    """The blocks of one group, without its attention; widths and taps may be arrays that broadcast.

    Args:
        in_channels: channels of the map that enters.
        channels: output channels of every block.
        first_inner, later_inner: channels inside the first block and inside those after it.
        taps: t * s * s of the depthwise kernel.
        plan: the group's blocks.
        in_positions, out_positions: T * H * W before and after the group.
        se_ratio: squeeze-excitation of the blocks that have it; 0 for none.
    """
    blocks = []
    for number, block in enumerate(plan):
        blocks.append(
            formulas.mbconv(
                channels if number else in_channels,
                channels,
                later_inner if number else first_inner,
                taps=taps,
                in_positions=out_positions if number else in_positions,
                out_positions=out_positions,
                se_ratio=se_ratio if block.squeeze_excite else 0.0,
            )
        )
    return formulas.chain(blocks)


def check_clip(clip: Size) -> None:
    """Check that a clip's size is (T, H, W), whole numbers of at least one.

    Raises:
        ModelError: it is not.
    """
    if len(clip) != 3 or any(not isinstance(size, int) or size < 1 for size in clip):
        raise ModelError(f"a clip is (T, H, W), whole numbers >= 1, got {clip!r}")
