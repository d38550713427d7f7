"""One trained and tested model, and two of them compared on the same videos."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.report.statistics import difference_interval, wilson_interval
from pytorchvideo_autox3d.space import Architecture

# In the order in which a report lists them. "reference": solved for the published complexity; "designed": set by hand
# in the space; "random": sampled from the space, trained by the same recipe.
ROLES = ("searched", "reference", "designed", "X3D", "random")
# Multiply-adds within this factor count as equal.
EQUAL_MACS = 0.05


@dataclass(frozen=True)
class ModelResult:
    """One trained and tested model.

    Args:
        name: what the page calls it.
        role: one of `ROLES`, why it is in the comparison; it decides colour and order.
        top1, top5: multi-view test accuracy in percent.
        per_class: accuracy of each class in percent; None or NaN for a class without test videos.
        confusion: counts of videos; row: true class, column: predicted class.
        macs: multiply-adds of one clip (convolutions, linear layers, matrix products).
        params: number of parameters.
        latency_ms: median time of one forward pass of one clip, in milliseconds.
        history: one mapping for each epoch, as the engine writes to history.jsonl: epoch, lr, loss, top1_err (train, in
            percent), optionally val_top1_err, data_time, compute_time.
        architecture: None for models outside the space.
        depth_factor: multiplies the blocks of each group of `architecture`.
        settings: with which it was trained, shown as they are.

    Raises:
        EvaluationError: an unknown role, a percentage outside 0 to 100, or a confusion matrix that is not square or
            disagrees with top1.
    """

    name: str
    role: str
    top1: float
    macs: int
    params: int
    top5: float | None = None
    latency_ms: float | None = None
    per_class: Sequence[float | None] | None = None
    confusion: Sequence[Sequence[int]] | None = None
    history: Sequence[Mapping[str, Any]] = ()
    architecture: Architecture | None = None
    depth_factor: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise EvaluationError(f"{self.name}: role {self.role!r} is not one of {', '.join(ROLES)}")
        for key, value in (("top1", self.top1), ("top5", self.top5)):
            if value is not None and not 0.0 <= value <= 100.0:
                raise EvaluationError(f"{self.name}: {key} = {value} is not a percentage")
        if self.per_class is not None:
            plain = tuple(math.nan if value is None else float(value) for value in self.per_class)
            object.__setattr__(self, "per_class", plain)
        if self.confusion is not None:
            counts = tuple(tuple(int(videos) for videos in row) for row in self.confusion)
            object.__setattr__(self, "confusion", counts)
            self._check_confusion(counts)

    def _check_confusion(self, confusion: Sequence[Sequence[int]]) -> None:
        if any(len(row) != len(confusion) for row in confusion):
            raise EvaluationError(f"{self.name}: the confusion matrix is not square")
        total = sum(map(sum, confusion))
        trace = 100.0 * sum(row[i] for i, row in enumerate(confusion)) / max(total, 1)
        if total and abs(trace - self.top1) > 0.06:  # percentages may come rounded to one decimal
            raise EvaluationError(
                f"{self.name}: top1 = {self.top1} (percent) but the confusion matrix says {trace:.2f}"
            )

    @property
    def gflops(self) -> float:
        """Multiply-adds of one clip in units of 1e9."""
        return self.macs / 1e9

    def interval(self, total: int) -> tuple[float, float]:
        """Wilson's 95% interval of top-1 on `total` test videos, in percent."""
        low, high = wilson_interval(self.top1 / 100.0 * total, total)
        return 100.0 * low, 100.0 * high


@dataclass(frozen=True)
class Comparison:
    """Two models on the same test videos.

    Attributes:
        ours, theirs: names of the models.
        difference: top-1 of ours less that of theirs, in percentage points.
        low, high: its 95% interval.
        macs_ratio: multiply-adds of ours over those of theirs.
    """

    ours: str
    theirs: str
    difference: float
    low: float
    high: float
    macs_ratio: float

    @property
    def equal_macs(self) -> bool:
        """Whether the multiply-adds agree to within `EQUAL_MACS`."""
        return abs(self.macs_ratio - 1.0) <= EQUAL_MACS

    @property
    def verdict(self) -> str:
        """Whether ours is ahead, behind, or level as far as so many test videos can tell."""
        if self.low > 0:
            return "ahead"
        return "behind" if self.high < 0 else "level"

    @property
    def relation(self) -> str:
        """The verdict as the words between the two names."""
        return {"ahead": "ahead of", "level": "level with", "behind": "behind"}[self.verdict]


def compare(ours: ModelResult, theirs: ModelResult, total: int) -> Comparison:
    """Compare two models by top-1, with Newcombe's 95% interval of the difference on `total` test videos."""
    low, high = difference_interval(ours.top1 / 100 * total, theirs.top1 / 100 * total, total)
    return Comparison(
        ours=ours.name,
        theirs=theirs.name,
        difference=ours.top1 - theirs.top1,
        low=100 * low,
        high=100 * high,
        macs_ratio=ours.macs / theirs.macs,
    )
