"""Losses over logits. Shapes: B clips, K classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ConfigError


class CrossEntropy(nn.Module):
    """Mean cross entropy of logits_BK against classes label_B (int64) or distributions target_BK (as mixup gives).

    It is computed in fp32 whatever precision the logits have.

    Args:
        label_smoothing: s in [0, 1); the target becomes (1 - s) * target + s / K (arXiv 1512.00567, section 7).

    Raises:
        ConfigError: the smoothing is out of range.
    """

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= label_smoothing < 1.0:
            raise ConfigError(f"label smoothing {label_smoothing} is outside [0, 1)")
        self.label_smoothing = label_smoothing

    def forward(self, logits_BK: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits_BK.float(), target, label_smoothing=self.label_smoothing)
