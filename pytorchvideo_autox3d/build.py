"""The composition root: the only module that turns a config into objects.

Everything it builds takes real arguments; this is where each config key meets the argument it stands for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d import distributed, models
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data import (
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
from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    GaugeHook,
    Schedule,
    TestSettings,
    TrainSettings,
    build_optimizer,
    make_schedule,
)
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError
from pytorchvideo_autox3d.kernels.depthwise import accelerate, set_depthwise_kernels
from pytorchvideo_autox3d.models import ModelCard, Preprocessing
from pytorchvideo_autox3d.registry import ATTENTION_REGISTRY, DATASET_REGISTRY, MODEL_REGISTRY
from pytorchvideo_autox3d.space import Architecture, GroupChoice, SearchSpace, load_space
from pytorchvideo_autox3d.supernet import ELASTIC_ATTENTION_REGISTRY

AUTOCAST = {"bfloat16": "bf16", "float16": "fp16"}


@contextmanager
def _naming(keys: str) -> Iterator[None]:
    """Put the config's keys before an error that can only name a part's own arguments."""
    try:
        yield
    except AutoX3DError as error:
        raise ConfigError(f"{keys}: {error}") from None


def build_space(cfg: CfgNode) -> SearchSpace:
    """AUTOX3D.SPACE: a named space, a yaml file, or a yaml file shipped under configs/.

    Raises:
        ConfigError: there is no such space, or it is wrong; names the file, the group and the key.
    """
    name = cfg.AUTOX3D.SPACE
    with _naming("AUTOX3D.SPACE"):
        if Path(name).is_absolute() and not Path(name).is_file():
            raise ConfigError(f"{name}: no such file")
        if name.endswith((".yaml", ".yml")) and not Path(name).is_file():
            name = str(config_path(name))
        space = load_space(name)
        registry = ELASTIC_ATTENTION_REGISTRY if cfg.SEARCH.ENABLE else ATTENTION_REGISTRY
        models.check_attentions(space, source=name, registry=registry)
    return space


def build_architecture(cfg: CfgNode) -> Architecture:
    """AUTOX3D.GROUPS over AUTOX3D.SPACE where given, else the reference or the JSON that AUTOX3D.ARCHITECTURE names."""
    if cfg.AUTOX3D.GROUPS:
        return Architecture((_group(n, row) for n, row in enumerate(cfg.AUTOX3D.GROUPS, 1)), build_space(cfg))
    name = cfg.AUTOX3D.ARCHITECTURE
    if name in models.REFERENCE_MODELS:
        return models.reference_architecture(name)
    if not name.endswith(".json"):
        known = ", ".join(models.REFERENCE_MODELS)
        raise ConfigError(f"AUTOX3D.ARCHITECTURE: {name!r} is neither a reference ({known}) nor a .json file")
    return models.read_architecture(name)


def _group(number: int, row: Any) -> GroupChoice:
    try:
        (t, s), channels, expansion, attention = row
    except (TypeError, ValueError):
        shape = "[[t, s], channels, expansion, attention]"
        raise ConfigError(f"AUTOX3D.GROUPS: group {number} is {row!r}, expected {shape}") from None
    return GroupChoice((t, s), channels, expansion, attention)


def build_model(cfg: CfgNode) -> nn.Module:
    """The registered model MODEL.MODEL_NAME; raises an error of the family naming the key at fault.

    Its weights are drawn from torch's global generator.
    """
    set_depthwise_kernels(cfg.AUTOX3D.DEPTHWISE_KERNELS)
    builder = MODEL_REGISTRY.get(cfg.MODEL.MODEL_NAME, key="MODEL.MODEL_NAME")
    model = builder(model_num_class=cfg.MODEL.NUM_CLASSES, **_arguments(cfg))
    accelerate(model)
    return model


def build_card(cfg: CfgNode, *, classes: Sequence[str] = ()) -> ModelCard:
    """What must be known to use the network that the config trains; `classes` are the names in its lists, if any.

    Where the lists name fewer classes than the network has, the rest of its outputs mean nothing: then there are none.
    """
    classes = classes if len(classes) == cfg.MODEL.NUM_CLASSES else ()
    return ModelCard(
        model=cfg.MODEL.MODEL_NAME,
        arguments=_arguments(cfg),
        num_classes=cfg.MODEL.NUM_CLASSES,
        classes=tuple(classes),
        preprocessing=Preprocessing(
            num_frames=cfg.DATA.NUM_FRAMES,
            sampling_rate=cfg.DATA.SAMPLING_RATE,
            fps=cfg.DATA.TARGET_FPS,
            crop_size=cfg.DATA.TEST_CROP_SIZE,
            short_side=max(cfg.DATA.TEST_CROP_SIZE, cfg.DATA.TRAIN_JITTER_SCALES[0]),
            mean=tuple(cfg.DATA.MEAN),
            std=tuple(cfg.DATA.STD),
        ),
        num_clips=cfg.TEST.NUM_ENSEMBLE_VIEWS,
        num_crops=cfg.TEST.NUM_SPATIAL_CROPS,
        ensemble=cfg.DATA.ENSEMBLE_METHOD,
    )


def _arguments(cfg: CfgNode) -> dict[str, Any]:
    """The builder's arguments, but for the number of classes."""
    return {
        "input_clip_length": cfg.DATA.NUM_FRAMES,
        "input_crop_size": cfg.DATA.TRAIN_CROP_SIZE,
        "dropout_rate": cfg.MODEL.DROPOUT_RATE,
        **_MODEL_ARGUMENTS.get(cfg.MODEL.MODEL_NAME, _resnet_arguments)(cfg),
    }


