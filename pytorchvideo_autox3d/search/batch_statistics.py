"""Forward passes that learn nothing: batch norm uses the statistics of the batch, as in training; no dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.eval_mode import evaluating


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Within the `with` block, run `model` without gradients or dropout, and normalise by the statistics of the batch.

    Batch norm's running statistics do not change. Afterwards every module has the mode and momentum it had before.
    """
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
