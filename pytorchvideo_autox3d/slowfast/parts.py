"""Stand-ins for what PySlowFast's main branch imports and PyPI does not offer; `compat` puts them in place.

Each has the call signature that PySlowFast uses. Nothing here is used where the real part is installed.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

# The group of this machine's processes; None where there is one process, or one machine.
_local_group: Any = None
_subgroups: dict[int, Any] = {}


class ROIAlign(torchvision.ops.RoIAlign):
    """`detectron2.layers.ROIAlign` by torchvision, with detectron2's arguments; aligned by half a pixel by default."""

    def __init__(
        self, output_size: int | tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool = True
    ) -> None:
        super().__init__(output_size, spatial_scale, sampling_ratio, aligned)


class SoftTargetCrossEntropyLoss(nn.Module):
    """Cross entropy against a distribution over the classes (N, K), or against class indices (N,).

    Args:
        ignore_index: must be negative, so that it is no class.
        reduction: "mean" over the clips, or "none".
        normalize_targets: scale each row of the targets to a sum of one.

    Raises:
        NotImplementedError: another value.
    """

    def __init__(self, ignore_index: int = -100, reduction: str = "mean", normalize_targets: bool = True) -> None:
        super().__init__()
        if reduction not in ("mean", "none"):
            raise NotImplementedError(f"reduction {reduction!r}")
        if ignore_index >= 0:
            raise NotImplementedError(f"ignore_index {ignore_index} is a class")
        self.reduction = reduction
        self.normalize_targets = normalize_targets

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (N, K) against targets: a scalar, or (N,) with reduction "none"."""
        if target.ndim == 1:
            target = F.one_hot(target, input.shape[1])
        target = target.to(input.dtype)
        if self.normalize_targets:
            target = target / target.sum(1, keepdim=True).clamp(min=torch.finfo(target.dtype).eps)
        loss_N = -(target * F.log_softmax(input, 1)).sum(1)
        return loss_N.mean() if self.reduction == "mean" else loss_N


def init_distributed_training(num_gpus: int, shard_id: int) -> None:
    """Make the process group of each machine.

    Args:
        num_gpus: processes on each machine.
        shard_id: which machine this is.
    """
    global _local_group
    if num_gpus <= 1:
        return
    for machine in range(dist.get_world_size() // num_gpus):
        # Every process must take part in making every group, its own or not.
        group = dist.new_group(list(range(machine * num_gpus, (machine + 1) * num_gpus)))
        if machine == shard_id:
            _local_group = group


def get_local_process_group() -> Any:
    """The group of this machine's processes."""
    return _local_group


def get_local_size() -> int:
    """How many processes this machine runs."""
    return dist.get_world_size(_local_group) if dist.is_available() and dist.is_initialized() else 1


def get_local_rank() -> int:
    """The number of this process among this machine's."""
    return dist.get_rank(_local_group) if dist.is_available() and dist.is_initialized() else 0


def cat_all_gather(tensors: Tensor, local: bool = False) -> Tensor:
    """The equally shaped tensors of all processes, or of this machine's, one after another along dimension 0."""
    gathered = [torch.empty_like(tensors) for _ in range(get_local_size() if local else dist.get_world_size())]
    dist.all_gather(gathered, tensors.contiguous(), group=_local_group if local else None)
    return torch.cat(gathered)


class _SyncBatchNorm(nn.SyncBatchNorm):
    """Normalises over `num_sync_devices` processes of a machine, or over all processes with `global_sync`."""

    def __init__(self, num_sync_devices: int | None = None, global_sync: bool = True, **arguments: Any) -> None:
        if global_sync == (num_sync_devices is not None):
            raise ValueError(f"global_sync={global_sync} with num_sync_devices={num_sync_devices}")
        super().__init__(**arguments, process_group=None if global_sync else _subgroup(num_sync_devices or 0))


class NaiveSyncBatchNorm1d(_SyncBatchNorm):
    """For maps (N, C) or (N, C, L)."""


class NaiveSyncBatchNorm2d(_SyncBatchNorm):
    """For maps (N, C, H, W)."""


class NaiveSyncBatchNorm3d(_SyncBatchNorm):
    """For maps (N, C, T, H, W)."""


def _subgroup(size: int) -> Any:
    """The group of `size` neighbouring processes that normalise together; 0 is the whole machine.

    Raises:
        ValueError: the machine's processes can't be divided into such groups.
    """
    local = get_local_size()
    if size in (0, local):
        return _local_group
    if local % size:
        raise ValueError(f"{size} processes can't share a normalisation evenly among the {local} of a machine")
    if size not in _subgroups:
        for first in range(0, dist.get_world_size(), size):
            ranks = list(range(first, first + size))
            group = dist.new_group(ranks)
            if dist.get_rank() in ranks:
                _subgroups[size] = group
    return _subgroups[size]
