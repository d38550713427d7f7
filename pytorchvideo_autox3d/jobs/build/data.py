"""DATA, AUG, MIXUP and AUTOX3D's faults of a config -> data sets, loaders and what is done to their clips."""

from __future__ import annotations

import os
from typing import Any

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.data import (
    UNNAMED,
    ClassNames,
    ClipLoader,
    ClipMix,
    ClipNormalize,
    Erasing,
    FaultPolicy,
    check_reader,
    policy_transform,
)
from pytorchvideo_autox3d.data import build_loader as make_loader
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import CounterHook, EvalViews
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs.build.naming import naming
from pytorchvideo_autox3d.registry import DATASET_REGISTRY


def build_dataset(cfg: CfgNode, mode: str, *, manifest: Any = None, classes: ClassNames = UNNAMED) -> Any:
    """The data set that TRAIN.DATASET or TEST.DATASET names.

    Args:
        cfg: the whole config.
        mode: "train", "val" or "test".
        manifest: its list; by default the data set finds the mode's in DATA.PATH_TO_DATA_DIR.
        classes: the numbering of that list, where it is known.

    Raises:
        ConfigError, RegistryError: a key names nothing or is out of range.
        DataError: the list is missing or malformed.
    """
    if not cfg.DATA.PATH_TO_DATA_DIR:
        raise ConfigError("DATA.PATH_TO_DATA_DIR is empty: name the folder that holds train.csv, val.csv and test.csv")
    part = "TEST" if mode == "test" else "TRAIN"
    dataset = DATASET_REGISTRY.get(cfg[part].DATASET, key=f"{part}.DATASET")
    with naming("AUTOX3D.READER"):
        check_reader(cfg.AUTOX3D.READER)
    if manifest is None:
        manifest = dataset.find(
            cfg.DATA.PATH_TO_DATA_DIR,
            mode,
            path_prefix=cfg.DATA.PATH_PREFIX,
            num_classes=cfg.MODEL.NUM_CLASSES,
            split=cfg.AUTOX3D.DATA_SPLIT,
            classes=classes,
        )
    return dataset(
        manifest=manifest,
        mode=mode,
        num_frames=cfg.DATA.NUM_FRAMES,
        sampling_rate=cfg.DATA.SAMPLING_RATE,
        target_fps=cfg.DATA.TARGET_FPS,
        jitter_scales=cfg.DATA.TRAIN_JITTER_SCALES,
        **_view_arguments(cfg, mode),
        seed=cfg.RNG_SEED,
        # A user's data set need not know of these.
        **({"frame_sampling": cfg.AUTOX3D.FRAME_SAMPLING} if cfg.AUTOX3D.FRAME_SAMPLING else {}),
        **({"modality": cfg.AUTOX3D.MODALITY} if cfg.AUTOX3D.MODALITY != "rgb" else {}),
        **({"decoded_dir": cfg.AUTOX3D.DECODED_DIR} if cfg.AUTOX3D.DECODED_DIR else {}),
        reader=cfg.AUTOX3D.READER,
        decode_seconds=cfg.AUTOX3D.DECODE_SECONDS,
    )


def _view_arguments(cfg: CfgNode, mode: str) -> dict[str, Any]:
    """The arguments that say how clips of a mode are cut and, in training, augmented."""
    if mode == "test":
        return {
            "crop_size": cfg.DATA.TEST_CROP_SIZE,
            "num_clips": cfg.TEST.NUM_ENSEMBLE_VIEWS,
            "num_crops": cfg.TEST.NUM_SPATIAL_CROPS,
        }
    crop = {"crop_size": cfg.DATA.TRAIN_CROP_SIZE}
    if mode == "val":
        return crop
    return {**crop, "horizontal_flip": cfg.DATA.RANDOM_FLIP, **_augmentation(cfg)}


def _augmentation(cfg: CfgNode) -> dict[str, Any]:
    """AUTOX3D.AUTO_AUGMENT, else AUG.AA_TYPE; and AUG.RE_*."""
    if not cfg.AUG.ENABLE:
        return {"auto_augment": _policy(cfg, "AUTOX3D.AUTO_AUGMENT")}
    if cfg.AUTOX3D.AUTO_AUGMENT and cfg.AUG.AA_TYPE:
        both = f"{cfg.AUTOX3D.AUTO_AUGMENT!r} and {cfg.AUG.AA_TYPE!r}"
        raise ConfigError(f"AUTOX3D.AUTO_AUGMENT and AUG.AA_TYPE: {both}, expected one of them to be empty")
    with naming("AUG.RE_PROB, AUG.RE_MODE, AUG.RE_COUNT"):
        erasing = Erasing(cfg.AUG.RE_PROB, cfg.AUG.RE_MODE, cfg.AUG.RE_COUNT) if cfg.AUG.RE_PROB else None
    return {
        "auto_augment": _policy(cfg, "AUTOX3D.AUTO_AUGMENT" if cfg.AUTOX3D.AUTO_AUGMENT else "AUG.AA_TYPE"),
        "interpolation": cfg.AUG.INTERPOLATION,
        "erasing": erasing,
    }


