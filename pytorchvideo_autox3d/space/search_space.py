"""A design space as data: what every group may choose, in a fixed order of decisions."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space.spec import (
    Decision,
    GroupSpec,
    HeadSpec,
    StemSpec,
    format_value,
)

# The stem always halves height and width (paper, Table 2).
STEM_STRIDE = 2


@dataclass(frozen=True)
class SearchSpace:
    """All architectures with one candidate chosen for every decision of every group.

    Args:
        name: built-in name, or the name that a yaml file gives itself.
        groups: the groups from the stem to the head.
        stem: the fixed first convolution.
        head: the fixed head.
    Raises:
        SpaceError: there are no groups, or the lowest expansion of a group gives less than one channel where the
            block's input is narrowest.
    """

    name: str
    # `architecture.py` builds on this module and sets its class here; this one must not know that one.
    architecture_type: ClassVar[Any]

    groups: tuple[GroupSpec, ...]
    stem: StemSpec = field(default_factory=StemSpec)
    head: HeadSpec = field(default_factory=HeadSpec)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        if not self.groups:
            raise SpaceError(f"space {self.name!r}: groups: no group given")
        fewest = self.stem.channels
        for number, group in enumerate(self.groups, start=1):
            # The first block takes the channels of the group before, the others those of this group.
            inputs = min(fewest, *group.channels) if group.blocks > 1 else fewest
            narrowest = min(group.expansions)
            if narrowest * inputs < 1:
                raise SpaceError(
                    f"group {number}: expansions: {narrowest:g} times {inputs} channels is less than one channel"
                )
            fewest = min(group.channels)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision: group by group, and within a group kernel, channels, expansion, attention."""
        return tuple(
            Decision(number, key, candidates)
            for number, group in enumerate(self.groups)
            for key, candidates in group.decisions()
        )

    @property
    def size(self) -> int:
        """The exact number of architectures: the product of the numbers of candidates."""
        return math.prod(len(decision.candidates) for decision in self.decisions)

    def sample(self, generator: torch.Generator) -> Any:
        """Draw one `Architecture`: every decision uniformly and independently of the others."""
        return self.architecture_type.from_indices(self, self.sample_indices(1, generator)[0].tolist())

    def sample_indices(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw architectures as candidate indices, every decision uniformly and independently of the others.

        Args:
            count: how many architectures.
            generator: the only source of randomness, so that its seed repeats the draw.
        Returns:
            0-based indices, int64 (count, number of decisions).
        """
        columns = [
            torch.randint(len(decision.candidates), (count,), generator=generator) for decision in self.decisions
        ]
        return torch.stack(columns, dim=1)

    def describe(self, clip_length: int = 13, crop_size: int = 160) -> str:
        """The space as text, in the form of the paper's Table 2.

        Args:
            clip_length: frames of the clips for which input sizes are shown.
            crop_size: height and width of these clips, in pixels.
        """
        size = crop_size
        rows: list[tuple[str, ...]] = [
            ("group", "max input", "kernel", "expansion", "channels", "blocks", "stride", "attention")
        ]
        stem_kernel = "1x3^2" if self.stem.temporal_kernel == 1 else f"1x3^2 + {self.stem.temporal_kernel}x1^2"
        shape = f"3x{clip_length}x{size}^2"
        rows.append(("stem", shape, stem_kernel, "-", str(self.stem.channels), "1", str(STEM_STRIDE), "-"))
        size, width = -(-size // STEM_STRIDE), self.stem.channels
        for number, group in enumerate(self.groups, start=1):
            columns = (group.kernels, group.expansions, group.channels)
            kernels, expansions, channels = (_summary(values) for values in columns)
            counts = (str(group.blocks), str(group.stride), _summary(group.attentions))
            shape = f"{width}x{clip_length}x{size}^2"
            rows.append((str(number), shape, kernels, expansions, channels, *counts))
            size, width = -(-size // group.stride), max(group.channels)
        pool_shape = f"{width}x{clip_length}x{size}^2"
        rows.append(("pool", pool_shape, "1x1^2", "-", str(self.head.channels), "1", "1", "-"))
        rows.append(("fc", f"{self.head.channels}x1x1^2", "-", "-", str(self.head.hidden), "1", "1", "-"))
        return f"{_align(rows)}\n{self.name}: {self.size:.2g} architectures, {len(self.decisions)} decisions"


def _summary(values: tuple) -> str:
    """Candidates as one cell: "12..28, 4" (first, last, step) for an even progression of numbers, else all of them."""
    numeric = all(isinstance(value, int | float) for value in values)
    if numeric and len(values) > 2:
        steps = {second - first for first, second in itertools.pairwise(values)}
        if len(steps) == 1:
            return f"{values[0]:g}..{values[-1]:g}, {steps.pop():g}"
    return " ".join(format_value(value) for value in values)


def _align(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
