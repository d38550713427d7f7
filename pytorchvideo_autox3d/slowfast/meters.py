"""Exact multi-view scores in PySlowFast's test(): every (video, view) counts once, and a missing one is an error.
Boxes are scored there too.

Its TestMeter adds up whatever arrives. When the clips don't divide among the processes, a sampler has to give some of
them twice, so that all processes take part in the last exchange; those would be summed twice.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from torch import Tensor

from pytorchvideo_autox3d.errors import EvaluationError

logger = logging.getLogger(__name__)


def exact_meter(base: type) -> type:
    """A subclass of PySlowFast's TestMeter that counts each clip once, by its number `video * views + view`.

    Args:
        base: PySlowFast's class.
    """

    class TestMeter(base):
        __doc__ = base.__doc__

        def reset(self) -> None:
            """Forget all views."""
            super().reset()
            self._seen: set[int] = set()

        def update_stats(self, preds: Tensor, labels: Tensor, clip_ids: Tensor) -> None:
            """Add the scores (N, K) of clips that have not been seen yet."""
            fresh = []
            for row, clip in enumerate(clip_ids.tolist()):
                if clip not in self._seen:
                    self._seen.add(clip)
                    fresh.append(row)
            super().update_stats(preds[fresh], labels[fresh], clip_ids[fresh])

        def finalize_metrics(self, ks: tuple[int, ...] = (1, 5)) -> None:
            """Compute the scores.

            Raises:
                EvaluationError: views are missing, of which PySlowFast only warns; names the first video.
            """
            short = (self.clip_count != self.num_clips).nonzero().flatten().tolist()
            if short:
                raise EvaluationError(
                    f"{len(short)} of {len(self.clip_count)} videos lack views: video {short[0]} has "
                    f"{int(self.clip_count[short[0]])} of {self.num_clips}"
                )
            super().finalize_metrics(ks)

    TestMeter.ours = True
    return TestMeter


def detection_meter(base: type) -> type:
    """A subclass of PySlowFast's AVAMeter that works in its test(), which treats boxes like clips to classify.

    Args:
        base: PySlowFast's class.
    """

    class AVAMeter(base):
        __doc__ = base.__doc__

        def update_stats(
            self,
            preds: Tensor | None,
            ori_boxes: Tensor | None,
            metadata: Tensor | None,
            loss: float | None = None,
            lr: float | None = None,
        ) -> None:
            """Add scores, boxes and (video, second) of each; a second call, with labels and numbers, is ignored."""
            if metadata is None or metadata.ndim == 2:
                super().update_stats(preds, ori_boxes, metadata, loss, lr)

        def log_iter_stats(self, cur_epoch: int | None, cur_iter: int | None = None) -> None:
            """Log the batch `cur_iter`; the second call, which has one number and is meant for clips, is ignored."""
            if cur_iter is not None:
                super().log_iter_stats(cur_epoch, cur_iter)

        def iter_toc(self) -> None:
            """Stop the clock of the batch; a second call, which PySlowFast's test() makes, is ignored."""
            if not self.iter_timer.is_paused():
                super().iter_toc()

    AVAMeter.ours = True
    return AVAMeter


def install_meters() -> None:
    """Put these meters in the place of PySlowFast's, also in modules that have imported those already."""
    from slowfast.utils import meters

    for name, ours, what in (
        ("TestMeter", exact_meter, "counts each (video, view) once"),
        ("AVAMeter", detection_meter, "takes what its test() gives it"),
    ):
        original: Any = getattr(meters, name)
        if getattr(original, "ours", False):
            continue
        replacement = ours(original)
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(name) is original:
                setattr(module, name, replacement)
        logger.info("PySlowFast's %s %s", name, what)
