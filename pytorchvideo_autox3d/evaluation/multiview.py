"""Scores of many views of each video, keyed by (video, view) and averaged only when all are there.

Shapes: B views in a batch, N videos, V views of a video, K classes. A view given twice (a padded sampler does that)
counts once, the first time; a missing view is an error. PySlowFast's meter adds up whatever arrives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.evaluation.metrics import confusion_matrix, per_class_accuracy, topk_accuracy
from pytorchvideo_autox3d.files import atomic_write, write_json

Ensemble = Literal["sum", "max"]
_NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class MultiViewResult:
    """Metrics over all videos that had scores, and the scores of each video.

    Attributes:
        top1_acc, top5_acc: in percent; nan for a list without labels.
        per_class_acc: top-1 of each class in percent; nan for a class without videos.
        confusion_KK: counts of videos: row, the true class; column, the predicted one.
        video_N: the videos' indices in the list, ascending.
        label_N: their classes; -1 throughout for a list without labels.
        score_NK: their scores, combined over the views.
        num_views: how many views each video has.
        ensemble: how views were combined: the mean ("sum") or the maximum ("max") of each class's scores.
        missing_videos: indices of the videos of which no view arrived.
        labelled: whether the list has labels.
    """

    top1_acc: float
    top5_acc: float
    per_class_acc: tuple[float, ...]
    confusion_KK: NDArray[np.int64]
    video_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    score_NK: NDArray[np.float32]
    num_views: int
    ensemble: Ensemble
    missing_videos: tuple[int, ...] = ()
    labelled: bool = True

    @property
    def predicted_N(self) -> NDArray[np.int64]:
        """The class of the highest score of each video."""
        return self.score_NK.argmax(axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: everything but the scores. A class without videos has accuracy None.

        Without labels the accuracies, the confusion matrix and each video's label are left out.
        """
        record = {
            "num_videos": len(self.video_N),
            "num_views": self.num_views,
            "num_classes": self.score_NK.shape[1],
            "ensemble": self.ensemble,
            "missing_videos": list(self.missing_videos),
        }
        videos = [
            {"video": int(video), "label": int(label), "predicted": int(predicted)}
            for video, label, predicted in zip(self.video_N, self.label_N, self.predicted_N, strict=True)
        ]
        if not self.labelled:
            return record | {"videos": [{key: one[key] for key in ("video", "predicted")} for one in videos]}
        per_class = [None if np.isnan(acc) else acc for acc in self.per_class_acc]
        accuracies = {"top1_acc": self.top1_acc, "top5_acc": self.top5_acc}
        return accuracies | record | {
            "per_class_acc": per_class, "confusion": self.confusion_KK.tolist(), "videos": videos
        }  # fmt: skip

    def save(
        self, json_path: str, *, paths: Sequence[str] | None = None, class_names: Sequence[str] = (), **extra: Any
    ) -> None:
        """Write `to_dict()` as JSON and the scores beside it (`.npz`: video, label, score), each atomically.

        Args:
            json_path: where the JSON goes; the `.npz` has the same name with the other ending.
            paths: file names by the videos' indices in the list, to be added.
            class_names: names by class, to be added to each prediction.
            extra: further entries at the top level of the JSON.

        Raises:
            AutoX3DError: a file can't be written.
        """
        record = self.to_dict() | extra
        if class_names:
            for entry in record["videos"]:
                entry["predicted_class"] = class_names[entry["predicted"]]
        if paths is not None:
            for entry in record["videos"]:
                entry["path"] = str(paths[entry["video"]])
            record["missing_paths"] = [str(paths[video]) for video in self.missing_videos]
        with atomic_write(json_path.removesuffix(".json") + ".npz") as beside, open(beside, "wb") as stream:
            np.savez(stream, video=self.video_N, label=self.label_N, score=self.score_NK)
        write_json(json_path, record)