def _autox3d_arguments(cfg: CfgNode) -> dict[str, Any]:
    return {
        "architecture": build_architecture(cfg),
        "depth_factor": cfg.AUTOX3D.DEPTH_FACTOR,
        "stem": cfg.AUTOX3D.STEM or None,
        "se_ratio": cfg.AUTOX3D.SE_RATIO,
        "attention_options": {"glore": {"node_ratio": cfg.GLORE.NODE_RATIO}},
    }


def _x3d_arguments(cfg: CfgNode) -> dict[str, Any]:
    return {
        "width_factor": cfg.X3D.WIDTH_FACTOR,
        "depth_factor": cfg.X3D.DEPTH_FACTOR,
        "bottleneck_factor": cfg.X3D.BOTTLENECK_FACTOR,
        "stem_channels": cfg.X3D.DIM_C1,
        "head_hidden": cfg.X3D.DIM_C5,
        "head_norm_hidden": cfg.X3D.BN_LIN5,
    }


def _slowfast_arguments(cfg: CfgNode) -> dict[str, Any]:
    return {
        "model_depth": cfg.RESNET.DEPTH,
        "alpha": cfg.SLOWFAST.ALPHA,
        "beta_inv": cfg.SLOWFAST.BETA_INV,
        "fusion_ratio": cfg.SLOWFAST.FUSION_CONV_CHANNEL_RATIO,
        "fusion_kernel": cfg.SLOWFAST.FUSION_KERNEL_SZ,
    }


def _resnet_arguments(cfg: CfgNode) -> dict[str, Any]:
    return {"model_depth": cfg.RESNET.DEPTH}


def _search_arguments(cfg: CfgNode) -> dict[str, Any]:
    raise ConfigError("MODEL.MODEL_NAME: AutoX3DSearch is searched, not trained: set SEARCH.ENABLE True")


_MODEL_ARGUMENTS: dict[str, Callable[[CfgNode], dict[str, Any]]] = {
    "AutoX3D": _autox3d_arguments,
    "AutoX3DSearch": _search_arguments,
    "X3D": _x3d_arguments,
    "SlowFast": _slowfast_arguments,
    "MobileNetV2_3D": lambda cfg: {},
}


