"""Multi-view testing: every view of every video once, over any number of processes.

Shapes: B views in a batch (as a rule all views of one video), C colours, T frames, H and W pixels, K classes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.interrupt import StopRequest
from pytorchvideo_autox3d.engine.logs import duration_text, log_json_stats
from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.engine.protocols import Batch, LeavesOut, Loader, NamesFiles
from pytorchvideo_autox3d.engine.runtime import Runtime
from pytorchvideo_autox3d.engine.score_log import ScoreLog
from pytorchvideo_autox3d.errors import EvaluationError, Interrupted
from pytorchvideo_autox3d.eval_mode import evaluating
from pytorchvideo_autox3d.evaluation import MultiViewResult, MultiViewScores
from pytorchvideo_autox3d.evaluation.multiview import Ensemble

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvalSettings:
    """How to evaluate.

    Attributes:
        batch_size: views in a forward pass (TEST.BATCH_SIZE); a batch of the loader is cut into such pieces.
        ensemble: "sum", the mean of the views' softmax scores, or "max" (DATA.ENSEMBLE_METHOD).
        missing: "error" or "report" for a video without scores; see `MultiViewScores.evaluate`.
        log_period: batches from one log line to the next (LOG_PERIOD).
    """

    __test__ = False  # pytest would take the class for a test by its name

    batch_size: int = 8
    ensemble: Ensemble = "sum"
    missing: Literal["error", "report"] = "error"
    log_period: int = 10


@dataclass(frozen=True, kw_only=True)
class EvalViews:
    """The views to score.

    Attributes:
        loader: gives this process's share of them.
        num_videos, num_views: videos of the whole list, and views of each.
        num_classes: K.
        labelled: whether the list has labels; without, there are predictions and no accuracy.
    """

    loader: Loader
    num_videos: int
    num_views: int
    num_classes: int
    labelled: bool = True


@dataclass(frozen=True, kw_only=True)
class ResumableTest:
    """The folder where a test keeps its scores as they come, and the strings that identify the test."""

    folder: str
    about: Mapping[str, str]


def multiview_scores(
    model: nn.Module,
    views: EvalViews,
    *,
    runtime: Runtime,
    settings: EvalSettings,
    title: str = "test",
    log: ScoreLog | None = None,
    stop: StopRequest | None = None,
) -> MultiViewResult:
    """Score this process's share of the views, and measure over those of all; each process gets the same result.

    The softmax of the model's logits is combined over views. The model is left in the mode it was in.

    Args:
        model: placed by `runtime`; returns logits.
        views, settings: what to score, and how.
        runtime: device, precision and how clips are prepared.
        title: for the progress bar and the log.
        log: where scores are kept as they come. Those it already has count, and their videos are not read again.
        stop: is asked after each batch whether to stop.


    Raises:
        EvaluationError: names a video and view that is missing or inconsistent.
        Interrupted: a stop was asked for.
    """
    scores = MultiViewScores(
        views.num_videos, views.num_views, views.num_classes, ensemble=settings.ensemble, labelled=views.labelled
    )
    if log is not None:
        _take_over(scores, log, views.loader)
    bar = ProgressBar()
    bar.start(title, len(views.loader))
    clock = _Clock(len(views.loader), settings.log_period, title, bar)
    try:
        with evaluating(model), runtime.autocast():
            clock.begin()
            for done, batch in enumerate(views.loader, start=1):
                clock.fetched()
                parts = batch.clip_BCTHW.split(settings.batch_size)
                score_BK = torch.cat([model(runtime.prepare(part)).float().softmax(dim=1) for part in parts])
                _check_finite(score_BK, batch, views.loader)
                scores.update(batch.video_B, batch.view_B, score_BK, batch.label_B)
                if log is not None:
                    log.append(batch.video_B, batch.view_B, batch.label_B, score_BK)
                clock.computed(done)
                if stop is not None and stop.requested and done < len(views.loader):
                    raise _interrupted(stop, done, len(views.loader))
    finally:
        bar.stop()
    return scores.evaluate(gather=distributed.all_gather_objects, missing=settings.missing)


def run_test(
    model: nn.Module,
    views: EvalViews,
    *,
    runtime: Runtime,
    output_dir: str,
    settings: EvalSettings | None = None,
    paths: Sequence[str] | None = None,
    class_names: Sequence[str] = (),
    resumable: ResumableTest | None = None,
    **extra: Any,
) -> MultiViewResult:
    """Score by `multiview_scores`, log the result, and save it as `<output_dir>/test_results.json` and `.npz`.

    Args:
        model, views, runtime, settings: as in `multiview_scores`.
        output_dir: where the main process writes the result.
        paths: the videos' file names, by index.
        class_names: by class.
        resumable: keep the scores as they come, and go on from those of an earlier run of the same test.
        extra: further entries of the JSON, such as the checkpoint tested.

    Raises:
        EvaluationError: a view is missing or inconsistent, or scores can't be written.
        Interrupted: a stop was asked for; the scores so far are kept.
    """
    settings = settings or EvalSettings()
    if resumable is None or not isinstance(views.loader, LeavesOut):
        result = multiview_scores(model, views, runtime=runtime, settings=settings)
        log = None
    else:
        log = ScoreLog(resumable.folder, resumable.about, num_classes=views.num_classes, num_views=views.num_views)
        try:
            with StopRequest() as stop:
                result = multiview_scores(model, views, runtime=runtime, settings=settings, log=log, stop=stop)
        finally:
            log.close()
    if distributed.is_main():
        result.save(os.path.join(output_dir, "test_results.json"), paths=paths, class_names=class_names, **extra)
        _log_result(result, views.num_videos)
    if log is not None:
        log.remove()
    return result


def _check_finite(score_BK: Tensor, batch: Batch, loader: Loader) -> None:
    """Refuse scores that are not finite, by the file where the loader names files.

    Raises:
        EvaluationError: there are some.
    """
    if not isinstance(loader, NamesFiles) or bool(score_BK.isfinite().all()):
        return  # without names, `MultiViewScores` says the video's number
    files = ", ".join(loader.files(batch))
    raise EvaluationError(f"{files}: the scores are not finite; has the training diverged (lower SOLVER.BASE_LR)?")


def _take_over(scores: MultiViewScores, log: ScoreLog, loader: Loader) -> None:
    """Leave the videos that the log has out of the loader, and count their scores in the first process alone."""
    if isinstance(loader, LeavesOut):
        loader.leave_out(log.scored)
    if not len(log.found) or not distributed.is_main():
        return
    _logger.info("going on with a test: %d of %d videos have their scores", len(log.scored), scores.num_videos)
    columns = [torch.from_numpy(log.found[name].copy()) for name in ("video", "view", "score", "label")]
    scores.update(*columns)


def _interrupted(stop: StopRequest, done: int, total: int) -> Interrupted:
    return Interrupted(
        f"the test was interrupted after batch {done} of {total}; the scores so far are kept: the same command goes on "
        "with the rest",
        signal_number=stop.number,
    )


def _log_result(result: MultiViewResult, num_videos: int) -> None:
    stats = {"split": "test_final"}
    if result.labelled:
        stats |= {"top1_acc": f"{result.top1_acc:.2f}", "top5_acc": f"{result.top5_acc:.2f}"}
    absent = len(result.missing_videos)
    log_json_stats(stats | ({"missing_videos": absent} if absent else {}))
    note = f"; {absent} of {num_videos} videos are MISSING from this figure" if absent else ""
    if not result.labelled:
        count, views = len(result.video_N), result.num_views
        _logger.info("predictions for %d videos of %d views; the list has no labels%s", count, views, note)
        return
    _logger.info(
        "top-1 %.2f%%, top-5 %.2f%% over %d videos of %d views%s",
        result.top1_acc,
        result.top5_acc,
        len(result.video_N),
        result.num_views,
        note,
    )


class _Clock:
    """Times and reports the batches of a test."""

    def __init__(self, total: int, period: int, title: str, bar: ProgressBar) -> None:
        self._total = total
        self._period = period
        self._title = title
        self._bar = bar

    def begin(self) -> None:
        self._start = self._mark = time.perf_counter()

    def fetched(self) -> None:
        self._data_time = time.perf_counter() - self._mark

    def computed(self, done: int) -> None:
        now = time.perf_counter()
        eta = duration_text((now - self._start) / done * (self._total - done))
        took = now - self._mark
        compute_time = took - self._data_time
        self._bar.update(done, f"data {self._data_time:.2f}s compute {compute_time:.2f}s eta {eta}")
        if done % self._period == 0:
            stats = {"split": f"{self._title}_iter", "cur_iter": str(done), "eta": eta, "time_diff": took}
            log_json_stats(stats | {"dt_data": self._data_time, "dt_net": compute_time})
        self._mark = now
