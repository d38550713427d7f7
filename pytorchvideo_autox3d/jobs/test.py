"""Multi-view testing, as TEST, DATA and MODEL say."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.data import Manifest
from pytorchvideo_autox3d.distributed import ProcessInfo
from pytorchvideo_autox3d.engine import last_checkpoint, load_weights, read_checkpoint, run_test
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.jobs.run_record import record_unless_there

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestJob:
    """A test that can start: of a checkpoint that is there, or of what the config's own training will leave.

    Attributes:
        cfg: the whole config.
        tested: the parsed list.
    """

    __test__ = False  # pytest would take the class for a test by its name

    cfg: CfgNode
    tested: Manifest

    @classmethod
    def from_config(cls, cfg: CfgNode) -> TestJob:
        """Check all that can be known to fail before it starts.

        Raises:
            ConfigError, RegistryError: a key names nothing, or keys don't go together.
            DataError: the list is missing or malformed.
            CheckpointError: there is nothing to test, or a damaged file.
        """
        with torch.device("meta"):
            build.build_model(cfg)
        lists = build.read_lists(cfg, ["test"])
        build.build_test_settings(cfg, views_a_pass=1)
        if not cfg.TRAIN.ENABLE:
            read_checkpoint(checkpoint_to_test(cfg))
        return cls(cfg, lists["test"])

    def run(self, info: ProcessInfo) -> None:
        """Test; `test_results.json` and `.npz` go to TEST.SAVE_RESULTS_PATH, by default OUTPUT_DIR."""
        cfg = self.cfg
        if not cfg.TRAIN.ENABLE:
            record_unless_there(cfg)
        model = build.build_seeded_model(cfg)
        checkpoint = checkpoint_to_test(cfg)
        _logger.info("%s", load_weights(model, checkpoint, num_classes_may_differ=False))
        loader = build.build_loader(cfg, "test", info, manifest=self.tested)
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
            list_hash=self.tested.digest(),
        )


def checkpoint_to_test(cfg: CfgNode) -> str:
    """TEST.CHECKPOINT_FILE_PATH, else the last of OUTPUT_DIR, else TRAIN.CHECKPOINT_FILE_PATH."""
    found = cfg.TEST.CHECKPOINT_FILE_PATH or last_checkpoint(cfg.OUTPUT_DIR) or cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not found:
        raise CheckpointError(
            f"nothing to test: TEST.CHECKPOINT_FILE_PATH is empty and {cfg.OUTPUT_DIR} has no checkpoint"
        )
    return found
