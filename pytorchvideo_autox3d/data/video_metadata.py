"""What a reader knows of a video before it decodes a frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoMetadata:
    """Length, rate and size of a video.

    Attributes:
        num_frames: frames that can be shown; at least 1.
        fps: average frames a second.
        height, width: as displayed, in pixels.
    """

    num_frames: int
    fps: float
    height: int
    width: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.fps
