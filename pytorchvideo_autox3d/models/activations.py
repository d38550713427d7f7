"""Activation checkpointing: each block runs again in the backward pass, so that its maps need not be kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from pytorchvideo.models.net import Net
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.modules.batchnorm import _BatchNorm


def checkpoint_activations(model: Net) -> None:
    """Let the blocks before the head run again in the backward pass, in place, so that their maps need not be kept.

    Outputs, gradients and the keys of the state dict stay. What runs again is a residual block where a stage has
    several, else the whole stage. The second run repeats the dropout of the first, and leaves the running statistics of
    batch norm alone.
    """
    *stages, _ = model.blocks.named_children()
    for name, stage in stages:
        parts = getattr(stage, "res_blocks", stage)
        several = isinstance(parts, nn.Sequential | nn.ModuleList)
        blocks = [key for key, part in parts.named_children() if several and list(part.children())]
        for key in blocks:
            _wrap(parts, key)
        if not blocks:
            _wrap(model.blocks, name)


def _wrap(parent: nn.Module, name: str) -> None:
    block = parent.get_submodule(name)
    block.register_forward_pre_hook(_with_own_lists)
    setattr(parent, name, checkpoint_wrapper(block, context_fn=partial(_contexts, block)))


def _with_own_lists(block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copy lists among the inputs, as pytorchvideo's blocks of several pathways write their outputs into them."""
    return tuple(list(value) if isinstance(value, list) else value for value in inputs)


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The contexts around the first run of a block and around the second."""
    return nullcontext(), _without_statistics(block)


@contextmanager
def _without_statistics(block: nn.Module) -> Iterator[None]:
    """Let batch norm run as in training, but without moving its running statistics or counting the batch."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
