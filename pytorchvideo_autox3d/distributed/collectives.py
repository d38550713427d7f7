"""Collectives over the default process group; each is the identity in a single process without a group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

from pytorchvideo_autox3d.errors import AutoX3DError

T = TypeVar("T")


def is_distributed() -> bool:
    """Whether a process group is up."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """This process's number over all machines, from 0."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """The number of processes over all machines."""
    return dist.get_world_size() if is_distributed() else 1


def is_main() -> bool:
    """Whether this is the one process that writes files and prints."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has come here."""
    if is_distributed():
        dist.barrier()


def all_reduce_mean(tensor: Tensor) -> Tensor:
    """Mean of a floating-point tensor over the processes, element by element; the argument is left as it is."""
    if not is_distributed():
        return tensor
    summed = tensor.detach().to(_communication_device(), copy=True).contiguous()
    dist.all_reduce(summed)
    return (summed / world_size()).to(tensor.device)


def relative_share(clips: int) -> float:
    """This process's clips over the mean of all processes; 1.0 where all have equally many.

    The mean over processes of what each weights by it is the mean over the clips of all, also of an uneven last batch.

    Args:
        clips: of this process, at least one.
    """
    if not is_distributed():
        return 1.0
    return clips / float(all_reduce_mean(torch.tensor(float(clips), dtype=torch.float64)))


def average_gradients(parameters: Iterable[Parameter]) -> None:
    """Average gradients over the processes, in place and in one message.

    Args:
        parameters: the same ones must have a gradient in every process.
    """
    if not is_distributed():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = all_reduce_mean(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def sum_gradients(parameters: Iterable[Parameter]) -> None:
    """Sum gradients over the processes, in place and in one message.

    Args:
        parameters: each process may have gradients for other ones. A parameter that has none in any process stays
            without, so that an optimiser leaves it alone.
    """
    if not is_distributed():
        return
    every = list(parameters)
    present = torch.tensor([float(parameter.grad is not None) for parameter in every], device=every[0].device)
    own = [torch.zeros_like(one) if one.grad is None else one.grad for one in every]
    flat = all_reduce_mean(torch.cat([present, *(gradient.flatten() for gradient in own)])) * world_size()
    anywhere, *parts = flat.split([len(every), *(one.numel() for one in every)])
    for parameter, there, part in zip(every, anywhere.tolist(), parts, strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.dtype) if there else None


def all_gather_objects(item: T) -> list[T]:
    """The picklable `item` of every process, in the order of ranks, on every process."""
    if not is_distributed():
        return [item]
    items: list[T | None] = [None] * world_size()
    dist.all_gather_object(items, item)
    return items  # type: ignore[return-value]


def raise_together(error: AutoX3DError | None) -> None:
    """Raise an error of any process in every process, so that none goes on to wait for one that is gone.

    Args:
        error: this process's own, where it has one. Every process must call this.

    Raises:
        AutoX3DError: this process's own, or the first of the others'.
    """
    said = all_gather_objects("" if error is None else str(error))
    if error is not None:
        raise error
    if first := next(filter(None, said), ""):
        raise AutoX3DError(first)


def _communication_device() -> torch.device:
    """The device that messages must be on: nccl moves CUDA tensors only; gloo is given CPU tensors."""
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