def build_dataset(cfg: CfgNode, mode: str, *, manifest: Any = None) -> Any:
    """The registered data set over `manifest`, or the list that it finds for the mode in DATA.PATH_TO_DATA_DIR.

    `mode` is train, val or test.
    """
    if not cfg.DATA.PATH_TO_DATA_DIR:
        raise ConfigError(f"DATA.PATH_TO_DATA_DIR is empty: name the folder that holds {mode}.csv")
    part = "TEST" if mode == "test" else "TRAIN"
    dataset = DATASET_REGISTRY.get(cfg[part].DATASET, key=f"{part}.DATASET")
    with _naming("AUTOX3D.READER"):
        check_reader(cfg.AUTOX3D.READER)
    if manifest is None:
        manifest = dataset.find(
            cfg.DATA.PATH_TO_DATA_DIR,
            mode,
            path_prefix=cfg.DATA.PATH_PREFIX,
            num_classes=cfg.MODEL.NUM_CLASSES,
            split=cfg.AUTOX3D.DATA_SPLIT,
        )
    return dataset(
        manifest=manifest,
        mode=mode,
        num_frames=cfg.DATA.NUM_FRAMES,
        sampling_rate=cfg.DATA.SAMPLING_RATE,
        target_fps=cfg.DATA.TARGET_FPS,
        jitter_scales=cfg.DATA.TRAIN_JITTER_SCALES,
        crop_size=cfg.DATA.TEST_CROP_SIZE if mode == "test" else cfg.DATA.TRAIN_CROP_SIZE,
        num_clips=cfg.TEST.NUM_ENSEMBLE_VIEWS,
        num_crops=cfg.TEST.NUM_SPATIAL_CROPS,
        horizontal_flip=cfg.DATA.RANDOM_FLIP,
        **_augmentation(cfg),
        seed=cfg.RNG_SEED,
        reader=cfg.AUTOX3D.READER,
        decode_seconds=cfg.AUTOX3D.DECODE_SECONDS,
    )


def _augmentation(cfg: CfgNode) -> dict[str, Any]:
    """AUTOX3D.AUTO_AUGMENT, else AUG.AA_TYPE; and AUG.RE_*."""
    if not cfg.AUG.ENABLE:
        return {"auto_augment": _policy(cfg, "AUTOX3D.AUTO_AUGMENT")}
    if cfg.AUTOX3D.AUTO_AUGMENT and cfg.AUG.AA_TYPE:
        both = f"{cfg.AUTOX3D.AUTO_AUGMENT!r} and {cfg.AUG.AA_TYPE!r}"
        raise ConfigError(f"AUTOX3D.AUTO_AUGMENT and AUG.AA_TYPE: {both}, expected one of them to be empty")
    with _naming("AUG.RE_PROB, AUG.RE_MODE, AUG.RE_COUNT"):
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
        with _naming(key):
            policy_transform(name)
    return name


def build_mix(cfg: CfgNode) -> ClipMix | None:
    """MIXUP.*: mixup and CutMix of training batches, or None."""
    if not cfg.MIXUP.ENABLE:
        return None
    if cfg.AUTOX3D.LABEL_SMOOTHING:
        raise ConfigError("AUTOX3D.LABEL_SMOOTHING: with MIXUP.ENABLE set MIXUP.LABEL_SMOOTH_VALUE in its place")
    with _naming("MIXUP"):
        return ClipMix(
            num_classes=cfg.MODEL.NUM_CLASSES,
            mixup_alpha=cfg.MIXUP.ALPHA,
            cutmix_alpha=cfg.MIXUP.CUTMIX_ALPHA,
            prob=cfg.MIXUP.PROB,
            switch_prob=cfg.MIXUP.SWITCH_PROB,
            label_smoothing=cfg.MIXUP.LABEL_SMOOTH_VALUE,
        )


