"""Passes that learn nothing: batch norm by the batch, as in training, and no dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.eval_mode import evaluating


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """No gradients, no dropout; BN normalises by the batch and leaves its running statistics alone."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    with evaluating(model):
        try:
            for norm in norms:
                norm.training, norm.momentum = True, 0.0
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