class MultiViewScores:
    """Collects scores with reset / update / evaluate.

    A video's views are kept apart until the last one has arrived, then combined in the order of their numbers. So
    neither the order of arrival nor the number of processes changes a result, and memory stays at N x K.

    Args:
        num_videos, num_views, num_classes: N, V and K, each 1 or more.
        ensemble: "sum" takes the mean of the views' scores, "max" their maximum, class by class.
        labelled: whether the list has labels; without them labels are not looked at.

    Raises:
        EvaluationError: another `ensemble`, or a number below 1.
    """

    def __init__(
        self, num_videos: int, num_views: int, num_classes: int, *, ensemble: Ensemble = "sum", labelled: bool = True
    ) -> None:
        if ensemble not in ("sum", "max"):
            raise EvaluationError(f"ensemble must be 'sum' or 'max', not {ensemble!r}")
        if min(num_videos, num_views, num_classes) < 1:
            raise EvaluationError(f"nothing to test: {num_videos} videos, {num_views} views, {num_classes} classes")
        self.num_videos = num_videos
        self.num_views = num_views
        self.num_classes = num_classes
        self.ensemble: Ensemble = ensemble
        self.labelled = labelled
        self.reset()

    def reset(self) -> None:
        """Forget all scores and labels."""
        self._label_N: NDArray[np.int64] = np.full(self.num_videos, _NO_LABEL, dtype=np.int64)
        self._complete: dict[int, NDArray[np.float32]] = {}
        self._pending: dict[int, dict[int, NDArray[np.float32]]] = {}

    def update(self, video_B: Tensor, view_B: Tensor, scores_BK: Tensor, label_B: Tensor) -> None:
        """Take in a batch of views.

        Args:
            video_B, view_B: indices in 0..N-1 and 0..V-1.
            scores_BK: finite scores, as a rule softmax probabilities.
            label_B: classes in 0..K-1, the same for all views of a video; ignored for a list without labels.

        Raises:
            EvaluationError: shapes that don't fit, an index or label out of range, scores that are not finite, or a
                label that differs from an earlier view's; names the video and the view.
        """
        scores = scores_BK.detach().float().cpu().numpy()
        videos, views, labels = (tensor.cpu().numpy() for tensor in (video_B, view_B, label_B))
        if scores.shape != (len(videos), self.num_classes) or not len(videos) == len(views) == len(labels):
            raise EvaluationError(
                f"scores of shape {scores.shape} for {len(videos)} views of {self.num_classes} classes: "
                f"expected ({len(videos)}, {self.num_classes})"
            )
        for video, view, score, label in zip(videos, views, scores, labels, strict=True):
            self._take(int(video), int(view), score, int(label))

    def evaluate(
        self,
        *,
        gather: Callable[[Any], list[Any]] | None = None,
        missing: Literal["error", "report"] = "error",
    ) -> MultiViewResult:
        """Combine the views and measure.

        Args:
            gather: collects an object from every process, in the order of ranks (`distributed.all_gather_objects`);
                then all processes call this and get the same result.
            missing: what to do about a video of which no view arrived: raise an error, or name it in the result. A
                video with only some of its views is always an error.

        Raises:
            EvaluationError: views are missing, or no view has arrived at all.
        """
        merged = self._merged(gather) if gather is not None else self
        absent = merged._check_complete(missing)
        video_N = np.array(sorted(merged._complete), dtype=np.int64)
        if len(video_N) == 0:
            raise EvaluationError(f"no view of any of the {self.num_videos} videos arrived")
        score_NK = np.stack([merged._complete[video] for video in video_N])
        label_N = merged._label_N[video_N]
        counted_N = slice(None) if self.labelled else slice(0)
        confusion_KK = confusion_matrix(score_NK.argmax(axis=1)[counted_N], label_N[counted_N], self.num_classes)
        return MultiViewResult(
            top1_acc=topk_accuracy(score_NK, label_N, 1) if self.labelled else math.nan,
            top5_acc=topk_accuracy(score_NK, label_N, 5) if self.labelled else math.nan,
            per_class_acc=tuple(per_class_accuracy(confusion_KK).tolist()),
            confusion_KK=confusion_KK,
            video_N=video_N,
            label_N=label_N,
            score_NK=score_NK,
            num_views=self.num_views,
            ensemble=self.ensemble,
            missing_videos=absent,
            labelled=self.labelled,
        )

    def _take(self, video: int, view: int, score: NDArray[np.float32], label: int) -> None:
        where = f"video {video}, view {view}"
        if not (0 <= video < self.num_videos and 0 <= view < self.num_views):
            raise EvaluationError(f"{where}: outside {self.num_videos} videos of {self.num_views} views")
        if not np.isfinite(score).all():
            raise EvaluationError(f"{where}: the scores are not finite")
        self._take_label(video, label, where)
        if video in self._complete:
            return
        views = self._pending.setdefault(video, {})
        views.setdefault(view, score.copy())  # first come, first counted
        if len(views) == self.num_views:
            self._complete[video] = self._combine([views[number] for number in range(self.num_views)])
            del self._pending[video]

    def _take_label(self, video: int, label: int, where: str) -> None:
        if not self.labelled:
            return
        if not 0 <= label < self.num_classes:
            raise EvaluationError(f"{where}: label {label} is outside 0..{self.num_classes - 1}")
        if self._label_N[video] not in (_NO_LABEL, label):
            raise EvaluationError(f"{where}: label {label}, but an earlier view said {self._label_N[video]}")
        self._label_N[video] = label

    def _combine(self, scores: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        stacked_VK = np.stack(scores)
        if self.ensemble == "max":
            return stacked_VK.max(axis=0)
        return stacked_VK.mean(axis=0, dtype=np.float64).astype(np.float32)

    def _merged(self, gather: Callable[[Any], list[Any]]) -> MultiViewScores:
        """All processes' scores in one object; where several processes completed a video, the lowest rank's count."""
        sizes = (self.num_videos, self.num_views, self.num_classes)
        everything = MultiViewScores(*sizes, ensemble=self.ensemble, labelled=self.labelled)
        parts = gather((self._label_N, self._complete, self._pending))
        for label_N, complete, _ in parts:
            for video, score in complete.items():
                everything._take_label(video, int(label_N[video]), f"video {video}")
                everything._complete.setdefault(video, score)
        for label_N, _, pending in parts:
            for video, views in pending.items():
                for view, score in views.items():
                    everything._take(video, view, score, int(label_N[video]))
        return everything

    def _check_complete(self, missing: Literal["error", "report"]) -> tuple[int, ...]:
        """The videos without any view, where those may be missing.

        Raises:
            EvaluationError: a video has only some of its views, or none where those may not be missing.
        """
        for video in sorted(self._pending):
            lacking = sorted(set(range(self.num_views)) - set(self._pending[video]))
            raise EvaluationError(
                f"video {video}: view {lacking[0]} is missing ({len(lacking)} of {self.num_views} views; "
                f"{len(self._pending)} videos are incomplete)"
            )
        absent = tuple(video for video in range(self.num_videos) if video not in self._complete)
        if absent and missing == "error":
            raise EvaluationError(
                f"video {absent[0]}: view 0 is missing, as all its views "
                f"({len(absent)} of {self.num_videos} videos have no scores)"
            )
        return absent
