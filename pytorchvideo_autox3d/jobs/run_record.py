"""The config and the classes of a run in its OUTPUT_DIR: written when it starts, compared when it is resumed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.config import changed_keys
from pytorchvideo_autox3d.data import ClassNames
from pytorchvideo_autox3d.engine import Hook, TrainLoop
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.files import write_text
from pytorchvideo_autox3d.plain_data import parse_yaml

CONFIG_NAME = "config.yaml"
# Where a run is, and what it does besides, may differ from one start to the next.
_FREE = (
    "OUTPUT_DIR", "LOG_PERIOD", "NUM_GPUS", "NUM_SHARDS", "SHARD_ID", "TENSORBOARD", "DATA_LOADER", "TEST",
    "AUTOX3D.CHECKPOINT_MINUTES", "AUTOX3D.CHECKPOINTS_KEPT", "AUTOX3D.EPOCHS_KEPT",
)  # fmt: skip
_logger = logging.getLogger(__name__)


def recorded_config(output_dir: str) -> dict[str, Any] | None:
    """The config that a run left in its folder, as nested keys; None where there is none.

    Raises:
        ConfigError: the file is damaged.
    """
    path = Path(output_dir, CONFIG_NAME)
    if not path.is_file():
        return None
    try:
        recorded = parse_yaml(path.read_text(encoding="utf8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: damaged ({str(error).splitlines()[0]}): remove it, or name another") from None
    if not isinstance(recorded, dict):
        raise ConfigError(f"{path}: holds no keys: remove it, or name another folder")
    return recorded


class RecordRun(Hook):
    """Writes `config.yaml` and `classes.json` when training starts, so that a run that is refused changes nothing.

    Where a run is resumed with other settings, it logs them; the new ones hold from there on.
    """

    def __init__(self, cfg: CfgNode, classes: ClassNames) -> None:
        self._cfg = cfg
        self._classes = classes

    def before_train(self, loop: TrainLoop) -> None:
        if not distributed.is_main():
            return
        before = recorded_config(self._cfg.OUTPUT_DIR) if loop.global_step else None
        if before is not None:
            for key, old, new in changed_keys(before, yaml.safe_load(self._cfg.dump())):
                if not key.startswith(_FREE):
                    _logger.warning("resuming with another setting: %s %r -> %r", key, old, new)
        write_text(Path(self._cfg.OUTPUT_DIR, CONFIG_NAME), self._cfg.dump())
        self._classes.write(self._cfg.OUTPUT_DIR)


def record_unless_there(cfg: CfgNode) -> None:
    """Write the config of a test that runs alone, unless the folder already has that of the training."""
    path = Path(cfg.OUTPUT_DIR, CONFIG_NAME)
    if distributed.is_main() and not path.is_file():
        write_text(path, cfg.dump())
