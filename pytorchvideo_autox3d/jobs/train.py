"""Training, as TRAIN, SOLVER, DATA and MODEL say."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.data import Manifest
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import Validation
from pytorchvideo_autox3d.engine import train as train_model
from pytorchvideo_autox3d.errors import ErrorCollector
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.jobs.model_info import log_model_info
from pytorchvideo_autox3d.jobs.run_record import RecordRun
from pytorchvideo_autox3d.jobs.start import check_start, check_start_classes

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainJob:
    """A training that can start.

    Attributes:
        cfg: the whole config.
        lists: the parsed list of each mode that is read: train, and val where the training is evaluated.
        notes: what is odd but no error, for the log.
    """

    cfg: CfgNode
    lists: Mapping[str, Manifest]
    notes: Sequence[str] = ()

    @classmethod
    def from_config(cls, cfg: CfgNode) -> TrainJob:
        """Check all that can be known to fail before it starts.

        Raises:
            ConfigError, RegistryError: a key names nothing, or keys don't go together.
            DataError: a list is missing or malformed.
            CheckpointError: the checkpoint that it would start from is missing, damaged, or of another network.
            SeveralErrors: more than one of these.
        """
        found = ErrorCollector()
        with found.collecting():
            with torch.device("meta"):
                model = build.build_model(cfg)
            build.build_optimizer(cfg, model)
            build.build_schedule(cfg)
            build.build_loss(cfg)
            build.build_mix(cfg)
            build.build_train_settings(cfg)
            build.precision_of(cfg)
            check_start(cfg, model)
        with found.collecting():
            lists = build.read_lists(cfg, ["train", *(["val"] if cfg.TRAIN.EVAL_PERIOD > 0 else [])])
        found.raise_found()
        notes = [build.spare_classes(cfg, lists["train"]), *check_start_classes(cfg, lists["train"].classes)]
        return cls(cfg, lists, [note for note in notes if note])

    def run(self, info: ProcessInfo) -> None:
        """Train, and write checkpoints and history to OUTPUT_DIR."""
        cfg = self.cfg
        for note in self.notes:
            _logger.warning("%s", note)
        log_model_info(cfg, crop_size=cfg.DATA.TRAIN_CROP_SIZE)
        build.log_learning_rate(cfg, num_machines=info.num_machines)
        model = build.build_seeded_model(cfg)
        loader = build.build_loader(cfg, "train", info, manifest=self.lists["train"])
        train_model(
            model.to(info.device),
            loader,
            optimizer=build.build_optimizer(cfg, model),
            schedule=build.build_schedule(cfg, num_machines=info.num_machines),
            loss=build.build_loss(cfg),
            runtime=build.build_runtime(cfg, info.device),
            output_dir=cfg.OUTPUT_DIR,
            settings=build.build_train_settings(cfg),
            validation=self._validation(info),
            mix=build.build_mix(cfg),
            auto_resume=cfg.TRAIN.AUTO_RESUME,
            checkpoint_file=cfg.TRAIN.CHECKPOINT_FILE_PATH or None,
            checkpoint_epoch_reset=cfg.TRAIN.CHECKPOINT_EPOCH_RESET,
            cfg_text=cfg.dump(),
            card=build.build_card(cfg, classes=loader.dataset.manifest.classes).to_dict(),
            process_extras={"faults": loader.faults},
            extra_hooks=[RecordRun(cfg, self.lists["train"].classes), build.fault_hook(loader)],
        )

    def _validation(self, info: ProcessInfo) -> Validation | None:
        cfg = self.cfg
        if "val" not in self.lists:
            return None
        loader = build.build_loader(cfg, "val", info, manifest=self.lists["val"])
        return Validation(
            views=build.build_views(cfg, loader),
            settings=build.build_test_settings(
                cfg, views_a_pass=cfg.TRAIN.BATCH_SIZE // info.local_world_size or 1, mode="val"
            ),
        )
