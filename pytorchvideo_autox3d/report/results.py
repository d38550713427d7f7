"""The results that a report is made of: frozen data, checked on construction, with a dictionary form for JSON."""

import math
import statistics as stats
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.report.model_result import ROLES, Comparison, ModelResult, compare


@dataclass(frozen=True)
class PolicyTable:
    """The policy's probabilities of one kind of decision.

    Args:
        kind: "kernel", "channels", "expansion" or "attention".
        candidates: a row for each group with the names of its candidates; rows may differ in length.
        probabilities: the candidates' probabilities, in the same shape; each row sums to one.

    Raises:
        EvaluationError: the shapes differ.
    """

    kind: str
    candidates: Sequence[Sequence[str]]
    probabilities: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        shapes = [len(row) for row in self.candidates], [len(row) for row in self.probabilities]
        if shapes[0] != shapes[1]:
            raise EvaluationError(f"policy of {self.kind}: {shapes[0]} candidates but {shapes[1]} probabilities")


@dataclass(frozen=True)
class SearchSummary:
    """A search: its history, the policy it ended with, and how its channel selection covers the filters.

    Args:
        history: one mapping for each epoch, as in search_history.jsonl: epoch, gflops (of the most probable
            architecture), entropy (nats), ess (effective sample size), loss; a key that is absent has no panel.
        target_gflops: the budget T of equation 2, in 1e9 multiply-adds.
        num_samples: K, the architectures sampled in each step.
        warmup_epochs: epochs at the start in which the policy stays uniform.
        policy: the final policy, a table for each kind of decision.
        coverage: for each strategy ("naive", "fair") a boolean matrix, candidates x filters.
        settings: of the search, shown as they are.
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
class DemoReport:
    """Everything on the page.

    Args:
        class_names: in label order.
        num_test_videos: N, on which the intervals rest.
        clip: (T, S, S) of the models' input.
        num_views: temporal clips x spatial crops of each test video.
        machine: what the figures were measured on, shown as it is (`describe_machine`).
        clips: examples of the data.
        commands: pairs (what it makes, the command).
        notes: further sentences for the page's "How this was measured".
    """

    title: str
    class_names: Sequence[str]
    num_test_videos: int
    clip: tuple[int, int, int]
    models: Sequence[ModelResult]
    num_views: int = 1
    task: str = ""
    machine: Mapping[str, str] = field(default_factory=dict)
    search: SearchSummary | None = None
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
        """The models that have pictures of their own: all except the random ones."""
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
        """`ours` against every other named model, those nearest in multiply-adds first."""
        ours = self.ours
        if ours is None:
            return []
        others = [model for model in self.named if model is not ours]
        pairs = [compare(ours, other, self.num_test_videos) for other in others]
        return sorted(pairs, key=lambda pair: abs(math.log(pair.macs_ratio)))

    @property
    def rivals(self) -> list[Comparison]:
        """`ours` against the others of equal multiply-adds: those named, and the random one of median top-1.

        Of an even number of random architectures it is the better of the middle two.
        """
        pairs = [pair for pair in self.comparisons if pair.equal_macs]
        if self.ours is None or not self.randoms:
            return pairs
        middle = self.randoms[(len(self.randoms) - 1) // 2]
        return [*pairs, compare(self.ours, middle, self.num_test_videos)]

    @property
    def random_summary(self) -> dict[str, float] | None:
        """Count and median top-1 of the random architectures, and how many of them have a lower top-1 than `ours`."""
        if not self.randoms:
            return None
        scores = [model.top1 for model in self.randoms]
        summary = {"count": len(scores), "median_top1": stats.median(scores), "best_top1": max(scores)}
        if self.ours is not None:
            summary["beaten"] = sum(self.ours.top1 > score for score in scores)
        return summary
