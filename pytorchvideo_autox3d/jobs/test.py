"""Multi-view testing, as TEST, DATA and MODEL say."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from fvcore.common.config import CfgNode
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.config import leaves
from pytorchvideo_autox3d.data import UNNAMED, ClassNames, Manifest
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import (
    ResumableTest,
    check_fits,
    checkpoint_model_state,
    last_checkpoint,
    load_weights,
    read_checkpoint,
    run_test,
)
from pytorchvideo_autox3d.errors import CheckpointError, ErrorCollector
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.jobs.model_info import log_model_info
from pytorchvideo_autox3d.jobs.run_record import record_unless_there
from pytorchvideo_autox3d.jobs.trained import changed_input, classes_of, refuse_search_checkpoint

_logger = logging.getLogger(__name__)
SCORES_FOLDER = "test_scores"  # of a test that is not over
_NO_PART_IN_SCORES = (
    "OUTPUT_DIR", "LOG_", "NUM_GPUS", "NUM_SHARDS", "SHARD_ID", "TENSORBOARD.", "DATA_LOADER.", "SOLVER.", "SEARCH.",
    "TRAIN.", "TEST.SAVE_RESULTS_PATH", "TEST.CHECKPOINT_FILE_PATH", "DIST_BACKEND", "AUTOX3D.CHECKPOINT",
    "AUTOX3D.EPOCHS_KEPT", "AUTOX3D.BAD_VIDEO", "AUTOX3D.DECODE_SECONDS", "AUTOX3D.LOADER_SECONDS",
)  # fmt: skip


@dataclass(frozen=True)
class TestJob:
    """A test that can start: of a checkpoint that is there, or of what the config's own training will leave.

    Attributes:
        cfg: the whole config.
        tested: the parsed list.
        notes: what is odd but no error, for the log.
    """

    __test__ = False  # pytest would take the class for a test by its name

    cfg: CfgNode
    tested: Manifest
    notes: Sequence[str] = ()

    @classmethod
    def from_config(cls, cfg: CfgNode, *, classes: ClassNames = UNNAMED) -> TestJob:
        """Check all that can be known to fail before it starts.

        Args:
            cfg: the whole config.
            classes: those of the training that runs before it, if there is one. A checkpoint that is named has its own.

        Raises:
            ConfigError, RegistryError: a key names nothing, or keys don't go together.
            DataError: the list is missing or malformed.
            CheckpointError: there is nothing to test, a damaged file, or one of another network.
            SeveralErrors: more than one of these.
        """
        found, notes, path = ErrorCollector(), list[str](), ""
        with found.collecting():
            with torch.device("meta"):
                model = build.build_model(cfg)
            build.build_test_settings(cfg, views_a_pass=1)
            build.precision_of(cfg)
            if cfg.TEST.CHECKPOINT_FILE_PATH or not cfg.TRAIN.ENABLE:
                path = checkpoint_to_test(cfg)
                checkpoint = read_checkpoint(path)
                refuse_search_checkpoint(checkpoint, path)
                classes, notes = classes_of(checkpoint, path), changed_input(checkpoint, path, cfg)
                check_fits(model, checkpoint_model_state(checkpoint, path), path)
        with found.collecting():
            tested = build.read_lists(cfg, ["test"], classes=classes)["test"]
            if path and not classes:
                tested.classes.check_numbered_alike(classes, path)
        found.raise_found()
        return cls(cfg, tested, notes)

    def run(self, info: ProcessInfo) -> None:
        """Test, and write `test_results.json` and `.npz` to TEST.SAVE_RESULTS_PATH, by default OUTPUT_DIR."""
        cfg = self.cfg
        if not cfg.TRAIN.ENABLE:
            record_unless_there(cfg)
        for note in self.notes:
            _logger.warning("%s", note)
        log_model_info(cfg, crop_size=cfg.DATA.TEST_CROP_SIZE)
        model = build.build_seeded_model(cfg)
        checkpoint = checkpoint_to_test(cfg)
        _logger.info("%s", load_weights(model, checkpoint, num_classes_may_differ=False))
        loader = build.build_loader(cfg, "test", info, manifest=self.tested)
        run_test(
            model.to(info.device),
            build.build_views(cfg, loader),
            runtime=build.build_runtime(cfg, info.device),
            output_dir=cfg.TEST.SAVE_RESULTS_PATH or cfg.OUTPUT_DIR,
            settings=build.build_test_settings(cfg, views_a_pass=cfg.TEST.BATCH_SIZE // info.local_world_size or 1),
            paths=loader.dataset.paths,
            class_names=self.tested.classes.padded(cfg.MODEL.NUM_CLASSES),
            classes=self.tested.classes.to_dict(),
            checkpoint=checkpoint,
            list_hash=self.tested.digest(),
            resumable=self._resumable(checkpoint),
        )

    def _resumable(self, checkpoint: str) -> ResumableTest:
        """What identifies this test: hashes of the checkpoint, the list and the keys that can change a score."""
        keys = sorted((key, repr(value)) for key, value in leaves(self.cfg) if not key.startswith(_NO_PART_IN_SCORES))
        with g_pathmgr.open(checkpoint, "rb") as file:
            weights = hashlib.sha256(file.read()).hexdigest()
        about = {
            "checkpoint": weights,
            "list": self.tested.digest(),
            "config": hashlib.sha256(repr((keys, build.precision_of(self.cfg))).encode()).hexdigest(),
        }
        return ResumableTest(folder=os.path.join(self.cfg.OUTPUT_DIR, SCORES_FOLDER), about=about)


def checkpoint_to_test(cfg: CfgNode) -> str:
    """TEST.CHECKPOINT_FILE_PATH, else the last checkpoint of OUTPUT_DIR, else TRAIN.CHECKPOINT_FILE_PATH.

    Raises:
        CheckpointError: there is none of these.
    """
    found = cfg.TEST.CHECKPOINT_FILE_PATH or last_checkpoint(cfg.OUTPUT_DIR) or cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not found:
        raise CheckpointError(
            f"nothing to test: TEST.CHECKPOINT_FILE_PATH is empty and {cfg.OUTPUT_DIR} has no checkpoint"
        )
    return found
