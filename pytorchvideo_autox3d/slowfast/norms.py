"""The normalisation that PySlowFast's config asks for, in models that were built with nn.BatchNorm3d.

Multigrid training switches between kinds of it with the batch size, and loads each phase from the last one's
checkpoint; so every kind here has the keys of nn.BatchNorm3d.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ConfigError, ModelError

# What BN.NORM_TYPE of PySlowFast may name.
KINDS = ("batchnorm", "sub_batchnorm", "sync_batchnorm", "sync_batchnorm_apex")


class SubBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation over each of `num_splits` equal parts of a batch (Wu et al., CVPR 2020, section 3.4).

    The running statistics are those of the parts together: the mean of their means, and the mean of their variances
    plus the variance of their means.
    """

    def __init__(self, num_features: int, *, num_splits: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.num_splits = num_splits

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, T, H, W) -> the same; B is a multiple of `num_splits` in training."""
        if not self.training:
            return super().forward(input)
        if input.shape[0] % self.num_splits:
            raise ModelError(f"{self.num_splits} normalisation parts don't divide a batch of {input.shape[0]} clips")
        # Neighbouring clips share a part.
        parts = input.reshape(self.num_splits, -1, *input.shape[1:])
        self._track(parts.detach().float())
        normalized = [F.batch_norm(part, None, None, self.weight, self.bias, True, 0.0, self.eps) for part in parts]
        return torch.cat(normalized)

    @torch.no_grad()
    def _track(self, parts_SBCTHW: Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        over = (1, 3, 4, 5)
        mean_SC = parts_SBCTHW.mean(over)
        variance_C = parts_SBCTHW.var(over).mean(0) + mean_SC.var(0, unbiased=False)
        self.running_mean.lerp_(mean_SC.mean(0), self.momentum)
        self.running_var.lerp_(variance_C, self.momentum)
        self.num_batches_tracked.add_(1)

    def extra_repr(self) -> str:
        """BatchNorm3d's, and the number of parts."""
        return f"{super().extra_repr()}, num_splits={self.num_splits}"


def apply_norm(model: nn.Module, cfg: CfgNode) -> nn.Module:
    """Replace every nn.BatchNorm3d of `model`, in place, by what BN.NORM_TYPE of PySlowFast's config names.

    Raises:
        ConfigError: an unknown BN.NORM_TYPE.
    """
    kind = cfg.BN.NORM_TYPE
    if kind in ("batchnorm", "sync_batchnorm_apex"):  # PySlowFast itself converts to apex's
        return model
    if kind == "sub_batchnorm":
        return _replaced(model, SubBatchNorm3d, num_splits=cfg.BN.NUM_SPLITS)
    if kind == "sync_batchnorm":
        from pytorchvideo.layers.batch_norm import NaiveSyncBatchNorm3d

        devices = None if cfg.BN.GLOBAL_SYNC else cfg.BN.NUM_SYNC_DEVICES
        return _replaced(model, NaiveSyncBatchNorm3d, num_sync_devices=devices, global_sync=cfg.BN.GLOBAL_SYNC)
    raise ConfigError(f"BN.NORM_TYPE {kind!r}: known are {', '.join(KINDS)}")


def _replaced(module: nn.Module, kind: Any, **arguments: Any) -> nn.Module:
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm3d:
            new = kind(num_features=child.num_features, eps=child.eps, momentum=child.momentum, **arguments)
            new.load_state_dict(child.state_dict())
            setattr(module, name, new)
        else:
            _replaced(child, kind, **arguments)
    return module
