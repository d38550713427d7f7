"""One PARSEC step: K sampled architectures, forward and backward once each, then one update of the weights.

Shapes: B clips, C x T x H x W pixels; K samples, D decisions, N classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.protocols import Batch, Position
from pytorchvideo_autox3d.engine.supervised import Mix
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.layers.windows import gradients_in_place
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search.batch_statistics import batch_statistics
from pytorchvideo_autox3d.search.budget import METRICS
from pytorchvideo_autox3d.search.parsec import (
    OnlineSoftmaxGradient,
    adaptive_sample_count,
    effective_sample_size,
    importance_weights,
    policy_gradient,
)
from pytorchvideo_autox3d.search.sample_gradients import (
    GradientOfBatches,
    GradientOfOneBatch,
    NoGradient,
    SampleGradient,
)
from pytorchvideo_autox3d.search.settings import SearchSettings
from pytorchvideo_autox3d.search.shared_stem import SharedStem
from pytorchvideo_autox3d.search.supernet_step import (
    Clips,
    SearchBatch,
    SupernetSearch,
    check_finite,
)
from pytorchvideo_autox3d.space import Architecture
from pytorchvideo_autox3d.supernet import SharedMaps


@dataclass(frozen=True)
class Samples:
    """K architectures that a step ran.

    Attributes:
        indices_KD: the architectures as candidate indices.
        loss_K: mean cross entropy of a clip, in nats.
        weight_K: importance weights, which sum to 1.
        cost_K: what the weights are made from: negative log-likelihood plus the budgets' penalty.
        fixed: the first so many are not draws of the policy but the ends of a sandwich; alpha learns nothing from them.
    """

    indices_KD: Tensor
    loss_K: Tensor
    weight_K: Tensor
    cost_K: Tensor
    fixed: int = 0


@SEARCH_REGISTRY.register(name="parsec")
class ParsecSearch(SupernetSearch):
    """The step of a PARSEC search; arguments and attributes as in `SupernetSearch`.

    After the warm-up each step first moves alpha by the importance-weighted score of K architectures on its own half
    of the data (forward passes alone, batch statistics, no dropout), then the weights by K others on theirs. With
    `settings.shared` one set of K serves both. All processes sample the same architectures.

    With `settings.spread` "clips" every process runs all K on its own share of the batch, and likelihoods and gradients
    are averaged. With "samples" every process has the whole batch and runs its part of the K samples; likelihoods are
    exchanged once, and the weighted gradients are summed.
    """

    spreads_samples = True

    @classmethod
    def check_settings(cls, settings: SearchSettings, *, mix: Mix | None = None) -> None:
        """As in `SupernetSearch`; where alpha learns, it also needs two draws of the policy in each of its steps.

        The importance weight of a single draw is 1 whatever its likelihood, so alpha would learn nothing from the data.

        Raises:
            SearchError: the settings are not for this method.
        """
        super().check_settings(settings, mix=mix)
        key, count = settings.least_samples
        # Only with the weights' own samples are the ends of the sandwich among those that alpha is given.
        fixed = 1 + settings.sandwich_narrowest if settings.shared and settings.sandwich_after_warmup else 0
        if cls.learns_policy and count - fixed < 2:
            beside = f" beside the {fixed} of the sandwich" if fixed else ""
            raise SearchError(f"SEARCH.{key}: {count} is too few: alpha learns from 2 draws or more a step{beside}")

    def __call__(self, batches: Sequence[SearchBatch], loop: Position) -> Mapping[str, Tensor | float]:
        """One step: alpha (after the warm-up) and the weights.

        Returns:
            loss (mean over the samples), ess (effective sample size), samples (K), grad_norm, and after the warm-up,
            where alpha has its own batches, policy_loss and policy_ess.

        Raises:
            SearchError: a loss is not finite, or alpha has no batch of its own.
        """
        learning = self.learns_policy and not self.warming_up(loop)
        scalars: dict[str, Tensor | float] = {}
        if learning and not self.settings.shared:
            samples = self.policy_step(self.policy_batches(batches), loop)
            scalars |= {"policy_loss": samples.loss_K.mean(), "policy_ess": effective_sample_size(samples.weight_K)}
        samples, norm = self.weight_step([batch.weights for batch in batches], loop)
        if learning and self.settings.shared:
            self.update_policy(samples, loop)
        ess = effective_sample_size(samples.weight_K)
        return {
            "loss": samples.loss_K.mean(),
            "ess": ess,
            "samples": float(len(samples.loss_K)),
            "grad_norm": norm,
            **scalars,
        }

    def warming_up(self, loop: Position) -> bool:
        """Whether the policy is still uniform and only the weights learn."""
        return loop.epoch < self.settings.warmup_epochs

    def weight_step(self, batches: Sequence[Batch], loop: Position) -> tuple[Samples, Tensor]:
        """One update of the weights by the importance-weighted gradient of K samples; returns them and its norm."""
        clips = self.prepared(batches, self.mix)
        stem = self._shared_stem(clips, loop)
        accumulator = OnlineSoftmaxGradient([*self.supernet.parameters(), *stem.leaves])
        gradient = (GradientOfOneBatch if len(batches) == 1 else GradientOfBatches)(accumulator, self.scaler)
        with gradients_in_place():
            samples = self._run_samples(clips, loop, gradient, self.ends(loop), stem.maps)
        if self.spread_samples:
            accumulator.normalise_among(self._scores(samples.cost_K))
        else:
            accumulator.normalise()
        stem.backward()
        return samples, self.move_weights()

    def policy_step(self, batches: Sequence[Batch], loop: Position) -> Samples:
        """One update of alpha on batches that the weights do not learn from."""
        with batch_statistics(self.supernet):
            clips = self.prepared(batches, None)
            samples = self._run_samples(clips, loop, None, [], self._shared_stem(clips, loop).maps)
        self.update_policy(samples, loop)
        return samples

    def _shared_stem(self, batches: Sequence[Clips], loop: Position) -> SharedStem:
        """The stem's maps, for the samples that this process runs."""
        own = sum(map(self._is_own, range(self.sample_count(self.warming_up(loop)))))
        return SharedStem(self.supernet, [clips.clip_BCTHW for clips in batches], self.runtime, times=own)

    def ends(self, loop: Position) -> list[Architecture]:
        """The sandwich's architectures, which take the place of the first samples; the widest, the teacher, first."""
        settings = self.settings
        if not (settings.sandwich if self.warming_up(loop) else settings.sandwich_after_warmup):
            return []
        narrowest = [Architecture.narrowest(self.supernet.space)] if settings.sandwich_narrowest else []
        return [Architecture.widest(self.supernet.space), *narrowest]

    def _run_samples(
        self,
        batches: Sequence[Clips],
        loop: Position,
        gradient: SampleGradient | None,
        ends: Sequence[Architecture],
        shared: Sequence[SharedMaps],
    ) -> Samples:
        """Run K samples forward; each loss and score is given to `gradient`, which runs backward.

        `shared` has what the samples have in common, by batch.
        """
        settings, warming_up = self.settings, self.warming_up(loop)
        indices_KD = self.policy.sample_indices(self.sample_count(warming_up), self.generator)
        for number, end in enumerate(ends):
            indices_KD[number] = torch.tensor(end.indices)
        penalty_K = self._penalty(indices_KD, warming_up)
        macs_K = self.budgets.costs(indices_KD)["gflops"] * METRICS["gflops"].scale
        scale = self._clips_counted(batches)
        teacher: list[Tensor] | None = [] if settings.distill and ends else None
        loss_K = torch.zeros(len(indices_KD), dtype=torch.float64)
        architectures = self.policy.architectures(indices_KD)
        order = range(len(indices_KD))
        # Without gradients the order is free: neighbours then begin with as many equal groups as there are.
        for number in order if gradient else sorted(order, key=lambda number: architectures[number].indices):
            architecture = architectures[number]
            self._count(float(macs_K[number]), batches, gradient is not None)
            if not self._is_own(number):
                continue
            own = self._loss_of(architecture, batches, gradient or NoGradient(), teacher, shared)
            loss_K[number] = self._agreed(own, architecture, loop)
            if gradient is not None and math.isfinite(loss_K[number]):
                gradient.sample(self.score(scale * float(loss_K[number]) + float(penalty_K[number])))
        if self.spread_samples:
            loss_K = self._exchanged(loss_K, indices_KD, loop)
        cost_K = scale * loss_K + penalty_K
        weight_K = importance_weights(self._scores(cost_K))
        return Samples(indices_KD, loss_K, weight_K, cost_K, fixed=len(ends))

    def _is_own(self, number: int) -> bool:
        """Whether this process runs the sample."""
        return not self.spread_samples or number % distributed.world_size() == distributed.rank()

    def _agreed(self, own: Tensor, architecture: Architecture, loop: Position) -> float:
        """A sample's loss, over all processes' clips where those are divided: all must give it the same weight."""
        if self.spread_samples:
            return float(own)
        loss = float(distributed.all_reduce_mean(own))
        check_finite(loss, architecture, loop, own=own)
        return loss

    def _exchanged(self, loss_K: Tensor, indices_KD: Tensor, loop: Position) -> Tensor:
        """The losses of all samples, from this process's `loss_K`, which has zeros for those of the others."""
        own_K, loss_K = loss_K, distributed.all_reduce_mean(loss_K) * distributed.world_size()
        for number in (~loss_K.isfinite()).nonzero().flatten().tolist():
            architecture = self.policy.architectures(indices_KD[number : number + 1])[0]
            check_finite(float(loss_K[number]), architecture, loop, own=own_K[number])
        return loss_K

    def _scores(self, cost_K: Tensor) -> Tensor:
        return torch.tensor([self.score(cost) for cost in cost_K.tolist()]).double()

    def score(self, cost: float) -> float:
        """A sample's score, whose softmax is its weight; `cost` is its negative log-likelihood plus penalty."""
        return -cost / self.settings.temperature

    def _penalty(self, indices_KD: Tensor, warming_up: bool) -> Tensor:
        """What the budgets add to each sample's cost; 0 in the warm-up, where it would only starve expensive ones."""
        if warming_up:
            return torch.zeros(len(indices_KD), dtype=torch.float64)
        if self.lagrangian is not None:
            return self.lagrangian.penalty(self.policy, indices_KD)
        return self.budgets.penalty(indices_KD)

    def _loss_of(
        self,
        architecture: Architecture,
        batches: Sequence[Clips],
        gradient: SampleGradient,
        teacher: list[Tensor] | None,
        shared: Sequence[SharedMaps],
    ) -> Tensor:
        """The mean loss of the clips of all batches.

        Args:
            shared: what the samples have in common, by batch.
            teacher: class probabilities (B, N) by batch, which the first sample, the widest, fills in and learns
                nothing from; the weights of the others learn these in place of the labels (in-place distillation,
                BigNAS, arXiv 2003.11142, section 3.1). Their likelihood is of the labels all the same.
        """
        total = torch.zeros((), device=self.runtime.device)
        teaches = teacher is not None and not teacher
        for number, clips in enumerate(batches):
            with self.runtime.autocast():
                logits_BN = self.supernet(clips.clip_BCTHW, architecture, shared[number])
                loss = self.loss(logits_BN, clips.target) * clips.share
                learnt = loss
                if teacher is not None and not teaches:
                    learnt = torch.nn.functional.cross_entropy(logits_BN.float(), teacher[number]) * clips.share
            if teacher is not None and teaches:
                teacher.append(logits_BN.detach().float().softmax(dim=1))
            gradient.part(learnt)
            total = total + loss.detach()
        return total

    def _count(self, macs: float, batches: Sequence[Clips], gradient: bool) -> None:
        self.ledger.add(macs, self._clips_of_all(batches), gradient=gradient)

    def sample_count(self, warming_up: bool = False) -> int:
        """K, the number of samples of the next step."""
        if warming_up and self.settings.warmup_samples:
            return self.settings.warmup_samples
        if not self.settings.adaptive_samples:
            return self.settings.num_samples
        return adaptive_sample_count(self.policy, self.settings.num_samples, self.settings.min_samples)

    def _clips_counted(self, batches: Sequence[Clips]) -> int:
        """The factor that turns the mean log-likelihood of a clip into the step's, over all processes."""
        return self._clips_of_all(batches) if self.settings.likelihood == "sum" else 1

    def _clips_of_all(self, batches: Sequence[Clips]) -> int:
        """The step's clips over all processes."""
        clips = sum(len(batch.target) for batch in batches)
        if self.spread_samples:
            return clips
        return round(clips * distributed.world_size() / sum(batch.share for batch in batches))

    def update_policy(self, samples: Samples, loop: Position) -> None:
        """Move alpha by the samples that are draws of the policy."""
        weight_K = samples.weight_K[samples.fixed :]
        ascent = policy_gradient(
            self.policy,
            samples.indices_KD[samples.fixed :],
            (weight_K / weight_K.sum()).float(),
            control_variate=self.settings.control_variate,
        )
        self.move_policy(-ascent, loop)


@SEARCH_REGISTRY.register(name="one_shot_evolution")
class OneShotSearch(ParsecSearch):
    """A single-path one-shot supernet (Guo et al., ECCV 2020): uniform samples, equal weights, no policy.

    The architecture is found afterwards, by evolution over scores with inherited weights (`search.evolution`).
    Arguments as in `SupernetSearch`.
    """

    learns_policy = False
    derivation = "evolution"

    def warming_up(self, loop: Position) -> bool:
        """Always: the whole training is what other searches do in their warm-up."""
        return True

    def score(self, cost: float) -> float:
        """0 for every sample, so that all have the same weight."""
        return 0.0