def _policy(cfg: CfgNode, key: str) -> str:
    node, leaf = key.split(".")
    name: str = cfg[node][leaf]
    if name:
        with naming(key):
            policy_transform(name)
    return name


def build_mix(cfg: CfgNode) -> ClipMix | None:
    """Mixup and CutMix of training batches, by MIXUP.*; None where they are off.

    Raises:
        ConfigError: a value is out of range, or label smoothing is set twice.
    """
    if not cfg.MIXUP.ENABLE:
        return None
    if cfg.AUTOX3D.LABEL_SMOOTHING:
        raise ConfigError("AUTOX3D.LABEL_SMOOTHING: with MIXUP.ENABLE set MIXUP.LABEL_SMOOTH_VALUE in its place")
    with naming("MIXUP"):
        return ClipMix(
            num_classes=cfg.MODEL.NUM_CLASSES,
            mixup_alpha=cfg.MIXUP.ALPHA,
            cutmix_alpha=cfg.MIXUP.CUTMIX_ALPHA,
            prob=cfg.MIXUP.PROB,
            switch_prob=cfg.MIXUP.SWITCH_PROB,
            label_smoothing=cfg.MIXUP.LABEL_SMOOTH_VALUE,
        )


def build_fault_policy(cfg: CfgNode, mode: str, num_videos: int) -> FaultPolicy:
    """What happens with a video that can't be decoded in a mode, by AUTOX3D.BAD_VIDEO_*.

    Raises:
        ConfigError: a value is out of range.
    """
    key = "BAD_VIDEO_TEST" if mode == "test" else "BAD_VIDEO_TRAIN"
    if cfg.AUTOX3D[key] not in ("error", "skip"):
        raise ConfigError(f"AUTOX3D.{key}: {cfg.AUTOX3D[key]!r} is neither error nor skip")
    if not 0 <= cfg.AUTOX3D.BAD_VIDEO_LIMIT <= 1:
        raise ConfigError(f"AUTOX3D.BAD_VIDEO_LIMIT: {cfg.AUTOX3D.BAD_VIDEO_LIMIT} is no share from 0 to 1")
    return FaultPolicy.with_share(cfg.AUTOX3D[key], cfg.AUTOX3D.BAD_VIDEO_LIMIT, num_videos)


def build_loader(
    cfg: CfgNode,
    mode: str,
    info: ProcessInfo,
    *,
    manifest: Any = None,
    seed: int | None = None,
    whole_batch: bool = False,
) -> ClipLoader:
    """The loader of one process. TRAIN.BATCH_SIZE and TEST.BATCH_SIZE are of one machine, as in PySlowFast.

    Args:
        cfg, mode, manifest: as in `build_dataset`.
        info: which process this is.
        seed: of the order of the videos; by default RNG_SEED.
        whole_batch: whether each process gets the clips of all.

    Raises:
        ConfigError: the batch is not divisible by the processes, or as `build_dataset`.
    """
    dataset = build_dataset(cfg, mode, manifest=manifest)
    clips = cfg.TEST.BATCH_SIZE if mode == "test" else cfg.TRAIN.BATCH_SIZE
    if mode == "train" and clips % info.local_world_size:
        raise ConfigError(f"TRAIN.BATCH_SIZE: {clips} is not divisible by the {info.local_world_size} processes here")
    videos = max(1, clips // info.local_world_size // dataset.num_views)
    rank, world_size = (0, 1) if whole_batch else (info.rank, info.world_size)
    return make_loader(
        dataset,
        batch_size=videos * info.world_size // world_size,
        shuffle=mode == "train",
        drop_last=mode == "train",
        num_workers=min(cfg.DATA_LOADER.NUM_WORKERS, os.cpu_count() or 1),
        seed=cfg.RNG_SEED if seed is None else seed,
        rank=rank,
        world_size=world_size,
        pin_memory=cfg.DATA_LOADER.PIN_MEMORY,
        faults=build_fault_policy(cfg, mode, dataset.num_videos),
        stall_seconds=cfg.AUTOX3D.LOADER_SECONDS,
        worker_imports=cfg.AUTOX3D.IMPORTS,
    )


def build_views(cfg: CfgNode, loader: ClipLoader) -> EvalViews:
    """The views of a loader of val or test, as the engine takes them."""
    return EvalViews(
        loader=loader,
        num_videos=loader.dataset.num_videos,
        num_views=loader.dataset.num_views,
        num_classes=cfg.MODEL.NUM_CLASSES,
        labelled=loader.dataset.manifest.labelled,
    )


def build_preprocess(cfg: CfgNode) -> ClipNormalize:
    """What turns uint8 clips on the device into normalised floats, by DATA.MEAN and DATA.STD."""
    return ClipNormalize(cfg.DATA.MEAN, cfg.DATA.STD)


def fault_hook(*loaders: ClipLoader) -> CounterHook:
    """A hook that logs the skipped videos of all loaders and processes; one that two of them met counts twice."""

    def read() -> dict[str, float]:
        own = [loader.faults.metrics() for loader in loaders]
        return {name: sum(metrics[name] for metrics in own) for name in own[0]}

    return CounterHook(read)
