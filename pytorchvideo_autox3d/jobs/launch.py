"""Runs the jobs that a config asks for, one after the other, in one process or many."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

import torch
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.config import get_cfg, idle_keys, import_modules
from pytorchvideo_autox3d.data import UNNAMED, naming_lost_workers
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import setup_logging
from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.errors import ConfigError, ErrorCollector
from pytorchvideo_autox3d.jobs.output_lock import output_lock
from pytorchvideo_autox3d.jobs.search import SearchJob
from pytorchvideo_autox3d.jobs.test import TestJob
from pytorchvideo_autox3d.jobs.train import TrainJob
from pytorchvideo_autox3d.kernels import batch_norm_kernels, depthwise_kernels, recompute_activations

_logger = logging.getLogger(__name__)


class Job(Protocol):
    """The interface of a job: what a config asks for, checked and ready to run."""

    def run(self, info: ProcessInfo) -> object:
        """Run the job in this process of the group."""
        ...


def launch(cfg: CfgNode, *, init_method: str | None = None) -> None:
    """Run the config's jobs in NUM_GPUS processes on each of NUM_SHARDS machines; under torchrun, in its processes.

    Without a GPU one process runs everything on the CPU; several CPU processes need torchrun.

    Args:
        cfg: the whole config.
        init_method: tcp://HOST:PORT of machine 0; needed for several machines.

    Raises:
        AutoX3DError: what a job raises, or settings that make no group of processes.
    """
    distributed.launch(
        run,
        cfg,
        num_processes=_local_processes(cfg),
        num_shards=cfg.NUM_SHARDS,
        shard_id=cfg.SHARD_ID,
        init_method=init_method,
        backend=_backend(cfg),
    )


def run(cfg: CfgNode) -> None:
    """Run the config's jobs in this process of the group.

    Raises:
        AutoX3DError: what a job raises, or OUTPUT_DIR is in use or can't be written to.
    """
    info = distributed.init_from_env(_backend(cfg))
    import_modules(cfg.AUTOX3D.IMPORTS)  # this may be a process of its own
    jobs = make_jobs(cfg)
    if info.device.type == "cpu":
        keep_freed_memory()
    with ExitStack() as held:
        _open_output(cfg, held)
        held.enter_context(naming_lost_workers())
        _run_jobs(cfg, jobs, info)


def _run_jobs(cfg: CfgNode, jobs: Sequence[Job], info: ProcessInfo) -> None:
    _logger.info("running on %s, %d process(es)", info.device, info.world_size)
    if idle := idle_keys(cfg, get_cfg()):
        _logger.info("%s", idle)
    if cfg.NUM_GPUS > 1 and info.device.type == "cpu":
        _logger.warning("there is no GPU here, so NUM_GPUS %d has no effect", cfg.NUM_GPUS)
    kernels = cfg.AUTOX3D
    with (
        depthwise_kernels(kernels.DEPTHWISE_KERNELS),
        batch_norm_kernels(kernels.BATCH_NORM_KERNELS),
        recompute_activations(kernels.RECOMPUTE_ACTIVATIONS),
    ):
        for job in jobs:
            job.run(info)


def make_jobs(cfg: CfgNode) -> list[Job]:
    """Make the config's jobs, in their order. A search is the only one: its result is trained by a config it writes.

    Raises:
        ConfigError: no job is asked for.
        AutoX3DError: config, lists or checkpoints show that a job would fail; all such errors at once.
    """
    if cfg.SEARCH.ENABLE:
        return [SearchJob.from_config(cfg)]
    jobs: list[Job] = []
    found, classes = ErrorCollector(), UNNAMED
    with found.collecting():
        if cfg.TRAIN.ENABLE:
            training = TrainJob.from_config(cfg)
            jobs.append(training)
            classes = training.lists["train"].classes
    with found.collecting():
        if cfg.TEST.ENABLE:
            jobs.append(TestJob.from_config(cfg, classes=classes))
    found.raise_found()
    if not jobs:
        raise ConfigError("nothing to do: SEARCH.ENABLE, TRAIN.ENABLE and TEST.ENABLE are all False")
    return jobs


def _open_output(cfg: CfgNode, held: ExitStack) -> None:
    """Lock OUTPUT_DIR until `held` is left, and log to it; where one process can't, none goes on."""
    found: ConfigError | None = None
    try:
        if distributed.is_main():
            held.enter_context(output_lock(cfg.OUTPUT_DIR))
        setup_logging(cfg.OUTPUT_DIR)
    except ConfigError as error:
        found = error
    except OSError as error:
        found = ConfigError(f"OUTPUT_DIR: can't write to {cfg.OUTPUT_DIR}: {error.strerror}")
    distributed.raise_together(found)


def _backend(cfg: CfgNode) -> str:
    """The backend by which processes communicate: DIST_BACKEND where each has a GPU, gloo on the CPU."""
    backend: str = cfg.DIST_BACKEND
    if cfg.NUM_GPUS == 0 or not torch.cuda.is_available():
        return "gloo"
    if backend != "nccl":
        raise ConfigError(f"DIST_BACKEND is {backend!r}, expected nccl with GPUs: gloo is for NUM_GPUS 0")
    return backend


def _local_processes(cfg: CfgNode) -> int:
    """Processes on this machine: NUM_GPUS, or one where there is no GPU."""
    found = torch.cuda.device_count()
    if found == 0 or cfg.NUM_GPUS == 0:
        return 1
    if not 0 < cfg.NUM_GPUS <= found:
        raise ConfigError(f"NUM_GPUS is {cfg.NUM_GPUS}, but this machine has {found}: pass NUM_GPUS {found}")
    return cfg.NUM_GPUS
