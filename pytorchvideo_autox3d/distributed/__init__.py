"""Launch under torchrun's protocol, and collectives that also work in a single process without a group."""

from pytorchvideo_autox3d.distributed.collectives import (
    all_gather_objects,
    all_reduce_mean,
    average_gradients,
    barrier,
    is_distributed,
    is_main,
    raise_together,
    rank,
    relative_share,
    sum_gradients,
    world_size,
)
from pytorchvideo_autox3d.distributed.launch import (
    ProcessInfo,
    init_from_env,
    launch,
    said_before,
    shutdown,
    under_torchrun,
)
from pytorchvideo_autox3d.distributed.seed import seed_all

__all__ = [
    "ProcessInfo",
    "all_gather_objects",
    "all_reduce_mean",
    "average_gradients",
    "barrier",
    "init_from_env",
    "is_distributed",
    "is_main",
    "launch",
    "raise_together",
    "rank",
    "relative_share",
    "said_before",
    "seed_all",
    "shutdown",
    "sum_gradients",
    "under_torchrun",
    "world_size",
]
