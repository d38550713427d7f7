"""One PARSEC step: K sampled architectures, forward and backward once each, then one update of the weights.

Shapes: B clips, C x T x H x W pixels; K samples, D decisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simplejson
import torch
from torch import Tensor

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import CrossEntropy, Runtime, clip_gradients
from pytorchvideo_autox3d.engine.protocols import Batch, Position
from pytorchvideo_autox3d.engine.supervised import Mix
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search.batch_statistics import batch_statistics
from pytorchvideo_autox3d.search.budget import Budgets
from pytorchvideo_autox3d.search.parsec import (
    OnlineSoftmaxGradient,
    adaptive_sample_count,
    effective_sample_size,
    importance_weights,
    policy_gradient,
)
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.search.sample_gradients import (
    GradientOfBatches,
    GradientOfOneBatch,
    NoGradient,
    SampleGradient,
)
from pytorchvideo_autox3d.search.settings import SearchSettings
from pytorchvideo_autox3d.space import Architecture, space_to_dict
from pytorchvideo_autox3d.supernet import Supernet


@dataclass(frozen=True)
class SearchBatch:
    """What a step learns from: a batch for the weights, and one for alpha unless it is frozen or shares the other."""

    weights: Batch
    policy: Batch | None = None

    @property
    def label_B(self) -> Tensor:
        """The labels that count as the step's clips."""
        return self.weights.label_B


@dataclass(frozen=True)
class _Samples:
    """K architectures, their losses (mean cross entropy a clip) and their importance weights."""

    indices_KD: Tensor
    loss_K: Tensor
    weight_K: Tensor


@dataclass(frozen=True)
class _Clips:
    """A prepared batch: clips, classes or distributions over them, and its share of the step's clips."""

    clip_BCTHW: Tensor
    target: Tensor
    share: float


