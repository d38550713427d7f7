"""The search that a config asks for: what `build` is for training, and the job that runs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d import build, distributed
from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.data import ClipLoader, Manifest
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import Hook, Precision
from pytorchvideo_autox3d.errors import ConfigError, SearchError
from pytorchvideo_autox3d.kernels.depthwise import set_depthwise_kernels
from pytorchvideo_autox3d.registry import MODEL_REGISTRY, SEARCH_REGISTRY
from pytorchvideo_autox3d.search import (
    Budget,
    Budgets,
    Derived,
    Policy,
    SearchSettings,
    cost_table,
    derive,
    inherited_score,
    pareto,
    pareto_table,
    split_halves,
    write_pareto,
    write_result,
)
from pytorchvideo_autox3d.search import search as run_search
from pytorchvideo_autox3d.search.derivation import Score
from pytorchvideo_autox3d.search.result import ARCHITECTURE_NAME, PARETO_FOLDER, RETRAIN_NAME
from pytorchvideo_autox3d.supernet import Supernet

_logger = logging.getLogger(__name__)


def check(cfg: CfgNode) -> None:
    """Raise the error that `search` would end in, days later perhaps, as far as config and lists tell."""
    SEARCH_REGISTRY.get(cfg.SEARCH.METHOD, key="SEARCH.METHOD")
    MODEL_REGISTRY.get(cfg.MODEL.MODEL_NAME, key="MODEL.MODEL_NAME")
    build_search_settings(cfg)
    with torch.device("meta"):
        supernet = build_supernet(cfg)
    budgets = Budgets(cost_table(supernet), build_budgets(cfg))
    cheapest, dearest = budgets.range("gflops")
    for target in cfg.SEARCH.PARETO_GFLOPS:
        if not cheapest <= target <= dearest:
            raise SearchError(
                f"SEARCH.PARETO_GFLOPS: {target:g} GFLOPs is outside the space's {cheapest:.3g} to {dearest:.3g}"
            )
    retrain_config(cfg)
    for half in _shares(cfg):
        _check_share(cfg, half, machines=1)
    if cfg.SEARCH.DERIVE == "best_of":
        build.build_dataset(cfg, "val")


def search(cfg: CfgNode, info: ProcessInfo, *, extra_hooks: Sequence[Hook] = ()) -> Derived:
    """Search as SEARCH, AUTOX3D, DATA and SOLVER say; leave history, architecture and retrain config in OUTPUT_DIR.

    SOLVER is the optimiser of the supernet's weights; SEARCH.EPOCHS stands for SOLVER.MAX_EPOCH.
    """
    settings = build_search_settings(cfg, num_machines=info.world_size // info.local_world_size)
    distributed.seed_all(cfg.RNG_SEED, per_process=False)
    supernet = build_supernet(cfg)
    policy = Policy(space=supernet.space)
    budgets = Budgets(cost_table(supernet), build_budgets(cfg))
    weight_loader, policy_loader = build_search_loaders(cfg, info)
    _logger.info(
        "searching %s: %.2g architectures, GFLOPs %.3g to %.3g",
        supernet.space.name,
        supernet.space.size,
        *budgets.range("gflops"),
    )
    run_search(
        supernet,
        policy,
        weight_loader,
        policy_loader,
        settings=settings,
        budgets=budgets.budgets,
        preprocess=build.build_preprocess(cfg),
        device=info.device,
        output_dir=cfg.OUTPUT_DIR,
        method=cfg.SEARCH.METHOD,
        auto_resume=cfg.TRAIN.AUTO_RESUME,
        cfg_text=cfg.dump(),
        extra_hooks=[
            *extra_hooks,
            build.fault_hook(*(loader for loader in (weight_loader, policy_loader) if loader is not None)),
        ],
    )
    score = _score(cfg, info, supernet, weight_loader)
    derived = derive(policy, budgets=budgets, method=cfg.SEARCH.DERIVE, count=cfg.SEARCH.BEST_OF, score=score)
    others = _pareto(cfg, policy, budgets, score, derived)
    if distributed.is_main():
        recipe = retrain_config(cfg)
        write_result(cfg.OUTPUT_DIR, derived, policy=policy, settings=settings, train_config=recipe)
        write_pareto(cfg.OUTPUT_DIR, others, train_config=recipe)
        _report(cfg, derived, others)
    distributed.barrier()
    return derived


def build_supernet(cfg: CfgNode) -> Supernet:
    """The supernet of AUTOX3D.SPACE; its weights are drawn from torch's global generator."""
    set_depthwise_kernels(cfg.AUTOX3D.DEPTHWISE_KERNELS)
    if cfg.AUTOX3D.DEPTH_FACTOR != 1.0:
        raise ConfigError(f"AUTOX3D.DEPTH_FACTOR: a search has depth factor 1, not {cfg.AUTOX3D.DEPTH_FACTOR}")
    return Supernet(
        build.build_space(cfg),
        model_num_class=cfg.MODEL.NUM_CLASSES,
        channel_selection=cfg.SEARCH.CHANNEL_SELECTION,
        input_clip_length=cfg.DATA.NUM_FRAMES,
        input_crop_size=cfg.DATA.TRAIN_CROP_SIZE,
        dropout_rate=cfg.MODEL.DROPOUT_RATE,
        stem=cfg.AUTOX3D.STEM or None,
        se_ratio=cfg.AUTOX3D.SE_RATIO,
        attention_options={"glore": {"node_ratio": cfg.GLORE.NODE_RATIO}},
    )


