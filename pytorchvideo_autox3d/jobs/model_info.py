"""LOG_MODEL_INFO: logs what a network costs before it runs."""

from __future__ import annotations

import logging

import torch
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.analysis import count_module, count_parameters
from pytorchvideo_autox3d.jobs import build

_logger = logging.getLogger(__name__)


def log_model_info(cfg: CfgNode, *, crop_size: int) -> None:
    """Log parameters and multiply-adds of the config's network for a clip of DATA.NUM_FRAMES at `crop_size`."""
    if not cfg.LOG_MODEL_INFO or not distributed.is_main():
        return
    with torch.device("meta"):
        model = build.build_model(cfg)
    channels = getattr(model, "in_channels", 3)
    clip = (cfg.DATA.NUM_FRAMES, crop_size, crop_size)
    try:
        macs = f"{count_module(model, clip, in_channels=channels).gflops:.4g} GFLOPs (multiply-adds)"
    except RuntimeError as error:  # a network of a user's own may do what the meta device can't
        macs = f"multiply-adds not counted ({str(error).splitlines()[0]})"
    _logger.info(
        "%s: %.4g M parameters, %s for a clip of %d x %d^2",
        cfg.MODEL.MODEL_NAME,
        count_parameters(model) / 1e6,
        macs,
        clip[0],
        crop_size,
    )