@SEARCH_REGISTRY.register(name="parsec")
class ParsecSearch:
    """The step of a PARSEC search, for `engine.TrainLoop` over batches of `SearchBatch`.

    After the warm-up each step first moves alpha by the importance-weighted score of K architectures on its own half
    of the data (forward passes alone, batch statistics, no dropout), then the weights by K others on theirs. With
    `settings.shared` one set of K serves both. All processes sample the same architectures; likelihoods and gradients
    are averaged over them.

    Args:
        supernet, policy: what learns; placed by `runtime`, the supernet in train mode.
        optimizer, policy_optimizer: over their parameters.
        budgets: the cost-aware term.
        settings: how.
        scaler: of the precision; its state is saved by the caller.
        mix: replaces clips and labels that the weights learn from (mixup); alpha learns from clips as they are, but
            with `settings.shared`.
    """

    def __init__(
        self,
        supernet: Supernet,
        policy: Policy,
        *,
        optimizer: torch.optim.Optimizer,
        policy_optimizer: torch.optim.Optimizer,
        budgets: Budgets,
        settings: SearchSettings,
        runtime: Runtime,
        scaler: torch.amp.GradScaler | None = None,
        mix: Mix | None = None,
    ) -> None:
        self.supernet = supernet
        self.policy = policy
        self.optimizer = optimizer
        self.policy_optimizer = policy_optimizer
        self.budgets = budgets
        self.settings = settings
        self.runtime = runtime
        self.scaler = scaler or runtime.scaler()
        self.mix = mix
        self.loss = CrossEntropy(label_smoothing=settings.label_smoothing)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.widest_D = torch.tensor(Architecture.widest(supernet.space).indices)

    def __call__(self, batches: Sequence[SearchBatch], loop: Position) -> Mapping[str, Tensor | float]:
        """Returns loss (mean over the samples), ess, samples (K), grad_norm, and after the warm-up policy_loss."""
        learning = loop.epoch >= self.settings.warmup_epochs
        scalars: dict[str, Tensor | float] = {}
        if learning and not self.settings.shared:
            own = [batch.policy for batch in batches if batch.policy is not None]
            if len(own) < len(batches):
                raise SearchError("alpha has no batch of its own, and SEARCH.SHARED is False")
            samples = self.policy_step(own, loop)
            scalars |= {"policy_loss": samples.loss_K.mean(), "policy_ess": effective_sample_size(samples.weight_K)}
        samples, norm = self.weight_step([batch.weights for batch in batches], loop)
        if learning and self.settings.shared:
            self._update_policy(samples)
        ess = effective_sample_size(samples.weight_K)
        return {
            "loss": samples.loss_K.mean(),
            "ess": ess,
            "samples": float(len(samples.loss_K)),
            "grad_norm": norm,
            **scalars,
        }

    def weight_step(self, batches: Sequence[Batch], loop: Position) -> tuple[_Samples, Tensor]:
        """One update of the weights by the importance-weighted gradient of K samples; returns its norm too."""
        accumulator = OnlineSoftmaxGradient(self.supernet.parameters())
        gradient = (GradientOfOneBatch if len(batches) == 1 else GradientOfBatches)(accumulator, self.scaler)
        samples = self._run_samples(self._prepared(batches, self.mix), loop, gradient)
        accumulator.normalise()
        # All processes sampled the same architectures, so the same parameters have gradients.
        distributed.average_gradients(self.supernet.parameters())
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(
            self.supernet.parameters(), max_norm=self.settings.clip_norm, max_value=self.settings.clip_value
        )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return samples, norm

    def policy_step(self, batches: Sequence[Batch], loop: Position) -> _Samples:
        """One update of alpha on batches that the weights do not learn from."""
        with batch_statistics(self.supernet):
            samples = self._run_samples(self._prepared(batches, None), loop, NoGradient())
        self._update_policy(samples)
        return samples

    def _prepared(self, batches: Sequence[Batch], mix: Mix | None) -> list[_Clips]:
        """The batches as every sample sees them."""
        number = sum(len(batch.label_B) for batch in batches)
        prepared = []
        for batch in batches:
            clip_BCTHW = self.runtime.prepare(batch.clip_BCTHW)
            target = batch.label_B.to(self.runtime.device, non_blocking=True)
            if mix is not None:
                clip_BCTHW, target = mix(clip_BCTHW, target)
            prepared.append(_Clips(clip_BCTHW, target, len(target) / number))
        return prepared

    def _run_samples(self, batches: Sequence[_Clips], loop: Position, gradient: SampleGradient) -> _Samples:
        """K samples forward, each loss given to `gradient` with its score."""
        settings = self.settings
        warming_up = loop.epoch < settings.warmup_epochs
        indices_KD = self.policy.sample_indices(self.sample_count(warming_up), self.generator)
        if settings.sandwich and warming_up:
            indices_KD[0] = self.widest_D
        # The cost tells alpha what to prefer. While alpha is frozen it would only starve the dearer architectures.
        penalty_K = torch.zeros(len(indices_KD)) if warming_up else self.budgets.penalty(indices_KD)
        losses: list[float] = []
        scale = self._clips_counted(batches)
        for architecture, penalty in zip(self.policy.architectures(indices_KD), penalty_K.tolist(), strict=True):
            loss = self._loss_of(architecture, batches, gradient)
            # Every process must weight a sample alike, so they agree on its likelihood first.
            losses.append(float(distributed.all_reduce_mean(loss)))
            _check_finite(losses[-1], architecture, loop)
            gradient.sample((-scale * losses[-1] - penalty) / settings.temperature)
        loss_K = torch.tensor(losses, dtype=torch.float64)
        weight_K = importance_weights(-scale * loss_K, penalty_K, temperature=settings.temperature)
        return _Samples(indices_KD, loss_K, weight_K)

    def _loss_of(self, architecture: Architecture, batches: Sequence[_Clips], gradient: SampleGradient) -> Tensor:
        """The mean loss of the clips of all batches."""
        total = torch.zeros((), device=self.runtime.device)
        for clips in batches:
            with self.runtime.autocast():
                loss = self.loss(self.supernet(clips.clip_BCTHW, architecture), clips.target) * clips.share
            gradient.part(loss)
            total = total + loss.detach()
        return total

    def sample_count(self, warming_up: bool = False) -> int:
        """K of the next step."""
        if warming_up and self.settings.warmup_samples:
            return self.settings.warmup_samples
        if not self.settings.adaptive_samples:
            return self.settings.num_samples
        return adaptive_sample_count(self.policy, self.settings.num_samples, self.settings.min_samples)

    def _clips_counted(self, batches: Sequence[_Clips]) -> int:
        """What turns the mean log-likelihood of a clip into that of the step, over all processes."""
        clips = sum(len(batch.target) for batch in batches)
        return clips * distributed.world_size() if self.settings.likelihood == "sum" else 1

    def _update_policy(self, samples: _Samples) -> None:
        ascent = policy_gradient(
            self.policy,
            samples.indices_KD,
            samples.weight_K.float(),
            control_variate=self.settings.control_variate,
        )
        self.policy.alpha.grad = -ascent
        self.policy_optimizer.step()
        self.policy.alpha.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The sampling generator, and the space that alpha belongs to."""
        return {"generator": self.generator.get_state(), "space": space_text(self.supernet)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.generator.set_state(state["generator"].cpu())


def space_text(supernet: Supernet) -> str:
    """The space and its channel selection as one string: what must be equal for a search to go on."""
    return simplejson.dumps(
        {"space": space_to_dict(supernet.space), "selection": supernet.channel_selection}, sort_keys=True
    )


def _check_finite(loss: float, architecture: Architecture, loop: Position) -> None:
    if not math.isfinite(loss):
        raise SearchError(
            f"epoch {loop.epoch + 1}, step {loop.step_in_epoch + 1} of {loop.steps_per_epoch}: the loss of the sample "
            f"[{architecture.one_line()}] is {loss}; the last checkpoint is intact (lower SOLVER.BASE_LR, or set "
            "SOLVER.CLIP_GRAD_L2NORM)"
        )