def build_budgets(cfg: CfgNode) -> list[Budget]:
    """The budgets whose target is not 0."""
    wanted = (
        ("gflops", cfg.SEARCH.TARGET_GFLOPS, cfg.SEARCH.COST_WEIGHT),
        ("params_m", cfg.SEARCH.TARGET_PARAMS_M, cfg.SEARCH.PARAMS_WEIGHT),
    )
    return [Budget(metric, target, weight) for metric, target, weight in wanted if target != 0]


def build_search_settings(cfg: CfgNode, *, num_machines: int = 1) -> SearchSettings:
    """SEARCH, and what of SOLVER and TRAIN the supernet's weights take."""
    train = build.build_train_settings(cfg)
    if cfg.SOLVER.OPTIMIZING_METHOD != "sgd" or cfg.SOLVER.LR_POLICY != "cosine":
        raise ConfigError("SOLVER.OPTIMIZING_METHOD, LR_POLICY: a search trains its weights by sgd with cosine")
    scale = num_machines if cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS else 1
    return SearchSettings(
        epochs=cfg.SEARCH.EPOCHS,
        warmup_epochs=cfg.SEARCH.WARMUP_EPOCHS,
        sandwich=cfg.SEARCH.SANDWICH,
        num_samples=cfg.SEARCH.NUM_SAMPLES,
        warmup_samples=cfg.SEARCH.WARMUP_SAMPLES,
        adaptive_samples=cfg.SEARCH.ADAPTIVE_SAMPLES,
        min_samples=cfg.SEARCH.MIN_SAMPLES,
        likelihood=cfg.SEARCH.LIKELIHOOD,
        temperature=cfg.SEARCH.TEMPERATURE,
        control_variate=cfg.SEARCH.CONTROL_VARIATE,
        shared=cfg.SEARCH.SHARED,
        policy_lr=cfg.SEARCH.POLICY_LR,
        policy_weight_decay=cfg.SEARCH.POLICY_WEIGHT_DECAY,
        weight_lr=cfg.SOLVER.BASE_LR * scale,
        momentum=cfg.SOLVER.MOMENTUM,
        nesterov=cfg.SOLVER.NESTEROV,
        weight_decay=cfg.SOLVER.WEIGHT_DECAY,
        lr_warmup_epochs=cfg.SOLVER.WARMUP_EPOCHS,
        label_smoothing=cfg.AUTOX3D.LABEL_SMOOTHING,
        clip_norm=train.clip_norm,
        precision=train.precision,
        channels_last=train.channels_last,
        checkpoint_period=train.checkpoint_period,
        log_period=train.log_period,
        tensorboard_dir=train.tensorboard_dir,
        seed=cfg.RNG_SEED,
    )


