"""What one group of blocks may be (`GroupSpec`) and what it is (`GroupChoice`), and the fixed stem and head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytorchvideo_autox3d.errors import SpaceError

Kernel = tuple[int, int]


class Decision(NamedTuple):
    """One categorical choice of a space.

    Args:
        group: the group it belongs to, counted from 0.
        field: which attribute of `GroupChoice` it sets.
        candidates: the values to choose among.
    """

    group: int
    field: str
    candidates: tuple


# Strides that a group's first block may have in height and width: those of the paper's Table 2. The networks here are
# made for these alone.
STRIDES = (1, 2)


@dataclass(frozen=True)
class GroupChoice:
    """The choices that all blocks of one group share (paper, section 3.5).

    Args:
        kernel: (t, s), the depthwise kernel t x s^2 (paper, Table 1).
        channels: output channels of every block of the group.
        expansion: inner channels of a block over its *input* channels, as in MobileNetV2.
        attention: name of the block put after the group, as registered in ATTENTION.
    """

    kernel: Kernel
    channels: int
    expansion: float
    attention: str = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", tuple(self.kernel))
        object.__setattr__(self, "expansion", float(self.expansion))


@dataclass(frozen=True)
class GroupSpec:
    """What one group of blocks may choose, and what is fixed of it.

    Args:
        channels: candidates for the output channels of every block.
        kernels: candidates (t, s) for the depthwise kernel t x s^2; odd numbers.
        expansions: candidates for inner channels over *input* channels.
        attentions: candidates for the block after the group, by their names in ATTENTION.
        blocks: number of blocks.
        stride: spatial stride of the first block, 1 or 2.
    Raises:
        SpaceError: a list of candidates is empty, repeats a value or holds an impossible one; `blocks` is no whole
            number of at least one; the stride is neither 1 nor 2.
    """

    channels: tuple[int, ...]
    kernels: tuple[Kernel, ...]
    expansions: tuple[float, ...]
    attentions: tuple[str, ...]
    blocks: int
    stride: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "kernels", tuple(tuple(kernel) for kernel in self.kernels))
        object.__setattr__(self, "expansions", tuple(float(value) for value in self.expansions))
        object.__setattr__(self, "attentions", tuple(self.attentions))
        _check_candidates("channels", self.channels, all(_is_count(c) for c in self.channels), "whole numbers >= 1")
        _check_candidates(
            "kernels", self.kernels, all(map(_is_kernel, self.kernels)), "pairs [t, s] of odd numbers >= 1"
        )
        _check_candidates("expansions", self.expansions, all(e > 0 for e in self.expansions), "numbers > 0")
        _check_candidates(
            "attentions", self.attentions, all(isinstance(a, str) for a in self.attentions), "names in ATTENTION"
        )
        check_count("blocks", self.blocks)
        if type(self.stride) is not int or self.stride not in STRIDES:
            raise SpaceError(f"stride: {self.stride!r} is neither 1 nor 2")

    def decisions(self) -> tuple[tuple[str, tuple], ...]:
        """The group's decisions in their fixed order: kernel, channels, expansion, attention."""
        return (
            ("kernel", self.kernels),
            ("channels", self.channels),
            ("expansion", self.expansions),
            ("attention", self.attentions),
        )

    def check(self, choice: GroupChoice) -> None:
        """Check that every value of a choice is a candidate of this group.

        Raises:
            SpaceError: a value is not; names the first such key.
        """
        for key, candidates in self.decisions():
            value = getattr(choice, key)
            if value not in candidates:
                listed = ", ".join(format_value(candidate) for candidate in candidates)
                raise SpaceError(f"{key} {format_value(value)} is not one of {listed}")


@dataclass(frozen=True)
class StemSpec:
    """The first convolution: 3 -> channels, 1x3x3, spatial stride 2 (paper, Table 2).

    Args:
        channels: output channels.
        temporal_kernel: length in frames of a depthwise temporal convolution after it, odd; 1 means none, X3D has 5.
    Raises:
        SpaceError: a value is no whole number of at least one, or the temporal kernel is even.
    """

    channels: int = 24
    temporal_kernel: int = 1

    def __post_init__(self) -> None:
        check_count("stem.channels", self.channels)
        check_count("stem.temporal_kernel", self.temporal_kernel)
        if self.temporal_kernel % 2 == 0:
            raise SpaceError(f"stem.temporal_kernel {self.temporal_kernel} is even: it must be odd")


@dataclass(frozen=True)
class HeadSpec:
    """The head: 1x1x1 convolution, global average pool, linear to the features, linear to the classes.

    Args:
        channels: output channels of the convolution.
        hidden: number of features, the input of the classifier.
    Raises:
        SpaceError: a value is no whole number of at least one.
    """

    channels: int = 432
    hidden: int = 2048

    def __post_init__(self) -> None:
        check_count("head.channels", self.channels)
        check_count("head.hidden", self.hidden)


def check_count(key: str, value: object) -> None:
    """Check that a value is a count.

    Raises:
        SpaceError: it is no whole number of at least one; names `key`.
    """
    if not _is_count(value):
        raise SpaceError(f"{key}: {value!r} is not a whole number >= 1")


def format_value(value: object) -> str:
    """A candidate as the tables print it: kernels as 3x5^2, numbers without a trailing zero."""
    if isinstance(value, tuple) and len(value) == 2:
        return f"{value[0]}x{value[1]}^2"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_kernel(kernel: Sequence[object]) -> bool:
    return len(kernel) == 2 and all(isinstance(k, int) and _is_count(k) and k % 2 == 1 for k in kernel)


def _check_candidates(key: str, values: tuple, valid: bool, expected: str) -> None:
    """Check one list of candidates; `SpaceError` where it is empty, has a value that is not `valid` or one twice."""
    if not values:
        raise SpaceError(f"{key}: no candidates")
    if not valid:
        raise SpaceError(f"{key}: {_plain(values)} are not all {expected}")
    if len(set(values)) < len(values):
        raise SpaceError(f"{key}: {_plain(values)} holds a value twice")


def _plain(values: tuple) -> str:
    return str([list(value) if isinstance(value, tuple) else value for value in values])
