"""Choosing the compressed packets that a decoder needs for the frames that are wanted, from their timestamps alone.

To decode a frame, a decoder has to start at the keyframe before it. Packets after a wanted frame can be skipped up to
the keyframe before the next one. So reading a few frames of a video that has many keyframes is cheap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


class PacketLike(Protocol):
    """The part of a packet that planning looks at: its display time, and whether decoding can start with it."""

    @property
    def pts(self) -> int | None:
        """Display time, in units of the stream's time base; None where the container stores none."""
        ...

    @property
    def is_keyframe(self) -> bool:
        """Whether decoding can start with this packet."""
        ...


@dataclass(frozen=True)
class Run:
    """A run of packets first..last, inclusive, in decoding order: from a keyframe to the last wanted packet."""

    first: int
    last: int


def shown_at(sorted_pts: Sequence[int], times: Iterable[float]) -> list[int]:
    """For each time, the display time of the frame that is then on the screen.

    That is the last one not after the time; before the first frame, it is the first.
    """
    return [sorted_pts[max(bisect_right(sorted_pts, time) - 1, 0)] for time in times]


def plan_runs(packets: Sequence[PacketLike], wanted: set[int]) -> list[Run]:
    """The shortest runs of packets, in decoding order, that deliver the frames with the display times `wanted`.

    A frame needs everything from the last keyframe that is not displayed after it: pictures that follow a keyframe but
    are displayed before it ("leading" ones of an open group) depend on the group before.
    """
    runs: list[Run] = []
    for last, packet in enumerate(packets):
        if packet.pts not in wanted or packet.pts is None:
            continue
        first = _start_of(packets, last, packet.pts)
        if runs and first <= runs[-1].last + 1:
            runs[-1] = Run(min(runs[-1].first, first), last)
        else:
            runs.append(Run(first, last))
    return runs


def _start_of(packets: Sequence[PacketLike], position: int, pts: int) -> int:
    for start in range(position, -1, -1):
        candidate = packets[start]
        if candidate.is_keyframe and candidate.pts is not None and candidate.pts <= pts:
            return start
    return 0
