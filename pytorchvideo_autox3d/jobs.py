"""The jobs that a config asks for: train, then test. One process of possibly many runs each function."""

from __future__ import annotations

import logging

import torch
from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d import build, distributed, preflight, search_job
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import Validation, load_weights, run_test, setup_logging
from pytorchvideo_autox3d.engine import train as train_model
from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.run_record import RecordConfig, record_unless_there

_logger = logging.getLogger(__name__)


def launch(cfg: CfgNode, *, init_method: str | None = None) -> None:
    """Run the config's jobs in NUM_GPUS processes on each of NUM_SHARDS machines, or under torchrun as it says.

    Without a GPU one process does it all on the CPU; several CPU processes are torchrun's to start.
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
    """The jobs, in this process of the group."""
    info = distributed.init_from_env(_backend(cfg))
    preflight.check(cfg)
    if info.device.type == "cpu":
        keep_freed_memory()
    _open_output(cfg)
    _logger.info("running on %s, %d process(es)", info.device, info.world_size)
    if cfg.NUM_GPUS > 1 and info.device.type == "cpu":
        _logger.warning("there is no GPU here, so NUM_GPUS %d has no effect", cfg.NUM_GPUS)
    if cfg.SEARCH.ENABLE:
        # What it derives is trained by a config of its own, which it writes.
        search_job.search(cfg, info, extra_hooks=[RecordConfig(cfg)])
        return
    if cfg.TRAIN.ENABLE:
        train(cfg, info)
    else:
        record_unless_there(cfg)
    if cfg.TEST.ENABLE:
        test(cfg, info)


def train(cfg: CfgNode, info: ProcessInfo) -> None:
    """Train as TRAIN, SOLVER, DATA and MODEL say; checkpoints and history go to OUTPUT_DIR."""
    model = _model(cfg)
    loader = build.build_loader(cfg, "train", info)
    train_model(
        model.to(info.device),
        loader,
        optimizer=build.build_sgd(cfg, model),
        schedule=build.build_schedule(cfg, num_machines=info.world_size // info.local_world_size),
        loss=build.build_loss(cfg),
        preprocess=build.build_preprocess(cfg),
        device=info.device,
        output_dir=cfg.OUTPUT_DIR,
        settings=build.build_train_settings(cfg),
        validation=_validation(cfg, info),
        mix=build.build_mix(cfg),
        auto_resume=cfg.TRAIN.AUTO_RESUME,
        checkpoint_file=cfg.TRAIN.CHECKPOINT_FILE_PATH or None,
        checkpoint_epoch_reset=cfg.TRAIN.CHECKPOINT_EPOCH_RESET,
        cfg_text=cfg.dump(),
        card=build.build_card(cfg, classes=loader.dataset.manifest.classes).to_dict(),
        extra_hooks=[RecordConfig(cfg), build.fault_hook(loader)],
    )


def test(cfg: CfgNode, info: ProcessInfo) -> None:
    """Multi-view testing of the checkpoint named, or of the one that training left in OUTPUT_DIR."""
    model = _model(cfg)
    checkpoint = preflight.checkpoint_to_test(cfg)
    _logger.info("%s", load_weights(model, checkpoint, num_classes_may_differ=False))
    loader = build.build_loader(cfg, "test", info)
    run_test(
        model.to(info.device),
        loader,
        preprocess=build.build_preprocess(cfg),
        num_videos=loader.dataset.num_videos,
        num_views=loader.dataset.num_views,
        num_classes=cfg.MODEL.NUM_CLASSES,
        device=info.device,
        output_dir=cfg.TEST.SAVE_RESULTS_PATH or cfg.OUTPUT_DIR,
        settings=build.build_test_settings(cfg, views_a_pass=cfg.TEST.BATCH_SIZE // info.local_world_size or 1),
        paths=loader.dataset.paths,
        checkpoint=checkpoint,
        list_hash=loader.dataset.manifest.digest(),
    )


def _open_output(cfg: CfgNode) -> None:
    try:
        setup_logging(cfg.OUTPUT_DIR)
    except OSError as error:
        raise ConfigError(f"OUTPUT_DIR: can't write to {cfg.OUTPUT_DIR}: {error.strerror}") from error


def _model(cfg: CfgNode) -> nn.Module:
    """The same weights in every process, whatever they draw afterwards."""
    distributed.seed_all(cfg.RNG_SEED, per_process=False)
    return build.build_model(cfg)


def _validation(cfg: CfgNode, info: ProcessInfo) -> Validation | None:
    if cfg.TRAIN.EVAL_PERIOD <= 0:
        return None
    loader = build.build_loader(cfg, "val", info)
    return Validation(
        loader=loader,
        num_videos=loader.dataset.num_videos,
        num_views=loader.dataset.num_views,
        num_classes=cfg.MODEL.NUM_CLASSES,
        settings=build.build_test_settings(
            cfg, views_a_pass=cfg.TRAIN.BATCH_SIZE // info.local_world_size or 1, mode="val"
        ),
    )


def _backend(cfg: CfgNode) -> str | None:
    return "gloo" if cfg.NUM_GPUS == 0 else None


def _local_processes(cfg: CfgNode) -> int:
    """Processes on this machine: NUM_GPUS, or one where there is no GPU."""
    found = torch.cuda.device_count()
    if found == 0 or cfg.NUM_GPUS == 0:
        return 1
    if not 0 < cfg.NUM_GPUS <= found:
        raise ConfigError(f"NUM_GPUS is {cfg.NUM_GPUS}, but this machine has {found}: pass NUM_GPUS {found}")
    return cfg.NUM_GPUS
