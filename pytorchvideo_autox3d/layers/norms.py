"""Batch normalisation over other sets of clips than one process's batch: a part of it, or several processes' together.

Both have the keys of nn.BatchNorm3d, so that a checkpoint of one loads into a network of the other. Shapes: B clips, C
channels, T frames, H and W pixels, S parts of a batch or processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ModelError

_OVER_POSITIONS = (0, 2, 3, 4)
_groups: dict[tuple[Any, int], Any] = {}


class SubBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation over each of `num_splits` equal parts of a batch (Wu et al., CVPR 2020, section 3.4).

    The running statistics are those of the parts together: the mean of their means, and the mean of their variances
    plus the variance of their means.

    Args:
        num_features: C.
        num_splits: parts of a batch; neighbouring clips share a part.
        eps: added to the variance.
        momentum: by how much the running statistics move towards those of a batch.
    """

    def __init__(self, num_features: int, *, num_splits: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.num_splits = num_splits

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, T, H, W) -> the same shape.

        Raises:
            ModelError: in training, B is no multiple of `num_splits`.
        """
        if not self.training:
            return super().forward(input)
        if input.shape[0] % self.num_splits:
            raise ModelError(f"{self.num_splits} normalisation parts don't divide a batch of {input.shape[0]} clips")
        # Neighbouring clips share a part.
        parts = input.reshape(self.num_splits, -1, *input.shape[1:])
        self._track(parts.detach().float())
        normalized = [F.batch_norm(part, None, None, self.weight, self.bias, True, 0.0, self.eps) for part in parts]
        return torch.cat(normalized)

    def _track(self, parts_SBCTHW: Tensor) -> None:
        over = (1, 3, 4, 5)
        mean_SC = parts_SBCTHW.mean(over)
        share_SC = torch.full_like(mean_SC, 1 / self.num_splits)
        _move(self, *_together(mean_SC, parts_SBCTHW.var(over), share_SC))

    def extra_repr(self) -> str:
        """The settings of `BatchNorm3d`, and the number of parts."""
        return f"{super().extra_repr()}, num_splits={self.num_splits}"


class SyncBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation over the batches of several processes, as if they were one: statistics and gradients.

    torch.nn.SyncBatchNorm does the same on GPUs alone, and DistributedDataParallel refuses it on the CPU. Processes may
    have unequally many positions, as in an uneven last batch.

    Args:
        num_features: C.
        num_devices: how many neighbouring processes normalise together; None is all of them.
        eps: added to the variance.
        momentum: by how much the running statistics move towards those of a batch.
    """

    def __init__(
        self, num_features: int, *, num_devices: int | None = None, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.num_devices = num_devices

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, T, H, W) -> the same shape.

        Raises:
            ModelError: the processes don't divide into groups of `num_devices`.
        """
        group, size = _group(self.num_devices)
        if not self.training or size == 1:
            return super().forward(input)
        values = input.float()
        variance_C, mean_C = torch.var_mean(values, _OVER_POSITIONS, unbiased=False)
        count_C = torch.full_like(mean_C, values.numel() // values.shape[1])
        mean_SC, variance_SC, count_SC = _gather(torch.stack([mean_C, variance_C, count_C]), group, size).unbind(1)
        count_C = count_SC.detach().sum(0)
        mean_C, variance_C = _together(mean_SC, variance_SC, count_SC.detach() / count_C)
        _move(self, mean_C.detach(), variance_C.detach() * (count_C / (count_C - 1)))
        scale_C = self.weight * (variance_C + self.eps).rsqrt()
        shift_C = self.bias - mean_C * scale_C
        shape = (1, -1, 1, 1, 1)
        return (values * scale_C.view(shape) + shift_C.view(shape)).to(input.dtype)

    def extra_repr(self) -> str:
        """The settings of `BatchNorm3d`, and the number of processes."""
        return f"{super().extra_repr()}, num_devices={self.num_devices}"


def replace_norms(module: nn.Module, make: Callable[..., nn.Module]) -> None:
    """Put another normalisation in the place of every nn.BatchNorm3d inside `module`, in place, with its state.

    Subclasses of nn.BatchNorm3d stay.

    Args:
        module: whose layers are replaced.
        make: makes the new layer from num_features, eps and momentum; its state has the keys of nn.BatchNorm3d.
    """
    for name, child in module.named_children():
        if type(child) is not nn.BatchNorm3d:
            replace_norms(child, make)
            continue
        new = make(num_features=child.num_features, eps=child.eps, momentum=child.momentum)
        new.load_state_dict(child.state_dict())
        new.to(child.weight.device)
        new.train(child.training)
        setattr(module, name, new)


def _together(mean_SC: Tensor, variance_SC: Tensor, share_SC: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of all values together, from those of parts and the share of the values in each."""
    mean_C = (share_SC * mean_SC).sum(0)
    return mean_C, (share_SC * (variance_SC + (mean_SC - mean_C).square())).sum(0)


@torch.no_grad()
def _move(norm: nn.BatchNorm3d, mean_C: Tensor, variance_C: Tensor) -> None:
    """Move the running statistics towards those of a batch."""
    assert norm.momentum is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.lerp_(mean_C, norm.momentum)
    norm.running_var.lerp_(variance_C, norm.momentum)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)


def _gather(own: Tensor, group: Any, size: int) -> Tensor:
    """Stack the tensors of a group's processes, (S, ...); gradients flow back to the process that each came from."""
    rank = dist.get_rank(group)
    zeros = torch.zeros_like(own)
    return _SumOverProcesses.apply(torch.stack([own if other == rank else zeros for other in range(size)]), group)


class _SumOverProcesses(torch.autograd.Function):
    """all_reduce with a gradient, which is itself summed: each process's loss depends on every process's input."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Any) -> Tensor:
        """The sum of all processes' tensors."""
        ctx.group = group
        summed = tensor.clone()
        dist.all_reduce(summed, group=group)
        return summed

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """The sum of all processes' gradients."""
        summed = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed, group=ctx.group)
        return summed, None


def _group(num_devices: int | None) -> tuple[Any, int]:
    """The group of processes that this one normalises with, and its size; size 1 without distributed training.

    Raises:
        ModelError: the processes don't divide into groups of `num_devices`.
    """
    if not dist.is_available() or not dist.is_initialized():
        return None, 1
    world = dist.get_world_size()
    if num_devices is None or num_devices == world:
        return None, world
    if num_devices == 1:
        return None, 1
    if world % num_devices:
        raise ModelError(f"groups of {num_devices} that normalise together don't divide {world} processes")
    key = (dist.group.WORLD, num_devices)
    if key not in _groups:
        # Every process takes part in making every group, its own or not.
        made = [dist.new_group(list(range(first, first + num_devices))) for first in range(0, world, num_devices)]
        _groups[key] = made[dist.get_rank() // num_devices]
    return _groups[key], num_devices
