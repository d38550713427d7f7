"""Adds our config nodes to PySlowFast's defaults, and reads our yaml files into PySlowFast's config."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config import (
    add_autox3d_config,
    add_model_nodes,
    check_read,
    get_cfg,
    idle_keys,
    import_named_modules,
    merge_into,
)
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.slowfast.rules import (
    OUR_DATASETS,
    check_conditions_of_theirs,
    check_keys_of_theirs,
    check_native_values,
)

logger = logging.getLogger(__name__)

# One clip a sample: PySlowFast looks MODEL.ARCH up to know how many pathways to pack.
OUR_ARCHS = ("autox3d", "mobilenetv2_3d", "csn", "r2plus1d")
NATIVE_DATASETS = {ours: native for native, ours in OUR_DATASETS.items()}


def add_config_nodes() -> None:
    """Add AUTOX3D, GLORE and SEARCH, and our MODEL.ARCH names, to PySlowFast's defaults; a second call does nothing."""
    from slowfast.config import defaults

    if "AUTOX3D" not in defaults._C:
        add_autox3d_config(defaults._C)
    archs = defaults._C.MODEL.SINGLE_PATHWAY_ARCH
    archs += [arch for arch in OUR_ARCHS if arch not in archs]


def load_cfg(path: str | Path | Sequence[str | Path], opts: Sequence[Any] = ()) -> CfgNode:
    """PySlowFast's config, checked by PySlowFast, from our yaml files or its own.

    Its data sets are replaced by ours over the same lists, and NUM_GPUS is at most what this machine has. PySlowFast
    changes its config as it runs (multigrid, views), so it is not frozen.

    Args:
        path, opts: as in `pytorchvideo_autox3d.config.load_cfg`.

    Raises:
        ConfigError: as there, or a setting that PySlowFast refuses.
    """
    from slowfast.config import defaults

    import_named_modules(path, opts)
    cfg = defaults.get_cfg()
    add_model_nodes(cfg)
    merge_into(cfg, path, opts)
    for line in check_read(cfg, defaults.get_cfg(), slowfast=True):
        logger.warning("%s", line)
    if idle := idle_keys(cfg, defaults.get_cfg(), slowfast=True):
        logger.info("%s", idle)
    for split in (cfg.TRAIN, cfg.TEST):
        split.DATASET = OUR_DATASETS.get(split.DATASET, split.DATASET)
    check_keys_of_theirs(cfg, defaults.get_cfg())
    for line in check_conditions_of_theirs(cfg, defaults.get_cfg()):
        logger.warning("%s", line)
    _limit_gpus(cfg)
    _check_x3d(cfg)
    _check_multigrid(cfg)
    try:
        cfg = defaults.assert_and_infer_cfg(cfg)
    except AssertionError as error:
        raise ConfigError(f"PySlowFast refuses the config: {_first_line(error)}") from error
    check_native_values(native_cfg(cfg))
    return cfg


def native_cfg(cfg: CfgNode) -> CfgNode:
    """Our own config with the values of PySlowFast's, for `jobs.build`.

    By now PySlowFast has multiplied the learning rates by the number of machines; that is undone, as `build` does it
    too.
    """
    ours = get_cfg()
    _copy_values(cfg, ours)
    for split in (ours.TRAIN, ours.TEST):
        split.DATASET = NATIVE_DATASETS.get(split.DATASET, split.DATASET)
    ours.BN.NORM_TYPE = "batchnorm"  # the normalisation is for `norms` to replace
    if cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS:
        for key in ("BASE_LR", "WARMUP_START_LR", "COSINE_END_LR"):
            ours.SOLVER[key] = cfg.SOLVER[key] / cfg.NUM_SHARDS
    return ours


def _copy_values(source: CfgNode, target: CfgNode) -> None:
    for key, value in target.items():
        if isinstance(value, CfgNode):
            _copy_values(source[key], value)
        else:
            target[key] = copy.deepcopy(source[key])


def _limit_gpus(cfg: CfgNode) -> None:
    """Lower NUM_GPUS to what the machine has; as TRAIN.BATCH_SIZE is of a machine, the recipe stays the same."""
    present = torch.cuda.device_count()
    if present < cfg.NUM_GPUS:
        logger.warning("NUM_GPUS %d -> %d, which is what this machine has", cfg.NUM_GPUS, present)
        cfg.NUM_GPUS = present


def _check_x3d(cfg: CfgNode) -> None:
    """Check RESNET.TRANS_FUNC, which also names the blocks of PySlowFast's X3D, by default a ResNet's.

    Raises:
        ConfigError: X3D would get other blocks.
    """
    if cfg.MODEL.MODEL_NAME in ("X3D", "PTVX3D") and cfg.RESNET.TRANS_FUNC != "x3d_transform":
        raise ConfigError(
            f"RESNET.TRANS_FUNC {cfg.RESNET.TRANS_FUNC!r}: PySlowFast's {cfg.MODEL.MODEL_NAME} needs x3d_transform, "
            "and builds another network without"
        )


def _check_multigrid(cfg: CfgNode) -> None:
    """Check that there are enough GPUs for multigrid training, without which PySlowFast fails with a traceback.

    Raises:
        ConfigError: there are too few.
    """
    for key, least in (("LONG_CYCLE", 1), ("SHORT_CYCLE", 2)):
        if cfg.MULTIGRID[key] and least > cfg.NUM_GPUS:
            raise ConfigError(
                f"MULTIGRID.{key}: PySlowFast needs NUM_GPUS of at least {least} for it, not {cfg.NUM_GPUS}"
            )


def _first_line(error: AssertionError) -> str:
    """The message, or the condition that failed."""
    import traceback

    return str(error).split("\n")[0] or str(traceback.extract_tb(error.__traceback__)[-1].line)
