"""The stem of a supernet, which all samples of a step share: run once, and once backward by the sum of their gradients.

Shapes: B clips, C x T x H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.engine import Runtime
from pytorchvideo_autox3d.supernet import SharedMaps, Supernet


class SharedStem:
    """The stem's maps of a step's batches.

    The samples' gradients sum up in the maps' `.grad`, in float32 whatever the precision, as those of the parameters do
    in theirs; the weighted sum then goes through the stem once, which is linear in it. Without gradients, the maps
    alone.

    Args:
        supernet: whose stem it is.
        clips: the batches' clips (B, 3, T, H, W).
        runtime: gives the precision.
        times: the number of samples, for each of which the stem's running statistics move.

    Attributes:
        leaves: the maps, whose gradients the samples are to be summed in; empty without gradients.
        maps: what the samples of each batch share.
    """

    def __init__(self, supernet: Supernet, clips: Sequence[Tensor], runtime: Runtime, *, times: int) -> None:
        with runtime.autocast(), moving_at_once(supernet.stem, times):
            self._outputs: list[Tensor] = [supernet.stem(clip_BCTHW) for clip_BCTHW in clips]
        self.leaves: list[Tensor] = []
        if torch.is_grad_enabled():
            self.leaves = [output.detach().float().requires_grad_() for output in self._outputs]
        self.maps = [
            SharedMaps(stem, output.dtype)
            for stem, output in zip(self.leaves or self._outputs, self._outputs, strict=True)
        ]

    def backward(self) -> None:
        """Bring the leaves' gradients through the stem, to its parameters'."""
        pairs = [(output, leaf.grad) for output, leaf in zip(self._outputs, self.leaves, strict=True)]
        given = [(output, grad.to(output.dtype)) for output, grad in pairs if output.requires_grad and grad is not None]
        if given:
            torch.autograd.backward([output for output, _ in given], [grad for _, grad in given])


@contextmanager
def moving_at_once(module: nn.Module, times: int) -> Iterator[None]:
    """Within the `with` block a forward pass moves running statistics as far as `times` passes over the same batch."""
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm) and norm.momentum is not None]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm, momentum in zip(norms, momenta, strict=True):
            assert momentum is not None
            norm.momentum = 1.0 - (1.0 - momentum) ** times
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