def build_fault_policy(cfg: CfgNode, mode: str, num_videos: int) -> FaultPolicy:
    """AUTOX3D.BAD_VIDEO_*: what a video that can't be decoded means in a mode."""
    key = "BAD_VIDEO_TEST" if mode == "test" else "BAD_VIDEO_TRAIN"
    if cfg.AUTOX3D[key] not in ("error", "skip"):
        raise ConfigError(f"AUTOX3D.{key}: {cfg.AUTOX3D[key]!r} is neither error nor skip")
    if not 0 <= cfg.AUTOX3D.BAD_VIDEO_LIMIT <= 1:
        raise ConfigError(f"AUTOX3D.BAD_VIDEO_LIMIT: {cfg.AUTOX3D.BAD_VIDEO_LIMIT} is no share from 0 to 1")
    return FaultPolicy.with_share(cfg.AUTOX3D[key], cfg.AUTOX3D.BAD_VIDEO_LIMIT, num_videos)


def build_loader(
    cfg: CfgNode, mode: str, info: ProcessInfo, *, manifest: Any = None, seed: int | None = None
) -> ClipLoader:
    """The loader of one process. TRAIN.BATCH_SIZE and TEST.BATCH_SIZE are of one machine, as in PySlowFast.

    `manifest` is as in `build_dataset`; `seed` orders the videos, by default RNG_SEED.
    """
    dataset = build_dataset(cfg, mode, manifest=manifest)
    clips = cfg.TEST.BATCH_SIZE if mode == "test" else cfg.TRAIN.BATCH_SIZE
    if mode == "train" and clips % info.local_world_size:
        raise ConfigError(f"TRAIN.BATCH_SIZE: {clips} is not divisible by the {info.local_world_size} processes here")
    videos = max(1, clips // info.local_world_size // dataset.num_views)
    return make_loader(
        dataset,
        batch_size=videos,
        shuffle=mode == "train",
        drop_last=mode == "train",
        num_workers=min(cfg.DATA_LOADER.NUM_WORKERS, os.cpu_count() or 1),
        seed=cfg.RNG_SEED if seed is None else seed,
        rank=info.rank,
        world_size=info.world_size,
        pin_memory=cfg.DATA_LOADER.PIN_MEMORY,
        faults=build_fault_policy(cfg, mode, dataset.num_videos),
    )


def build_preprocess(cfg: CfgNode) -> ClipNormalize:
    """uint8 clips on the device to floats: DATA.MEAN and DATA.STD."""
    return ClipNormalize(cfg.DATA.MEAN, cfg.DATA.STD)


def build_schedule(cfg: CfgNode, *, num_machines: int = 1) -> Schedule:
    """The learning rate over progress; SOLVER.BASE_LR is for one machine where BASE_LR_SCALE_NUM_SHARDS says so."""
    scale = num_machines if cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS else 1
    return make_schedule(
        cfg.SOLVER.LR_POLICY,
        base_lr=cfg.SOLVER.BASE_LR * scale,
        max_epoch=cfg.SOLVER.MAX_EPOCH,
        warmup_epochs=cfg.SOLVER.WARMUP_EPOCHS,
        warmup_start_lr=cfg.SOLVER.WARMUP_START_LR * scale,
        cosine_end_lr=cfg.SOLVER.COSINE_END_LR * scale,
        cosine_after_warmup=cfg.SOLVER.COSINE_AFTER_WARMUP,
        steps=cfg.SOLVER.STEPS,
        lrs=cfg.SOLVER.LRS,
    )


def build_sgd(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of the weights; its learning rate is set from the schedule before every step."""
    return build_optimizer(
        model,
        method=cfg.SOLVER.OPTIMIZING_METHOD,
        base_lr=cfg.SOLVER.BASE_LR,
        momentum=cfg.SOLVER.MOMENTUM,
        dampening=cfg.SOLVER.DAMPENING,
        nesterov=cfg.SOLVER.NESTEROV,
        betas=tuple(cfg.SOLVER.BETAS),
        weight_decay=cfg.SOLVER.WEIGHT_DECAY,
        bn_weight_decay=cfg.BN.WEIGHT_DECAY,
        zero_wd_1d_param=cfg.SOLVER.ZERO_WD_1D_PARAM,
    )


def fault_hook(*loaders: ClipLoader) -> GaugeHook:
    """The skipped videos of all loaders and processes in every log line; one that two of them met counts twice."""

    def read() -> dict[str, float]:
        own = [loader.faults.gauges() for loader in loaders]
        totals = {name: sum(gauges[name] for gauges in own) for name in own[0]}
        sums = distributed.all_reduce_mean(torch.tensor(list(totals.values()))) * distributed.world_size()
        return dict(zip(totals, sums.tolist(), strict=True))

    return GaugeHook(read)


def build_loss(cfg: CfgNode) -> nn.Module:
    """MODEL.LOSS_FUNC."""
    if cfg.MODEL.LOSS_FUNC not in ("cross_entropy", "soft_cross_entropy"):
        raise ConfigError(f"MODEL.LOSS_FUNC: {cfg.MODEL.LOSS_FUNC!r} is neither cross_entropy nor soft_cross_entropy")
    return CrossEntropy(label_smoothing=cfg.AUTOX3D.LABEL_SMOOTHING)


def precision_of(cfg: CfgNode) -> str:
    """The engine's name of the number format that TRAIN.MIXED_PRECISION and AUTOX3D.AUTOCAST ask for."""
    if cfg.AUTOX3D.AUTOCAST not in AUTOCAST:
        raise ConfigError(f"AUTOX3D.AUTOCAST: {cfg.AUTOX3D.AUTOCAST!r} is none of {', '.join(AUTOCAST)}")
    return AUTOCAST[cfg.AUTOX3D.AUTOCAST] if cfg.TRAIN.MIXED_PRECISION else "fp32"


def build_train_settings(cfg: CfgNode) -> TrainSettings:
    """Everything of TRAIN, SOLVER and BN that the training loop itself needs."""
    board = cfg.TENSORBOARD.LOG_DIR or str(Path(cfg.OUTPUT_DIR, "tensorboard"))
    return TrainSettings(
        max_epoch=cfg.SOLVER.MAX_EPOCH,
        accumulation=cfg.AUTOX3D.GRAD_ACCUMULATION,
        precision=precision_of(cfg),
        channels_last=cfg.AUTOX3D.CHANNELS_LAST,
        clip_norm=cfg.SOLVER.CLIP_GRAD_L2NORM,
        clip_value=cfg.SOLVER.CLIP_GRAD_VAL,
        checkpoint_period=cfg.TRAIN.CHECKPOINT_PERIOD,
        eval_period=cfg.TRAIN.EVAL_PERIOD,
        log_period=cfg.LOG_PERIOD,
        precise_bn_batches=cfg.BN.NUM_BATCHES_PRECISE if cfg.BN.USE_PRECISE_STATS else 0,
        tensorboard_dir=board if cfg.TENSORBOARD.ENABLE else None,
        seed=cfg.RNG_SEED,
    )


def build_test_settings(cfg: CfgNode, *, views_a_pass: int, mode: str = "test") -> TestSettings:
    """How views are scored; `views_a_pass` of them in one forward pass. `mode` is val or test."""
    if cfg.DATA.ENSEMBLE_METHOD not in ("sum", "max"):
        raise ConfigError(f"DATA.ENSEMBLE_METHOD: {cfg.DATA.ENSEMBLE_METHOD!r} is neither sum nor max")
    return TestSettings(
        batch_size=views_a_pass,
        precision=precision_of(cfg),
        channels_last=cfg.AUTOX3D.CHANNELS_LAST,
        ensemble=cfg.DATA.ENSEMBLE_METHOD,
        missing="report" if build_fault_policy(cfg, mode, 1).action == "skip" else "error",
        log_period=cfg.LOG_PERIOD,
    )
