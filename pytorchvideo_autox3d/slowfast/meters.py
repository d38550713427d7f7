"""Exact multi-view scores in PySlowFast's test(): every (video, view) counts once, and a missing one is an error.

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
    """PySlowFast's TestMeter, keyed by clip: number `video * views + view`, as its data sets count."""

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
            """Compute the scores; PySlowFast only warns of missing views."""
            short = (self.clip_count != self.num_clips).nonzero().flatten().tolist()
            if short:
                raise EvaluationError(
                    f"{len(short)} of {len(self.clip_count)} videos lack views: video {short[0]} has "
                    f"{int(self.clip_count[short[0]])} of {self.num_clips}"
                )
            super().finalize_metrics(ks)

    TestMeter.exact = True
    return TestMeter


def install_exact_meter() -> None:
    """Use the exact meter wherever PySlowFast's TestMeter is, or will be, imported in this process."""
    from slowfast.utils import meters

    original: Any = meters.TestMeter
    if getattr(original, "exact", False):
        return
    exact = exact_meter(original)
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("TestMeter") is original:
            setattr(module, "TestMeter", exact)  # noqa: B010
    logger.info("PySlowFast's TestMeter counts each (video, view) once")
