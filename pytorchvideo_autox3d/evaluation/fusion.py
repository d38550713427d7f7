"""Late fusion: the weighted mean of several tests' scores of the same videos.

Shapes: N videos, K classes.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.evaluation.metrics import confusion_matrix, per_class_accuracy, topk_accuracy
from pytorchvideo_autox3d.evaluation.multiview import MultiViewResult
from pytorchvideo_autox3d.plain_data import parse_json


@dataclass(frozen=True, eq=False)
class TestScores:
    """What a test wrote: `test_results.json` and the `.npz` beside it.

    Attributes:
        name: path of the json.
        list_hash: hash of the list that was tested; empty where the file does not have it.
        num_views: how many views of each video were scored.
        paths: the videos' files by number; empty where the file does not have them.
        video_N, label_N, score_NK: as in `MultiViewResult`.
    """

    __test__ = False  # pytest would take the class for a test by its name

    name: str
    list_hash: str
    num_views: int
    paths: dict[int, str]
    video_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    score_NK: NDArray[np.float32]


def read_scores(path: str | Path) -> TestScores:
    """Read the result of a test.

    Args:
        path: of its json or its npz, or the same without an ending.

    Raises:
        EvaluationError: one of the two files is missing or damaged, or their shapes don't agree; names it.
    """
    base = str(path).removesuffix(".npz").removesuffix(".json")
    try:
        record = parse_json(Path(f"{base}.json").read_text(encoding="utf8"))
        with np.load(f"{base}.npz", allow_pickle=False) as arrays:
            video_N, label_N, score_NK = (arrays[key] for key in ("video", "label", "score"))
        paths = {entry["video"]: entry["path"] for entry in record.get("videos", []) if "path" in entry}
        list_hash, num_views = str(record.get("list_hash", "")), int(record.get("num_views", 1))
    except FileNotFoundError as error:
        raise EvaluationError(f"{error.filename}: no such file; a test writes {base}.json and {base}.npz") from None
    except KeyError as error:
        raise EvaluationError(f"{base}: not the result of a test: it has no {error}") from None
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise EvaluationError(f"{base}: not the result of a test: {str(error).splitlines()[0]}") from None
    if score_NK.ndim != 2 or not video_N.shape == label_N.shape == score_NK.shape[:1] or not score_NK.size:
        shapes = ", ".join(f"{key} {array.shape}" for key, array in
                           zip(("video", "label", "score"), (video_N, label_N, score_NK), strict=True))  # fmt: skip
        raise EvaluationError(f"{base}.npz: expected shapes (N), (N) and (N, K) of at least one video, got {shapes}")
    return TestScores(f"{base}.json", list_hash, num_views, paths, video_N, label_N, score_NK)


def fuse(results: Sequence[TestScores], weights: Sequence[float]) -> MultiViewResult:
    """Fuse results by the weighted mean of their scores.

    Args:
        results: two or more, of the same videos.
        weights: one for each result, finite and above 0; only their ratios matter.

    Raises:
        EvaluationError: fewer than two results, weights that are not one each and positive, or results of two lists;
            names the files.
    """
    if len(results) < 2 or len(weights) != len(results) or not all(0 < one < math.inf for one in weights):
        raise EvaluationError(
            f"expected two results or more and a positive weight each, got {len(results)} and {list(weights)}"
        )
    first = results[0]
    for other in results[1:]:
        _check_same(first, other)
    shares = np.asarray(weights, dtype=np.float64) / sum(weights)
    fused_NK = sum(share * one.score_NK for share, one in zip(shares, results, strict=True))
    score_NK = np.asarray(fused_NK, dtype=np.float32)
    # A list without labels has -1 for all of them, and its results are predictions.
    known_N = first.label_N >= 0
    labelled = bool(known_N.any())
    confusion_KK = confusion_matrix(score_NK.argmax(axis=1)[known_N], first.label_N[known_N], score_NK.shape[1])
    return MultiViewResult(
        top1_acc=topk_accuracy(score_NK, first.label_N, 1) if labelled else math.nan,
        top5_acc=topk_accuracy(score_NK, first.label_N, 5) if labelled else math.nan,
        per_class_acc=tuple(per_class_accuracy(confusion_KK).tolist()),
        confusion_KK=confusion_KK,
        video_N=first.video_N,
        label_N=first.label_N,
        score_NK=score_NK,
        num_views=sum(one.num_views for one in results),
        ensemble="sum",
        labelled=labelled,
    )


def _check_same(first: TestScores, other: TestScores) -> None:
    what = ""
    if first.list_hash and other.list_hash and first.list_hash != other.list_hash:
        what = "they are of two lists"
    elif not (np.isfinite(first.score_NK).all() and np.isfinite(other.score_NK).all()):
        what = "a score is not a finite number"
    elif first.score_NK.shape[1] != other.score_NK.shape[1]:
        what = f"{first.score_NK.shape[1]} and {other.score_NK.shape[1]} classes"
    elif not np.array_equal(first.video_N, other.video_N):
        what = f"{len(first.video_N)} and {len(other.video_N)} videos that are not the same"
    elif not np.array_equal(first.label_N, other.label_N):
        what = "other labels of the same videos"
    if what:
        raise EvaluationError(f"{first.name} and {other.name} can't be fused: {what}")
