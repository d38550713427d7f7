"""The normalisation that PySlowFast's config asks for, in models that were built with nn.BatchNorm3d.

Multigrid training switches between kinds of it with the batch size, and loads each phase from the last one's
checkpoint; so every kind has the keys of nn.BatchNorm3d.
"""

from __future__ import annotations

from functools import partial

from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.layers.norms import SubBatchNorm3d, replace_norms
from pytorchvideo_autox3d.search import AutoX3DSearchNet

# What BN.NORM_TYPE of PySlowFast may name.
KINDS = ("batchnorm", "sub_batchnorm", "sync_batchnorm", "sync_batchnorm_apex")


def apply_norm(model: nn.Module, cfg: CfgNode) -> nn.Module:
    """Replace every nn.BatchNorm3d of `model`, in place, by what BN.NORM_TYPE of PySlowFast's config names.

    Raises:
        ConfigError: an unknown BN.NORM_TYPE, or another than batchnorm with a search.
    """
    kind = cfg.BN.NORM_TYPE
    if kind not in KINDS:
        raise ConfigError(f"BN.NORM_TYPE {kind!r}: known are {', '.join(KINDS)}")
    if kind != "batchnorm" and isinstance(model, AutoX3DSearchNet):
        raise ConfigError(f"BN.NORM_TYPE {kind!r}: a search normalises over each process's batch, as batchnorm does")
    if kind == "sub_batchnorm":
        replace_norms(model, partial(SubBatchNorm3d, num_splits=cfg.BN.NUM_SPLITS))
    if kind == "sync_batchnorm":
        from pytorchvideo.layers.batch_norm import NaiveSyncBatchNorm3d

        devices = None if cfg.BN.GLOBAL_SYNC else cfg.BN.NUM_SYNC_DEVICES
        replace_norms(model, partial(NaiveSyncBatchNorm3d, num_sync_devices=devices, global_sync=cfg.BN.GLOBAL_SYNC))
    return model  # PySlowFast itself converts to apex's
