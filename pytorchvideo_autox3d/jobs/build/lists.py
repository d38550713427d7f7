"""DATA of a config -> the parsed lists of videos, and what is wrong between the lists and the config."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from fvcore.common.config import CfgNode
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data import UNNAMED, ClassNames, FrameManifest, Manifest
from pytorchvideo_autox3d.errors import ConfigError, DataError, ErrorCollector, NoListError
from pytorchvideo_autox3d.jobs.build.data import build_dataset, build_fault_policy

# The setting of a training or a test that needs no list.
WITHOUT = {"val": "TRAIN.EVAL_PERIOD 0", "test": "TEST.ENABLE False"}
_VIDEOS_LOOKED_FOR = 8
_SPARE = 1.25  # times the classes that a list of numbers shows


def read_lists(
    cfg: CfgNode, modes: Sequence[str], *, classes: ClassNames = UNNAMED, without: Mapping[str, str] = WITHOUT
) -> dict[str, Manifest]:
    """Read and check the list of each mode, so that a job reads each just once.

    Args:
        cfg: the whole config.
        modes: of "train", "val" and "test".
        classes: those of the network that is tested; see `ClassNames`.
        without: by mode, a setting that needs no list of it, for the error that there is none.

    Raises:
        ConfigError, RegistryError: a key of DATA, AUG or AUTOX3D does not go with the mode's data set, or the training
            list is too short for TRAIN.BATCH_SIZE.
        DataError: a list is missing or malformed, or none of its first videos is where it says.
        SeveralErrors: more than one of these.
    """
    lists, found = {}, ErrorCollector()
    for mode in modes:
        with found.collecting():
            build_fault_policy(cfg, mode, num_videos=1)
            lists[mode] = _read_list(cfg, mode, classes, without.get(mode, ""))
        if mode in lists:
            with found.collecting():
                _check_a_video_is_there(cfg, lists[mode])
        if mode == "train" and mode in lists:
            with found.collecting():
                _check_batch(cfg, lists[mode])
    found.raise_found()
    return lists


def _check_batch(cfg: CfgNode, manifest: Manifest) -> None:
    """Raise `ConfigError` for a training list that doesn't fill one batch."""
    if len(manifest) < cfg.TRAIN.BATCH_SIZE:
        raise ConfigError(
            f"TRAIN.BATCH_SIZE: {cfg.TRAIN.BATCH_SIZE} is more than the {len(manifest)} videos of {manifest.name}, "
            "which fill no batch"
        )


def spare_classes(cfg: CfgNode, manifest: Manifest) -> str:
    """A warning where MODEL.NUM_CLASSES is far above what a training list has; empty where it is not.

    Where the classes have names, any class too many counts. A list of numbers may lack a few of the last.
    """
    highest = int(manifest.labels.max()) + 1
    found, most = (len(manifest.classes), 1.0) if manifest.classes else (highest, _SPARE)
    if most * found >= cfg.MODEL.NUM_CLASSES:
        return ""
    return f"MODEL.NUM_CLASSES is {cfg.MODEL.NUM_CLASSES}, but {manifest.name} has {found} classes"


def _read_list(cfg: CfgNode, mode: str, classes: ClassNames, without: str) -> Manifest:
    try:
        manifest: Manifest = build_dataset(cfg, mode, classes=classes).manifest
    except NoListError as error:
        folder = cfg.DATA.PATH_TO_DATA_DIR
        # Where the whole folder is missing, no mode can be done without, and each mode's error is the same.
        hint = f"; {without} does without it" if without and ("://" in folder or os.path.isdir(folder)) else ""
        raise NoListError(f"DATA.PATH_TO_DATA_DIR: {error}{hint}") from None
    return manifest


def _check_a_video_is_there(cfg: CfgNode, manifest: Manifest) -> None:
    """Raise `DataError` where the first videos of a list are all missing: then a folder is wrong, not a video."""
    files = [_first_file(manifest, index) for index in range(min(_VIDEOS_LOOKED_FOR, len(manifest)))]
    if not any(g_pathmgr.exists(file) for file in files):
        raise DataError(
            f"DATA.PATH_PREFIX {cfg.DATA.PATH_PREFIX!r}: none of the first videos of {manifest.name} is there, as "
            f"{manifest.with_location(0, files[0])}"
        )


def _first_file(manifest: Manifest, index: int) -> str:
    """A video's file, or the first image of one that is kept as images."""
    images = manifest.frame_paths(index) if isinstance(manifest, FrameManifest) else []
    return images[0] if images else manifest.record(index).path
