"""What a report is made of: plain frozen results, checked on construction, with a dictionary form for JSON."""

import dataclasses
import math
import statistics as stats
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
        top1, top5: multi-view test accuracy in percent.
        per_class: accuracy of each class in percent; None or NaN for a class without test videos.
        confusion: counts of videos; row: true class, column: predicted class.
        macs: multiply-adds of one clip (convolutions, linear layers, matrix products).
        latency_ms: median time of one forward pass of one clip, in milliseconds.
        history: one mapping an epoch, as the engine writes to history.jsonl: epoch, lr, loss, top1_err (train, in
            percent), optionally val_top1_err, data_time, compute_time.
        architecture: what was searched, sampled or referred to; None for models outside the space.
        depth_factor: multiplies the blocks of each group of `architecture`.
        settings: what it was trained with, shown as it is.

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
class PolicyTable:
    """The policy's probabilities of one kind of decision.

    Args:
        kind: "kernel", "channels", "expansion" or "attention".
        candidates: names of each group's candidates, ragged.
        probabilities: their probabilities, same shape; each row sums to one.
    """

    kind: str
    candidates: Sequence[Sequence[str]]
    probabilities: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        shapes = [len(row) for row in self.candidates], [len(row) for row in self.probabilities]
        if shapes[0] != shapes[1]:
            raise EvaluationError(f"policy of {self.kind}: {shapes[0]} candidates but {shapes[1]} probabilities")


