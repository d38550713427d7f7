"""Our data sets in PySlowFast's DATASET_REGISTRY: `autox3d_kinetics` and `autox3d_ssv2` in a config."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch.distributed as dist
from fvcore.common.config import CfgNode
from torch import Tensor

from pytorchvideo_autox3d.data import ClipNormalize, Manifest
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.slowfast.compat import apply_compat_patches
from pytorchvideo_autox3d.slowfast.configuration import NATIVE_DATASETS, native_cfg
from pytorchvideo_autox3d.slowfast.items import TestClips, TrainClips
from pytorchvideo_autox3d.slowfast.tested import classes_for


def register_datasets() -> tuple[str, ...]:
    """Register both data sets; return the names that were new. PySlowFast capitalises the names that configs give."""
    from slowfast.datasets import DATASET_REGISTRY

    names = [name.capitalize() for name in NATIVE_DATASETS]
    added = tuple(name for name in names if name not in DATASET_REGISTRY)
    for name in added:
        DATASET_REGISTRY.register(_named(name))
    return added


_lists: dict[str, Manifest] = {}


@contextlib.contextmanager
def parsed_lists(lists: Mapping[str, Manifest]) -> Iterator[None]:
    """Within the `with` block, data sets take the given lists, by split, instead of parsing their own."""
    _lists.update(lists)
    try:
        yield
    finally:
        _lists.clear()


def build_items(cfg: CfgNode, split: str) -> TrainClips | TestClips:
    """The data set of a split ("train", "val", "test") as PySlowFast's loaders take it.

    Raises:
        AutoX3DError: a key or the list is wrong.
    """
    to_pathways = partial(_to_pathways, cfg=cfg, normalize=ClipNormalize(cfg.DATA.MEAN, cfg.DATA.STD))
    if split != "test":
        datasets = _by_phase(cfg, split)
        policy = build.build_fault_policy(native_cfg(cfg), split, len(datasets[None][0]))
        return TrainClips(datasets, to_pathways, seed=cfg.RNG_SEED, policy=policy)
    several = cfg.NUM_GPUS > 1 and dist.is_initialized()
    return TestClips(
        build.build_dataset(native_cfg(cfg), split, manifest=_lists.get(split), classes=classes_for(cfg, split)),
        to_pathways,
        batch_size=int(cfg.TEST.BATCH_SIZE / max(1, cfg.NUM_GPUS)),
        rank=dist.get_rank() if several else 0,
        world_size=dist.get_world_size() if several else 1,
    )


def _by_phase(cfg: CfgNode, split: str) -> dict[int | None, list[Any]]:
    """The data sets by phase: None for the plain one, and 0 and 1 for the short cycle's smaller crops in multigrid."""
    crops: dict[int | None, int] = {None: cfg.DATA.TRAIN_CROP_SIZE}
    if cfg.MULTIGRID.SHORT_CYCLE and split == "train":
        for phase, factor in enumerate(cfg.MULTIGRID.SHORT_CYCLE_FACTORS):
            crops[phase] = round(factor * cfg.MULTIGRID.DEFAULT_S)
    plain, *smaller = crops
    datasets = {plain: _by_rate(cfg, split, crops[plain], _lists.get(split))}
    manifest = datasets[plain][0].manifest
    return datasets | {phase: _by_rate(cfg, split, crops[phase], manifest) for phase in smaller}


def _by_rate(cfg: CfgNode, split: str, crop: int, manifest: Manifest | None) -> list[Any]:
    """The data set, and in multigrid's long cycle, which has fewer frames, one more for each larger sampling rate."""
    dataset = build.build_dataset(_with_crop(cfg, crop), split, manifest=manifest)
    slowest = max(cfg.DATA.SAMPLING_RATE, cfg.MULTIGRID.LONG_CYCLE_SAMPLING_RATE if split == "train" else 0)
    datasets = [dataset]
    for rate in range(cfg.DATA.SAMPLING_RATE + 1, slowest + 1):
        datasets.append(copy.copy(dataset))
        datasets[-1].sampling_rate = rate
    return datasets


def _with_crop(cfg: CfgNode, crop: int) -> CfgNode:
    """Our config with the crop of this phase of multigrid training."""
    ours = native_cfg(cfg)
    ours.DATA.TRAIN_CROP_SIZE = crop
    if cfg.MULTIGRID.DEFAULT_S > 0:
        # As PySlowFast does: a smaller crop sees as much of the picture at the small end of the jitter.
        smallest, largest = cfg.DATA.TRAIN_JITTER_SCALES
        ours.DATA.TRAIN_JITTER_SCALES = [round(smallest * crop / cfg.MULTIGRID.DEFAULT_S), largest]
    return ours


def _to_pathways(clip_CTHW: Tensor, *, cfg: CfgNode, normalize: Any) -> list[Tensor]:
    """Normalise a uint8 clip and pack it into the pathways of MODEL.ARCH."""
    return _packer()(cfg, normalize(clip_CTHW))


@functools.cache
def _packer() -> Callable[[CfgNode, Tensor], list[Tensor]]:
    """PySlowFast's function that packs a clip into pathways; a new data worker needs the compat patches first."""
    apply_compat_patches()
    from slowfast.datasets.utils import pack_pathway_output

    return pack_pathway_output


def _named(name: str) -> Any:
    """`build_items` as a function called `name`, as PySlowFast's registry takes the name from the function."""

    def builder(cfg: CfgNode, split: str) -> TrainClips | TestClips:
        return build_items(cfg, split)

    builder.__name__ = builder.__qualname__ = name
    return builder
