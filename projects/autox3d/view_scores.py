"""Every view's own scores of a test list, from one decode of each video, and what any number of clips and crops gives.

Shapes: N videos, V clips, S crops, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fvcore.common.config import CfgNode
from numpy.typing import NDArray

from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import last_checkpoint, load_weights
from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.eval_mode import evaluating
from pytorchvideo_autox3d.files import atomic_write
from pytorchvideo_autox3d.jobs import build


@dataclass(frozen=True)
class Sweep:
    """One choice of views and what it gives: clips and crops a video, and top-1 in percent."""

    clips: int
    crops: int
    top1: float

    @property
    def views(self) -> int:
        """Forward passes a video."""
        return self.clips * self.crops


def view_scores(cfg: CfgNode) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """scores_NVSK and labels_N of the last checkpoint in OUTPUT_DIR; kept there, and read back when asked again."""
    kept = Path(cfg.OUTPUT_DIR, "view_scores.npz")
    if not kept.is_file():
        score_NVSK, label_N = _scored(cfg)
        with atomic_write(kept) as beside, open(beside, "wb") as stream:
            np.savez(stream, score=score_NVSK, label=label_N)
    with np.load(kept) as arrays:
        return arrays["score"], arrays["label"]


def _scored(cfg: CfgNode) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    device = torch.device("cuda" if cfg.NUM_GPUS and torch.cuda.is_available() else "cpu")
    model = build.build_seeded_model(cfg)
    load_weights(model, str(last_checkpoint(cfg.OUTPUT_DIR)), num_classes_may_differ=False)
    loader = build.build_loader(cfg, "test", ProcessInfo(0, 1, 0, 1, device))
    clips, crops = cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS
    score_NWK = np.zeros((loader.dataset.num_videos, clips * crops, cfg.MODEL.NUM_CLASSES), dtype=np.float32)
    normalize, bar = build.build_preprocess(cfg), ProgressBar()
    bar.start(f"{cfg.OUTPUT_DIR}: {clips} x {crops} views", len(loader))
    with evaluating(model.to(device)):
        for done, batch in enumerate(loader, start=1):
            for start in range(0, len(batch), cfg.TEST.BATCH_SIZE):
                part = slice(start, start + cfg.TEST.BATCH_SIZE)
                logits_BK = model(normalize(batch.clip_BCTHW[part].to(device)))
                places = batch.video_B[part].numpy(), batch.view_B[part].numpy()
                score_NWK[places] = logits_BK.softmax(dim=1).cpu().numpy()
            bar.update(done)
    bar.stop()
    return score_NWK.reshape(len(score_NWK), clips, crops, -1), np.asarray(loader.dataset.labels)


def sweep(score_NVSK: NDArray[np.float32], label_N: NDArray[np.int64]) -> list[Sweep]:
    """Top-1 of every number of clips, at even distances, with the centre crop alone and with all."""
    rows = []
    clips, crops = score_NVSK.shape[1:3]
    for taken in ([crops // 2], list(range(crops))) if crops > 1 else ([0],):
        for count in range(1, clips + 1):
            chosen = [int((number + 0.5) * clips / count) for number in range(count)]
            mean_NK = score_NVSK[:, chosen][:, :, taken].mean(axis=(1, 2))
            top1 = 100 * float((mean_NK.argmax(axis=1) == label_N).mean())
            rows.append(Sweep(count, len(taken), top1))
    return rows
