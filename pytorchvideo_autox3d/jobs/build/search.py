"""SEARCH of a config -> supernet, budgets, settings, the parts of the list, the config that trains the result."""

from __future__ import annotations

from collections.abc import Sequence

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.analysis import LatencyTable, machine_name
from pytorchvideo_autox3d.data import ClipLoader, Manifest
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.errors import ConfigError, SearchError
from pytorchvideo_autox3d.jobs.build.data import build_loader
from pytorchvideo_autox3d.jobs.build.model import build_space
from pytorchvideo_autox3d.jobs.build.naming import naming
from pytorchvideo_autox3d.jobs.build.optimisation import build_keeping, tensorboard_dir
from pytorchvideo_autox3d.registry import CHANNEL_SELECTION_REGISTRY, SEARCH_REGISTRY
from pytorchvideo_autox3d.search import (
    Budget,
    Budgets,
    Evolution,
    SearchSettings,
    SupernetSearch,
    WeightAverage,
    cost_table,
    split_halves,
)
from pytorchvideo_autox3d.supernet import Supernet


def build_supernet(cfg: CfgNode) -> Supernet:
    """The supernet of AUTOX3D.SPACE, with weights drawn from torch's global generator.

    Raises:
        ConfigError, RegistryError: a key names nothing, or has a value that a search can't have.
    """
    if cfg.AUTOX3D.DEPTH_FACTOR != 1.0:
        raise ConfigError(f"AUTOX3D.DEPTH_FACTOR: a search has depth factor 1, not {cfg.AUTOX3D.DEPTH_FACTOR}")
    if cfg.AUTOX3D.HEAD != "x3d":
        raise ConfigError(f"AUTOX3D.HEAD: a search has the head x3d, not {cfg.AUTOX3D.HEAD}")
    CHANNEL_SELECTION_REGISTRY.get(cfg.SEARCH.CHANNEL_SELECTION, key="SEARCH.CHANNEL_SELECTION")
    return Supernet(
        build_space(cfg),
        model_num_class=cfg.MODEL.NUM_CLASSES,
        channel_selection=cfg.SEARCH.CHANNEL_SELECTION,
        input_clip_length=cfg.DATA.NUM_FRAMES,
        input_crop_size=cfg.DATA.TRAIN_CROP_SIZE,
        dropout_rate=cfg.MODEL.DROPOUT_RATE,
        stem=cfg.AUTOX3D.STEM or None,
        se_ratio=cfg.AUTOX3D.SE_RATIO,
        attention_options={"glore": {"node_ratio": cfg.GLORE.NODE_RATIO}},
    )


def build_budgets(cfg: CfgNode, supernet: Supernet, latency: LatencyTable | None = None) -> Budgets:
    """SEARCH.BUDGETS, or else the budgets of SEARCH.TARGET_* that are not 0, over the supernet's architectures.

    Raises:
        SearchError: no network of the space meets a budget, or all do; names the key.
    """
    return Budgets(cost_table(supernet), _budgets(cfg), latency=latency.cost if latency else None)


def build_latency(cfg: CfgNode) -> LatencyTable | None:
    """SEARCH.LATENCY_TABLE; None where it is not set.

    The milliseconds must be meant for this machine, unless SEARCH.LATENCY_MACHINE names another.

    Raises:
        ConfigError: the file is malformed, or the table is of another space, clip size, machine, backend or number of
            threads.
    """
    if not cfg.SEARCH.LATENCY_TABLE:
        return None
    with naming("SEARCH.LATENCY_TABLE"):
        table = LatencyTable.from_json(cfg.SEARCH.LATENCY_TABLE)
        size = cfg.DATA.TRAIN_CROP_SIZE
        table.check(
            build_space(cfg), (cfg.DATA.NUM_FRAMES, size, size), machine=cfg.SEARCH.LATENCY_MACHINE or machine_name(),
            backend=cfg.SEARCH.LATENCY_BACKEND, threads=cfg.SEARCH.LATENCY_THREADS,
        )  # fmt: skip
    return table


def _budgets(cfg: CfgNode) -> list[Budget]:
    if cfg.SEARCH.BUDGETS:
        return [Budget(metric, target, weight, "SEARCH.BUDGETS") for metric, target, weight in cfg.SEARCH.BUDGETS]
    wanted = (
        ("gflops", cfg.SEARCH.TARGET_GFLOPS, cfg.SEARCH.COST_WEIGHT),
        ("params_m", cfg.SEARCH.TARGET_PARAMS_M, cfg.SEARCH.PARAMS_WEIGHT),
    )
    return [Budget(metric, target, weight) for metric, target, weight in wanted if target != 0]


def search_method(cfg: CfgNode) -> type[SupernetSearch]:
    """The class that SEARCH.METHOD names, a search that trains a supernet.

    Raises:
        RegistryError: there is no such method.
        ConfigError: the method trains single networks.
    """
    method = SEARCH_REGISTRY.get(cfg.SEARCH.METHOD, key="SEARCH.METHOD")
    if not isinstance(method, type):
        raise ConfigError(
            f"SEARCH.METHOD: {cfg.SEARCH.METHOD!r} trains no supernet but single networks: see `autox3d bench nas`"
        )
    return method


