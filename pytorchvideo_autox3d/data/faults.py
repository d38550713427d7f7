"""What to do about videos that can't be decoded, and a count of those that were met."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.errors import DataError

_logger = logging.getLogger(__name__)
_NAMED = 5  # offenders that an error names; all of them are in the log

POLICIES = ("error", "skip")


@dataclass(frozen=True)
class FaultPolicy:
    """What happens when an item raises `DecodeError`.

    Attributes:
        action: "error" lets it end the iteration. "skip" goes on without the video: training takes the sampler's next
            in its place, a test leaves it out, and the loader's `faults` count it.
        limit: how many bad videos, each counted once, each process lets pass before "skip" stops too.

    Raises:
        DataError: an unknown action, or a negative limit.
    """

    action: str = "error"
    limit: int = 100

    def __post_init__(self) -> None:
        if self.action not in POLICIES or self.limit < 0:
            raise DataError(f"fault policy {self.action!r}, limit {self.limit}: expected {' or '.join(POLICIES)}, 0..")

    @classmethod
    def with_share(cls, action: str, share: float, num_videos: int) -> FaultPolicy:
        """A policy whose limit is a share of the list, and at least one video.

        Args:
            action: "error" or "skip".
            share: of the list's videos that may be bad, 0 to 1.
            num_videos: of the list.

        Raises:
            DataError: the share or the action is out of range.
        """
        if not 0 <= share <= 1:
            raise DataError(f"the share of bad videos to let pass is {share}, expected 0 to 1")
        return cls(action, max(1, int(share * num_videos)))


@dataclass(frozen=True)
class Fault:
    """One failed attempt to decode a video: its place in the list, and the error's message."""

    video: int
    message: str


class FaultCounter:
    """Counts faults by video, logs each video once, and raises an error past the limit.

    Args:
        limit: how many videos may be bad.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[int, int] = {}
        self._messages: dict[int, str] = {}

    def add(self, fault: Fault) -> None:
        """Count a fault.

        Raises:
            DataError: more videos are bad than the limit allows; names some of them.
        """
        self._counts[fault.video] = self._counts.get(fault.video, 0) + 1
        if fault.video not in self._messages:
            self._messages[fault.video] = fault.message
            _logger.warning("skipped: %s", fault.message)
        if len(self._counts) > self._limit:
            named = "; ".join(list(self._messages.values())[:_NAMED])
            more = f"; and {len(self._counts) - _NAMED} more" if len(self._counts) > _NAMED else ""
            raise DataError(
                f"{len(self._counts)} bad videos, more than the {self._limit} allowed "
                f"(run `autox3d check-data`): {named}{more}"
            )

    @property
    def counts(self) -> Mapping[int, int]:
        """Failed attempts by video, of this process."""
        return self._counts

    def state_dict(self) -> dict[str, Any]:
        """The counts and first messages of this process, for a checkpoint."""
        return {"counts": dict(self._counts), "messages": dict(self._messages)}

    def load_state_dicts(self, state_dicts: Sequence[Mapping[str, Any]]) -> None:
        """Restore the counts that all processes saved.

        Each process takes its own. Where the number of processes has changed, the first takes the sum of all, and the
        others start from zero. Nothing is logged again; counts above the limit stop the run at the next bad video.
        """
        if len(state_dicts) == distributed.world_size():
            state_dicts = state_dicts[distributed.rank() :][:1]
        elif not distributed.is_main():
            state_dicts = ()
        self._counts, self._messages = {}, {}
        for state in state_dicts:
            for video, count in state["counts"].items():
                self._counts[int(video)] = self._counts.get(video, 0) + int(count)
            self._messages = {**state["messages"], **self._messages}

    def metrics(self) -> dict[str, float]:
        """For log lines: `skipped`, the failed attempts, and `bad_videos`, the videos that they were at."""
        return {"skipped": float(sum(self._counts.values())), "bad_videos": float(len(self._counts))}
