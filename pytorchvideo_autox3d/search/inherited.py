"""Scores by which architectures are ranked: how well each does with the weights of a supernet."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.nn import functional

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import Runtime, recalibrate_bn
from pytorchvideo_autox3d.engine.protocols import Loader
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.eval_mode import evaluating
from pytorchvideo_autox3d.search.budget import METRICS, Budgets
from pytorchvideo_autox3d.search.ledger import Ledger
from pytorchvideo_autox3d.space import Architecture
from pytorchvideo_autox3d.supernet import Supernet, inherit

Score = Callable[[Architecture], float]
"""Validation score of an architecture with inherited weights; higher is better."""

RANK_BY = ("accuracy", "loss")


def inherited_score(
    supernet: Supernet,
    validation_loader: Loader,
    calibration_loader: Loader,
    *,
    bn_batches: int,
    runtime: Runtime,
    rank_by: str = "accuracy",
    budgets: Budgets | None = None,
    ledger: Ledger | None = None,
) -> Score:
    """Make a function that scores an architecture, as a plain network with the supernet's weights.

    The supernet's running statistics mix all architectures, so the network's own are computed first, over `bn_batches`
    batches of `calibration_loader`. The supernet is not changed.

    Args:
        supernet: whose weights the network takes.
        validation_loader: the clips that the network is scored on.
        calibration_loader: training clips; each time its epoch 0 is taken, from the beginning.
        bn_batches: how many batches of it the statistics of batch norm are computed over.
        runtime: the device and precision that networks run with.
        rank_by: "accuracy", top-1 in percent; or "loss", the negative of the mean cross-entropy in nats, which also
            tells networks apart that get the same clips right. Higher is better in both.
        budgets: gives the cost of a network; needed for `ledger`.
        ledger: counts the multiply-adds of all passes, where `budgets` is given too.

    Returns:
        A function of an architecture that returns its score.

    Raises:
        SearchError: `rank_by` is neither.
    """
    if rank_by not in RANK_BY:
        raise SearchError(f"SEARCH.RANK_BY: {rank_by!r} is none of {', '.join(RANK_BY)}")

    def score(architecture: Architecture) -> float:
        net = inherit(supernet, architecture).to(runtime.device)
        if budgets is not None and ledger is not None:
            macs = budgets.cost_of(architecture)["gflops"] * METRICS["gflops"].scale * distributed.world_size()
            net.register_forward_pre_hook(lambda _, inputs: ledger.add(macs, len(inputs[0]), gradient=False))
        _recalibrate(net, calibration_loader, bn_batches=bn_batches, runtime=runtime)
        accuracy, loss = validate(net, validation_loader, runtime=runtime)
        return accuracy if rank_by == "accuracy" else -loss

    return score


def validate(net: nn.Module, loader: Loader, *, runtime: Runtime) -> tuple[float, float]:
    """Test a network on all clips of `loader`, over all processes.

    Returns:
        Top-1 in percent, and the mean cross-entropy in nats.
    """
    right, loss, total = 0, 0.0, 0
    with evaluating(net), runtime.autocast():
        for batch in loader:
            logits_BK = net(runtime.prepare(batch.clip_BCTHW)).float()
            label_B = batch.label_B.to(runtime.device)
            right += int((logits_BK.argmax(dim=1) == label_B).sum())
            loss += float(functional.cross_entropy(logits_BK, label_B, reduction="sum"))
            total += len(label_B)
    counts = distributed.all_gather_objects((right, loss, total))
    clips = sum(count for _, _, count in counts)
    return 100.0 * sum(one for one, _, _ in counts) / clips, sum(one for _, one, _ in counts) / clips


def recalibrated(
    supernet: Supernet,
    architecture: Architecture,
    loader: Loader,
    *,
    bn_batches: int,
    runtime: Runtime,
) -> nn.Module:
    """The plain network of an architecture with the supernet's weights and batch-norm statistics of its own.

    Args:
        supernet: whose weights are taken; it is not changed.
        architecture: of the supernet's space.
        loader: training clips; its epoch 0 is taken, from the beginning.
        bn_batches: how many batches of it the statistics are computed over.
        runtime: the device that the network is moved to.

    Returns:
        The network in eval mode.
    """
    net = inherit(supernet, architecture).to(runtime.device)
    _recalibrate(net, loader, bn_batches=bn_batches, runtime=runtime)
    return net.eval()


def _recalibrate(net: nn.Module, loader: Loader, *, bn_batches: int, runtime: Runtime) -> None:
    loader.set_epoch(0)
    recalibrate_bn(net, loader, num_batches=bn_batches, runtime=runtime)