def derivation(cfg: CfgNode) -> str:
    """How the architecture is derived: as the method requires, else as SEARCH.DERIVE says."""
    return search_method(cfg).derivation or str(cfg.SEARCH.DERIVE)


def learns_from_whole_list(cfg: CfgNode) -> bool:
    """Whether the weights learn from the whole training list: alpha shares it, or does not learn at all."""
    return bool(cfg.SEARCH.SHARED) or not search_method(cfg).learns_policy


def build_average(cfg: CfgNode, supernet: Supernet) -> WeightAverage | None:
    """The average of the supernet's weights, by SEARCH.EMA_DECAY; None where that is 0.

    Args:
        cfg: the whole config.
        supernet: already on the device where it will run.
    """
    return WeightAverage(supernet, cfg.SEARCH.EMA_DECAY) if cfg.SEARCH.EMA_DECAY else None


def build_evolution(cfg: CfgNode) -> Evolution | None:
    """The extent of an evolution; None where the architecture is derived without one."""
    if derivation(cfg) != "evolution":
        return None
    return Evolution(
        networks=cfg.SEARCH.EVOLUTION_NETWORKS, population=cfg.SEARCH.EVOLUTION_POPULATION, seed=cfg.RNG_SEED,
        algorithm=cfg.SEARCH.EVOLUTION_ALGORITHM,
    )  # fmt: skip


def build_search_settings(cfg: CfgNode) -> SearchSettings:
    """The settings of the search, from SEARCH, SOLVER, TRAIN and AUTOX3D.

    Raises:
        SearchError: a value is out of range.
    """
    return SearchSettings(
        epochs=cfg.SEARCH.EPOCHS,
        warmup_epochs=cfg.SEARCH.WARMUP_EPOCHS,
        sandwich=cfg.SEARCH.SANDWICH,
        sandwich_after_warmup=cfg.SEARCH.SANDWICH_AFTER_WARMUP,
        sandwich_narrowest=cfg.SEARCH.SANDWICH_NARROWEST,
        distill=cfg.SEARCH.DISTILL,
        num_samples=cfg.SEARCH.NUM_SAMPLES,
        warmup_samples=cfg.SEARCH.WARMUP_SAMPLES,
        adaptive_samples=cfg.SEARCH.ADAPTIVE_SAMPLES,
        min_samples=cfg.SEARCH.MIN_SAMPLES,
        spread=cfg.SEARCH.SPREAD,
        likelihood=cfg.SEARCH.LIKELIHOOD,
        temperature=cfg.SEARCH.TEMPERATURE,
        control_variate=cfg.SEARCH.CONTROL_VARIATE,
        cost_term=cfg.SEARCH.COST_TERM,
        **({"lagrangian_lr": cfg.SEARCH.LAGRANGIAN_LR} if cfg.SEARCH.COST_TERM == "lagrangian" else {}),
        shared=learns_from_whole_list(cfg),
        policy_lr=cfg.SEARCH.POLICY_LR,
        policy_weight_decay=cfg.SEARCH.POLICY_WEIGHT_DECAY,
        accumulation=cfg.AUTOX3D.GRAD_ACCUMULATION,
        label_smoothing=cfg.AUTOX3D.LABEL_SMOOTHING,
        clip_norm=cfg.SOLVER.CLIP_GRAD_L2NORM,
        clip_value=cfg.SOLVER.CLIP_GRAD_VAL,
        checkpoint_period=cfg.TRAIN.CHECKPOINT_PERIOD,
        keeping=build_keeping(cfg),
        log_period=cfg.LOG_PERIOD,
        tensorboard_dir=tensorboard_dir(cfg),
        seed=cfg.RNG_SEED,
    )


def build_search_loaders(cfg: CfgNode, info: ProcessInfo, parts: Sequence[Manifest]) -> list[ClipLoader]:
    """A loader for each part of the training list that `split_training_list` gives.

    Raises:
        SearchError: a part has too few videos.
    """
    loaders = []
    for number, part in enumerate(parts):
        check_part(cfg, part, machines=info.num_machines)
        seed, whole = cfg.RNG_SEED + number, cfg.SEARCH.SPREAD == "samples"
        loaders.append(build_loader(cfg, "train", info, manifest=part, seed=seed, whole_batch=whole))
    return loaders


def split_training_list(cfg: CfgNode, whole: Manifest) -> list[Manifest]:
    """The parts of the training list: the weights' and alpha's, or one that is the whole list.

    Raises:
        SearchError: SEARCH.POLICY_SPLIT leaves a part without a video.
    """
    if learns_from_whole_list(cfg):
        return [whole]
    return [whole.subset(part) for part in split_halves(len(whole), cfg.SEARCH.POLICY_SPLIT, seed=cfg.RNG_SEED)]


def check_part(cfg: CfgNode, part: Manifest, *, machines: int) -> None:
    """Check that a part of the training list has a batch for each of `machines`.

    Raises:
        SearchError: it has too few videos.
    """
    if len(part) < cfg.TRAIN.BATCH_SIZE * machines:
        raise SearchError(
            f"SEARCH.POLICY_SPLIT: {cfg.SEARCH.POLICY_SPLIT:g} leaves one of the two parts {len(part)} videos, fewer "
            f"than TRAIN.BATCH_SIZE {cfg.TRAIN.BATCH_SIZE}: change either, or set SEARCH.SHARED True"
        )