@dataclass(frozen=True)
class SearchResult:
    """A search: its history, the policy it ended with, and how its channel selection covers the filters.

    Args:
        history: one mapping an epoch, as in search_history.jsonl: epoch, gflops (of the most probable architecture),
            entropy (nats), ess (effective sample size), loss; keys that are absent leave their panel out.
        target_gflops: the budget T of equation 2.
        num_samples: K, the architectures sampled a step.
        warmup_epochs: epochs at the start during which the policy stays uniform.
        coverage: strategy name ("naive", "fair") to a boolean matrix, candidates x filters.
    """

    history: Sequence[Mapping[str, Any]] = ()
    target_gflops: float | None = None
    num_samples: int | None = None
    warmup_epochs: int = 0
    policy: Sequence[PolicyTable] = ()
    coverage: Mapping[str, Sequence[Sequence[bool]]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClipStrip:
    """One clip of the data as a strip of frames (PNG bytes), with its label."""

    label: str
    png: bytes


@dataclass(frozen=True)
class Comparison:
    """Two models on the same test videos: difference in points of top-1 with its 95% interval."""

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
        """Ahead, behind, or level within what so many test videos can tell."""
        if self.low > 0:
            return "ahead"
        return "behind" if self.high < 0 else "level"


@dataclass(frozen=True)
class DemoReport:
    """Everything on the page.

    Args:
        class_names: in label order.
        num_test_videos: N, on which the intervals rest.
        clip: (T, S, S) of the models' input.
        num_views: temporal clips x spatial crops a test video.
        machine: what the figures were measured on, shown as it is (`describe_machine`).
        clips: examples of the data.
        commands: (what it gives, the command) pairs.
        notes: more sentences for the page's "How this was measured".
    """

    title: str
    class_names: Sequence[str]
    num_test_videos: int
    clip: tuple[int, int, int]
    models: Sequence[ModelResult]
    num_views: int = 1
    task: str = ""
    machine: Mapping[str, str] = field(default_factory=dict)
    search: SearchResult | None = None
    clips: Sequence[ClipStrip] = ()
    commands: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.models:
            raise EvaluationError("a report needs at least one model")
        for model in self.models:
            if model.confusion is not None and len(model.confusion) != len(self.class_names):
                raise EvaluationError(
                    f"{model.name}: confusion matrix of {len(model.confusion)} classes, the report has "
                    f"{len(self.class_names)}"
                )

    @property
    def chance(self) -> float:
        """Top-1 of a guess, in percent, for balanced classes."""
        return 100.0 / len(self.class_names)

    @property
    def ordered(self) -> list[ModelResult]:
        """The models by role, best first within a role."""
        return sorted(self.models, key=lambda m: (ROLES.index(m.role), -m.top1))

    @property
    def named(self) -> list[ModelResult]:
        """The models that get pictures of their own: all but the random ones."""
        return [model for model in self.ordered if model.role != "random"] or self.ordered

    @property
    def randoms(self) -> list[ModelResult]:
        """The randomly sampled architectures, best first."""
        return [model for model in self.ordered if model.role == "random"]

    @property
    def ours(self) -> ModelResult | None:
        """The model that the report is about: the searched one, else the reference, else the designed."""
        return next((m for m in self.ordered if m.role in ("searched", "reference", "designed")), None)

    @property
    def comparisons(self) -> list[Comparison]:
        """`ours` against every named model but itself, those nearest in multiply-adds first."""
        ours = self.ours
        if ours is None:
            return []
        others = [model for model in self.named if model is not ours]
        pairs = [compare(ours, other, self.num_test_videos) for other in others]
        return sorted(pairs, key=lambda pair: abs(math.log(pair.macs_ratio)))

    @property
    def random_summary(self) -> dict[str, float] | None:
        """Count, median top-1 of the random architectures, and how many `ours` beats outright."""
        if not self.randoms:
            return None
        scores = [model.top1 for model in self.randoms]
        summary = {"count": len(scores), "median_top1": stats.median(scores), "best_top1": max(scores)}
        if self.ours is not None:
            summary["beaten"] = sum(self.ours.top1 > score for score in scores)
        return summary


def compare(ours: ModelResult, theirs: ModelResult, total: int) -> Comparison:
    """Difference in top-1, in points, with Newcombe's 95% interval on `total` videos."""
    low, high = difference_interval(ours.top1 / 100 * total, theirs.top1 / 100 * total, total)
    return Comparison(
        ours=ours.name,
        theirs=theirs.name,
        difference=ours.top1 - theirs.top1,
        low=100 * low,
        high=100 * high,
        macs_ratio=ours.macs / theirs.macs,
    )


def model_to_dict(model: ModelResult, total: int) -> dict[str, Any]:
    """Plain types only; the architecture in its own JSON form, the interval beside the accuracy."""
    plain = {f.name: getattr(model, f.name) for f in dataclasses.fields(model) if f.name != "architecture"}
    architecture = None if model.architecture is None else model.architecture.to_dict()
    low, high = model.interval(total)
    return {**plain, "gflops": model.gflops, "top1_interval95": [low, high], "architecture": architecture}


def report_to_dict(report: DemoReport) -> dict[str, Any]:
    """The report as plain types: all that the page shows, but the pixels of its example clips."""
    return _plain(_report_to_dict(report))


def _plain(value: Any) -> Any:
    """Lists and numbers in place of tuples, arrays and tensors."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _report_to_dict(report: DemoReport) -> dict[str, Any]:
    skipped = ("models", "clips", "search")
    plain = {f.name: getattr(report, f.name) for f in dataclasses.fields(report) if f.name not in skipped}
    comparisons = [{**dataclasses.asdict(pair), "verdict": pair.verdict} for pair in report.comparisons]
    return {
        **plain,
        "chance_top1": report.chance,
        "models": [model_to_dict(model, report.num_test_videos) for model in report.ordered],
        "comparisons": comparisons,
        "random_summary": report.random_summary,
        "search": None if report.search is None else _search_to_dict(report.search),
        "clips": [strip.label for strip in report.clips],
        "conventions": CONVENTIONS,
    }


def _search_to_dict(search: SearchResult) -> dict[str, Any]:
    plain = {f.name: getattr(search, f.name) for f in dataclasses.fields(search)}
    coverage = {name: [[int(hit) for hit in row] for row in matrix] for name, matrix in search.coverage.items()}
    return {**plain, "policy": [dataclasses.asdict(table) for table in search.policy], "coverage": coverage}


CONVENTIONS = {
    "gflops": "multiply-adds of convolutions, linear layers and matrix products, one clip, in units of 1e9",
    "top1": "percent of test videos whose softmax scores, averaged over all views, peak at the true class",
    "top1_interval95": "Wilson score interval, percent; test videos taken as independent, training noise not included",
    "latency_ms": "median milliseconds of one forward pass, batch of one clip, on the machine described",
    "comparisons": "difference in top-1, points, with Newcombe's 95% interval for two independent results",
}
