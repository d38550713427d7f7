"""MODEL, AUTOX3D and the baselines' nodes of a config -> space, architecture, network and its card."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d import distributed, models
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data import MODALITIES, UNNAMED, ClassNames
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs.build.naming import naming
from pytorchvideo_autox3d.kernels import accelerate
from pytorchvideo_autox3d.layers.norms import SubBatchNorm3d, SyncBatchNorm3d, replace_norms
from pytorchvideo_autox3d.models import ModelCard, Preprocessing
from pytorchvideo_autox3d.registry import DATASET_REGISTRY, HEAD_REGISTRY, MODEL_KEYS, MODEL_REGISTRY
from pytorchvideo_autox3d.space import Architecture, GroupChoice, SearchSpace, load_space


def build_space(cfg: CfgNode) -> SearchSpace:
    """AUTOX3D.SPACE: a named space, a yaml file, or a yaml file shipped under configs/.

    Raises:
        ConfigError: there is no such space, or it is wrong; names the file, the group and the key.
    """
    name = cfg.AUTOX3D.SPACE
    with naming("AUTOX3D.SPACE"):
        if Path(name).is_absolute() and not Path(name).is_file():
            raise ConfigError(f"{name}: no such file")
        if name.endswith((".yaml", ".yml")) and not Path(name).is_file():
            name = str(config_path(name))
        space = load_space(name)
        models.check_attentions(space, source=name)
    return space


def build_architecture(cfg: CfgNode) -> Architecture:
    """AUTOX3D.GROUPS over AUTOX3D.SPACE where given, else the reference or JSON file that AUTOX3D.ARCHITECTURE names.

    Raises:
        ConfigError, SpaceError: there is no such architecture, or it lies outside its space.
    """
    if cfg.AUTOX3D.GROUPS:
        return Architecture((_group(n, row) for n, row in enumerate(cfg.AUTOX3D.GROUPS, 1)), build_space(cfg))
    with naming("AUTOX3D.ARCHITECTURE"):
        return models.find_architecture(cfg.AUTOX3D.ARCHITECTURE)


def _group(number: int, row: Any) -> GroupChoice:
    try:
        (t, s), channels, expansion, attention = row
    except (TypeError, ValueError):
        shape = "[[t, s], channels, expansion, attention]"
        raise ConfigError(f"AUTOX3D.GROUPS: group {number} is {row!r}, expected {shape}") from None
    return GroupChoice((t, s), channels, expansion, attention)


def build_model(cfg: CfgNode) -> nn.Module:
    """The network that MODEL.MODEL_NAME names, with weights drawn from torch's global generator.

    Raises:
        AutoX3DError: a key is wrong, or the config's clips don't fit the network; names the key.
    """
    builder = MODEL_REGISTRY.get(cfg.MODEL.MODEL_NAME, key="MODEL.MODEL_NAME")
    model = builder(model_num_class=cfg.MODEL.NUM_CLASSES, **_arguments(cfg))
    _check_clips_fit(cfg, model)
    accelerate(model)
    _replace_norms(cfg, model)
    if cfg.MODEL.ACT_CHECKPOINT:
        models.checkpoint_activations(model)
    return model


def _check_clips_fit(cfg: CfgNode, model: nn.Module) -> None:
    """Check that the network takes clips of these channels and sizes, which else only its first step would show.

    Raises:
        ConfigError: it does not.
    """
    name = cfg.MODEL.MODEL_NAME
    given, taken = MODALITIES[cfg.AUTOX3D.MODALITY], getattr(model, "in_channels", None)
    if taken not in (None, given):
        raise ConfigError(f"AUTOX3D.MODALITY: {cfg.AUTOX3D.MODALITY!r} gives {given} channels, {name} takes {taken}")
    train, test = cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE
    if getattr(model, "takes_one_size", False) and test != train:
        raise ConfigError(f"DATA.TEST_CROP_SIZE is {test}, but {name} takes the clips of its training alone, {train}")


def _replace_norms(cfg: CfgNode, model: nn.Module) -> None:
    """BN.NORM_TYPE: the clips that a batch norm normalises over; the keys of the state dict stay."""
    if cfg.BN.NORM_TYPE == "sub_batchnorm":
        replace_norms(model, partial(SubBatchNorm3d, num_splits=cfg.BN.NUM_SPLITS))
    if cfg.BN.NORM_TYPE == "sync_batchnorm":
        devices = None if cfg.BN.GLOBAL_SYNC else cfg.BN.NUM_SYNC_DEVICES
        if devices is not None and distributed.is_distributed() and distributed.world_size() % devices:
            raise ConfigError(f"BN.NUM_SYNC_DEVICES: {devices} don't divide {distributed.world_size()} processes")
        replace_norms(model, partial(SyncBatchNorm3d, num_devices=devices))


def build_seeded_model(cfg: CfgNode) -> nn.Module:
    """`build_model`, with the same weights in every process."""
    distributed.seed_all(cfg.RNG_SEED, per_process=False)
    return build_model(cfg)


def build_card(cfg: CfgNode, *, classes: ClassNames = UNNAMED) -> ModelCard:
    """The model card of the network that the config trains: what must be known to use it.

    Args:
        cfg: the whole config.
        classes: the names of the classes in its lists, where they have names.
    """
    return ModelCard(
        model=cfg.MODEL.MODEL_NAME,
        arguments=_arguments(cfg),
        num_classes=cfg.MODEL.NUM_CLASSES,
        classes=classes.padded(cfg.MODEL.NUM_CLASSES),
        preprocessing=Preprocessing(
            num_frames=cfg.DATA.NUM_FRAMES,
            sampling_rate=cfg.DATA.SAMPLING_RATE,
            fps=cfg.DATA.TARGET_FPS,
            crop_size=cfg.DATA.TEST_CROP_SIZE,
            short_side=max(cfg.DATA.TEST_CROP_SIZE, cfg.DATA.TRAIN_JITTER_SCALES[0]),
            mean=tuple(cfg.DATA.MEAN),
            std=tuple(cfg.DATA.STD),
            frame_sampling=_frame_sampling(cfg),
            modality=cfg.AUTOX3D.MODALITY,
        ),
        num_clips=cfg.TEST.NUM_ENSEMBLE_VIEWS,
        num_crops=cfg.TEST.NUM_SPATIAL_CROPS,
        ensemble=cfg.DATA.ENSEMBLE_METHOD,
    )


def _frame_sampling(cfg: CfgNode) -> str:
    """What the training's data set takes; one of another harness or of a user's own takes clips if nothing is said."""
    dataset = DATASET_REGISTRY.get(cfg.TRAIN.DATASET) if cfg.TRAIN.DATASET in DATASET_REGISTRY else None
    return cfg.AUTOX3D.FRAME_SAMPLING or getattr(dataset, "own_sampling", "clip")


def _arguments(cfg: CfgNode) -> dict[str, Any]:
    """The builder's arguments, but for the number of classes."""
    return {
        "input_clip_length": cfg.DATA.NUM_FRAMES,
        "input_crop_size": cfg.DATA.TRAIN_CROP_SIZE,
        "dropout_rate": cfg.MODEL.DROPOUT_RATE,
        **_MODEL_ARGUMENTS.get(MODEL_REGISTRY.present_name(cfg.MODEL.MODEL_NAME), _other_arguments)(cfg),
    }


