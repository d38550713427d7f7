"""Batch-norm statistics over many batches with fixed weights (fvcore's precise BN), the same in every process."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fvcore.nn.precise_bn import update_bn_stats
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.protocols import Loader
from pytorchvideo_autox3d.engine.runtime import Runtime
from pytorchvideo_autox3d.eval_mode import evaluating


def recalibrate_bn(
    model: nn.Module,
    loader: Loader,
    *,
    num_batches: int,
    runtime: Runtime,
) -> None:
    """Replace running statistics by those over many batches ("Rethinking Batch in BatchNorm", arXiv 2105.07576, 3).

    Only batch norms run in train mode, so dropout draws nothing. The processes' statistics are averaged.


    Args:
        model: the network; its weights stay as they are.
        loader: gives the clips that the statistics are taken over.
        num_batches: how many of its batches; fewer if it has fewer.
        runtime: device and precision of the network, and how clips are prepared.
    """
    num_batches = min(num_batches, len(loader))

    def clips() -> Iterator[Tensor]:
        for batch in islice(iter(loader), num_batches):
            yield runtime.prepare(batch.clip_BCTHW)

    norms = _batch_norms(model)
    buffers = [(norm.running_mean, norm.running_var) for norm in norms]
    with evaluating(model), runtime.autocast():
        for norm in norms:
            norm.training = True
        update_bn_stats(model, clips(), num_batches)
        # fvcore puts new tensors in the buffers' places; DistributedDataParallel goes on with those it knows.
        for norm, (mean, variance) in zip(norms, buffers, strict=True):
            norm.running_mean = _overwritten(mean, norm.running_mean)
            norm.running_var = _overwritten(variance, norm.running_var)
    average_bn_stats(model)


def average_bn_stats(model: nn.Module) -> None:
    """Average running statistics over the processes, each of which has updated them with its own clips.

    The variances are averaged as they are; that the means of the processes differ is left out of account, which is
    close, and usual for training without synchronised batch norm.
    """
    if not distributed.is_distributed():
        return
    for module in _batch_norms(model):
        for statistic in (module.running_mean, module.running_var):
            if statistic is not None:
                statistic.copy_(distributed.all_reduce_mean(statistic))


def _overwritten(buffer: Tensor | None, value: Tensor | None) -> Tensor | None:
    return buffer if buffer is None or value is None else buffer.copy_(value)


def _batch_norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