def build_search_loaders(cfg: CfgNode, info: ProcessInfo) -> tuple[ClipLoader, ClipLoader | None]:
    """Loaders over the two parts of the training list; one over all of it with SEARCH.SHARED."""
    loaders = []
    for number, share in enumerate(_shares(cfg)):
        _check_share(cfg, share, machines=info.world_size // info.local_world_size)
        loaders.append(build.build_loader(cfg, "train", info, manifest=share, seed=cfg.RNG_SEED + number))
    return loaders[0], loaders[1] if len(loaders) > 1 else None


def retrain_config(cfg: CfgNode) -> dict[str, Any]:
    """The recipe of SEARCH.RETRAIN_CFG over the data of this search, as nested keys."""
    name = cfg.SEARCH.RETRAIN_CFG
    try:
        recipe = load_cfg(name if os.path.isfile(name) else config_path(name)) if name else cfg
    except ConfigError as error:
        raise ConfigError(f"SEARCH.RETRAIN_CFG: {error}") from None
    config: dict[str, Any] = yaml.safe_load(recipe.dump())
    config["DATA"] |= {"PATH_TO_DATA_DIR": cfg.DATA.PATH_TO_DATA_DIR, "PATH_PREFIX": cfg.DATA.PATH_PREFIX}
    config["MODEL"]["NUM_CLASSES"] = cfg.MODEL.NUM_CLASSES
    config["OUTPUT_DIR"] = os.path.join(cfg.OUTPUT_DIR, "retrain")
    return config


def _shares(cfg: CfgNode) -> list[Manifest]:
    """The training list as the weights and alpha take it: two parts, or all of it for both."""
    whole = build.build_dataset(cfg, "train").manifest
    if cfg.SEARCH.SHARED:
        return [whole]
    return [whole.subset(part) for part in split_halves(len(whole), cfg.SEARCH.POLICY_SPLIT, seed=cfg.RNG_SEED)]


def _check_share(cfg: CfgNode, share: Manifest, *, machines: int) -> None:
    if len(share) < cfg.TRAIN.BATCH_SIZE * machines:
        raise SearchError(
            f"SEARCH.POLICY_SPLIT: {cfg.SEARCH.POLICY_SPLIT:g} leaves one of the two parts {len(share)} videos, fewer "
            f"than TRAIN.BATCH_SIZE {cfg.TRAIN.BATCH_SIZE}: change either, or set SEARCH.SHARED True"
        )


def _score(cfg: CfgNode, info: ProcessInfo, supernet: Supernet, calibration: ClipLoader) -> Score | None:
    """What best_of ranks architectures by; None where the most likely one is taken."""
    if cfg.SEARCH.DERIVE != "best_of":
        return None
    return inherited_score(
        supernet,
        build.build_loader(cfg, "val", info),
        calibration,
        bn_batches=cfg.SEARCH.BN_BATCHES,
        preprocess=build.build_preprocess(cfg),
        device=info.device,
        precision=Precision(build.precision_of(cfg)),
        channels_last=cfg.AUTOX3D.CHANNELS_LAST,
    )


def _pareto(cfg: CfgNode, policy: Policy, budgets: Budgets, score: Score | None, derived: Derived) -> list[Derived]:
    """One architecture for each of SEARCH.PARETO_GFLOPS; a target that the policy never meets is said, not an error."""
    rows: list[Derived] = []
    for target in sorted(set(cfg.SEARCH.PARETO_GFLOPS)):
        if target == cfg.SEARCH.TARGET_GFLOPS and derived.within_budgets:
            rows.append(derived)
            continue
        try:
            rows += pareto(policy, budgets=budgets, targets_gflops=[target], count=cfg.SEARCH.BEST_OF, score=score)
        except SearchError as error:
            _logger.warning("SEARCH.PARETO_GFLOPS: %s", error)
    return rows


def _report(cfg: CfgNode, derived: Derived, others: Sequence[Derived]) -> None:
    """The search's last lines: what it found, whether it is within the budgets, and how to train it."""
    _logger.info("the search derived:\n%s", derived.architecture.describe())
    if derived.score is not None:
        _logger.info("top-1 of %.1f%% on the validation list with the weights of the search", derived.score)
    for verdict in derived.verdicts:
        (_logger.info if verdict.met else _logger.warning)("%s", verdict)
    if others:
        _logger.info("for other budgets, in %s:\n%s", Path(cfg.OUTPUT_DIR, PARETO_FOLDER), pareto_table(others))
    _logger.info("architecture: %s", Path(cfg.OUTPUT_DIR, ARCHITECTURE_NAME))
    _logger.info("train it: python tools/run_net.py --cfg %s", Path(cfg.OUTPUT_DIR, RETRAIN_NAME))