def _autox3d_arguments(cfg: CfgNode) -> dict[str, Any]:
    HEAD_REGISTRY.get(cfg.AUTOX3D.HEAD, key="AUTOX3D.HEAD")
    return {
        "architecture": build_architecture(cfg),
        "depth_factor": cfg.AUTOX3D.DEPTH_FACTOR,
        "stem": cfg.AUTOX3D.STEM or None,
        "head": cfg.AUTOX3D.HEAD,
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


def _other_arguments(cfg: CfgNode) -> dict[str, Any]:
    """RESNET.DEPTH for what takes a depth, and the keys of the model's own node of the config, where it has one."""
    name = MODEL_REGISTRY.present_name(cfg.MODEL.MODEL_NAME)
    taken = inspect.signature(MODEL_REGISTRY.get(name)).parameters
    depth = {"model_depth": cfg.RESNET.DEPTH} if "model_depth" in taken else {}
    modality = cfg.AUTOX3D.MODALITY
    channels = {"in_channels": MODALITIES[modality]} if "in_channels" in taken and modality != "rgb" else {}
    return depth | channels | {key.lower(): cfg[name.upper()][key] for key in MODEL_KEYS.get(name, {})}


def _search_arguments(cfg: CfgNode) -> dict[str, Any]:
    raise ConfigError("MODEL.MODEL_NAME: AutoX3DSearch is searched, not trained: set SEARCH.ENABLE True")


_MODEL_ARGUMENTS: dict[str, Callable[[CfgNode], dict[str, Any]]] = {
    "AutoX3D": _autox3d_arguments,
    "AutoX3DSearch": _search_arguments,
    "X3D": _x3d_arguments,
    "SlowFast": _slowfast_arguments,
}
