"""The checkpoint that PySlowFast's test() takes, and the classes that its network was trained on."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.checkpoint_files import read_checkpoint
from pytorchvideo_autox3d.data import UNNAMED, ClassNames
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.jobs.trained import classes_of


def classes_for(cfg: CfgNode, split: str) -> ClassNames:
    """The classes by which a split is numbered: in a test the checkpoint's, where it or its run has their names.

    Raises:
        CheckpointError: there is no checkpoint to test, or it can't be read.
    """
    path, kind = tested_checkpoint(cfg) if split == "test" else (None, "")
    if path is None or kind == "caffe2":
        return UNNAMED
    return classes_of(read_checkpoint(path), path)


def tested_checkpoint(cfg: CfgNode) -> tuple[str | None, str]:
    """The checkpoint that a test takes, and its kind ("pytorch" or "caffe2").

    The checkpoint is None where the test takes the one that the config's own training will leave.

    Raises:
        CheckpointError: there is none.
    """
    path, kind = cfg.TEST.CHECKPOINT_FILE_PATH, cfg.TEST.CHECKPOINT_TYPE
    if cfg.TRAIN.ENABLE and not path:
        return None, kind
    if not path and (last := last_checkpoint(cfg)):
        path, kind = last, "pytorch"
    elif not path:
        path, kind = cfg.TRAIN.CHECKPOINT_FILE_PATH, cfg.TRAIN.CHECKPOINT_TYPE
    if not path:
        raise CheckpointError(
            f"nothing to test: TEST.CHECKPOINT_FILE_PATH is empty and {cfg.OUTPUT_DIR} has no checkpoint"
        )
    return path, kind


def last_checkpoint(cfg: CfgNode) -> str | None:
    """The checkpoint of OUTPUT_DIR that got furthest, or None."""
    from slowfast.utils.checkpoint import get_last_checkpoint

    return get_last_checkpoint(cfg.OUTPUT_DIR, cfg.TASK)
