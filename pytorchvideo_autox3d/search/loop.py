"""The search from plain arguments: it checks them, runs the engine's loop and records the history."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.analysis import AdditiveCost, CostTable
from pytorchvideo_autox3d.engine import (
    Checkpointer,
    Hook,
    LRHook,
    MetricHook,
    PeriodicHook,
    Runtime,
    Schedule,
    TrainLoop,
    average_bn_stats,
    last_checkpoint,
    read_checkpoint,
    standard_hooks,
)
from pytorchvideo_autox3d.engine.protocols import Loader, ProcessStateful, Stateful
from pytorchvideo_autox3d.engine.supervised import Mix
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search.average import WeightAverage
from pytorchvideo_autox3d.search.budget import Budget, Budgets
from pytorchvideo_autox3d.search.halves import PairedLoader
from pytorchvideo_autox3d.search.ledger import Ledger
from pytorchvideo_autox3d.search.model import AutoX3DSearchNet
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.search.settings import SearchSettings
from pytorchvideo_autox3d.search.supernet_step import SupernetSearch, space_text
from pytorchvideo_autox3d.supernet import Supernet

HISTORY_NAME = "search_history.jsonl"


def cost_table(supernet: Supernet, clip: tuple[int, int, int] | None = None) -> CostTable:
    """The costs of the supernet's architectures, for clips of size (T, H, W).

    Args:
        supernet: gives the space and the options of its networks.
        clip: by default the size that the supernet was built for.
    """
    options = supernet.model_options
    size = options["input_crop_size"]
    return CostTable(
        supernet.space,
        clip=clip or (options["input_clip_length"], size, size),
        num_classes=options["model_num_class"],
        stem=options["stem"],
        se_ratio=options["se_ratio"],
        attention_options=options["attention_options"],
    )


def search(
    supernet: Supernet,
    policy: Policy,
    weight_loader: Loader,
    policy_loader: Loader | None,
    *,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    settings: SearchSettings,
    budgets: Sequence[Budget],
    runtime: Runtime,
    output_dir: str,
    latency: AdditiveCost | None = None,
    method: str = "parsec",
    mix: Mix | None = None,
    average: WeightAverage | None = None,
    ledger: Ledger | None = None,
    auto_resume: bool = True,
    process_extras: Mapping[str, ProcessStateful] | None = None,
    cfg_text: str = "",
    extra_hooks: Sequence[Hook] = (),
) -> list[dict[str, Any]]:
    """Train the supernet and the policy in place.

    Checkpoints hold all that decides how the search goes on: on the CPU, a search that was killed and resumed ends bit
    for bit as one that was not.

    Args:
        supernet, policy: what learns, over the same space.
        weight_loader, policy_loader: batches of the two parts of the training list; the second is None if and only if
            alpha has no part of its own (`settings.shared`).
        optimizer: over the supernet's parameters; its learning rate is set from `schedule(progress)` before each step.
            The paper has SGD with half-cosine (section 5.1.2). Alpha's optimiser is Adam, as there.
        schedule: learning rate by progress in [0, 1).
        settings: epochs, samples and the rest.
        budgets: checked against the space at the clip size that the supernet is meant for.
        runtime: device and precision.
        output_dir: where checkpoints and `search_history.jsonl` go.
        latency: the milliseconds that a budget in latency_ms looks up.
        method: a name in the SEARCH registry.
        mix: replaces the clips and labels that the weights learn from (mixup).
        average: an average of the supernet's weights, updated in every step.
        ledger: counts what the search spends; by default a new one.
        auto_resume: go on from the last checkpoint of `output_dir`, if it has one.
        process_extras: states of this process alone, saved as in `engine.train`.
        cfg_text: the run's config, kept in checkpoints.
        extra_hooks: further hooks, run before those that log and save.

    Returns:
        One record for each epoch, also kept in `search_history.jsonl`. It has epoch (from 1), lr, loss, ess, samples
        and grad_norm; after the warm-up policy_loss, policy_ess and alpha_snr (`GradientNoise`); macs, the
        multiply-adds computed so far in 1e12; and, of the policy as the epoch leaves it, entropy (nats) and the costs
        of the most probable architecture: gflops, params_m and, with `latency`, latency_ms (the paper's Figure 4).

    Raises:
        SearchError: before anything runs, for a budget out of reach, a part of the list without a batch, or a
            checkpoint of another space; later for a loss that is not finite, naming the sample and the step.
        TrainingInterrupted: after Ctrl-C; a checkpoint was saved.
    """
    limits = Budgets(cost_table(supernet), budgets, latency=latency)
    _check_loaders(weight_loader, policy_loader, shared=settings.shared)
    last = last_checkpoint(output_dir) if auto_resume else None
    if last is not None:
        _check_same_space(last, supernet)
        _check_same_average(last, average)
    distributed.seed_all(settings.seed)
    model = AutoX3DSearchNet(supernet, policy)
    runtime.place(model).train()
    policy_optimizer = torch.optim.Adam(
        policy.parameters(), lr=settings.policy_lr, weight_decay=settings.policy_weight_decay
    )
    scaler = runtime.scaler()
    step: SupernetSearch = SEARCH_REGISTRY.get(method)(
        supernet,
        policy,
        optimizer=optimizer,
        policy_optimizer=policy_optimizer,
        budgets=limits,
        settings=settings,
        runtime=runtime,
        scaler=scaler,
        mix=mix,
        ledger=ledger,
    )
    extras: dict[str, Stateful] = {"search": step, "policy_optimizer": policy_optimizer}
    if average is not None:
        extras["average"] = average
        extra_hooks = [average, *extra_hooks]
    checkpointer = Checkpointer(
        output_dir,
        model=model,
        optimizer=optimizer,
        scaler=scaler,
        extras=extras,
        process_extras=process_extras,
        cfg_text=cfg_text,
        keeping=settings.keeping,
    )
    loop = TrainLoop(
        step,
        PairedLoader(weight_loader, policy_loader, warmup_epochs=settings.warmup_epochs),
        max_epoch=settings.epochs,
        hooks=[LRHook(optimizer, schedule), *_hooks(model, step, limits, checkpointer, settings, extra_hooks)],
        accumulation=settings.accumulation,
    )
    if last is not None and (state := checkpointer.resume()) is not None:
        loop.load_state_dict(state)
    return loop.run()


def _hooks(
    model: AutoX3DSearchNet,
    step: SupernetSearch,
    budgets: Budgets,
    checkpointer: Checkpointer,
    settings: SearchSettings,
    extra: Sequence[Hook],
) -> list[Hook]:
    def read() -> dict[str, float]:
        policy, ratio = model.policy, step.noise.signal_to_noise
        return {
            "entropy": float(policy.entropy().detach()),
            **({} if math.isnan(ratio) else {"alpha_snr": ratio}),
            "macs": step.ledger.macs / 1e12,
            **budgets.cost_of(policy.most_likely()),
        }

    return [
        MetricHook(read, period=settings.log_period),
        *extra,
        # Each process has moved the running statistics by its own clips; a checkpoint holds one set.
        PeriodicHook(lambda loop: average_bn_stats(model), settings.checkpoint_period),
        *standard_hooks(
            checkpointer,
            log_period=settings.log_period,
            checkpoint_period=settings.checkpoint_period,
            tensorboard_dir=settings.tensorboard_dir,
            history_name=HISTORY_NAME,
        ),
    ]


def _check_loaders(weights: Loader, policy: Loader | None, *, shared: bool) -> None:
    if len(weights) == 0:
        raise SearchError(
            "the half of the training list that the weights learn from has no batch (SEARCH.POLICY_SPLIT)"
        )
    if shared:
        return
    if policy is None or len(policy) == 0:
        raise SearchError(
            "the half of the training list that alpha learns from has no batch: SEARCH.POLICY_SPLIT leaves it fewer "
            "clips than TRAIN.BATCH_SIZE; SEARCH.SHARED True learns both from the whole list"
        )


def _check_same_space(path: str, supernet: Supernet) -> None:
    """A checkpoint of another space or channel selection would load in part, or mean something else.

    Raises:
        SearchError: the checkpoint is of another space or selection, or not of a search.
    """
    state = read_checkpoint(path).get("extra_states", {}).get("search")
    saved = state.get("space") if isinstance(state, Mapping) else None
    if saved is None:
        raise SearchError(f"{path}: is no checkpoint of a search; choose another OUTPUT_DIR")
    if saved != space_text(supernet):
        raise SearchError(
            f"{path}: was saved by a search over another space or channel selection than {supernet.space.name!r} with "
            f"{supernet.channel_selection!r}; choose another OUTPUT_DIR, or set TRAIN.AUTO_RESUME False"
        )


def _check_same_average(path: str, average: WeightAverage | None) -> None:
    """An average must begin with the weights, and one that was saved must be used.

    Raises:
        SearchError: the checkpoint has an average and `average` is None, or the other way round.
    """
    there = "average" in read_checkpoint(path).get("extra_states", {})
    if there != (average is not None):
        kept = "an" if there else "no"
        raise SearchError(
            f"{path}: was saved with {kept} average of the weights (SEARCH.EMA_DECAY); choose another OUTPUT_DIR, or "
            "set TRAIN.AUTO_RESUME False"
        )


def history_path(output_dir: str) -> str:
    """The path of the history of the search in `output_dir`."""
    return os.fspath(Path(output_dir, HISTORY_NAME))
