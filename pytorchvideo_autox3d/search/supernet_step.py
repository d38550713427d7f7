"""The common base of the searches that train a supernet: what they hold, and how they prepare clips and update.

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
from pytorchvideo_autox3d.search.budget import Budgets
from pytorchvideo_autox3d.search.gradient_noise import GradientNoise
from pytorchvideo_autox3d.search.lagrangian import Lagrangian
from pytorchvideo_autox3d.search.ledger import Ledger
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.search.settings import SearchSettings
from pytorchvideo_autox3d.space import Architecture, SearchSpace, space_to_dict
from pytorchvideo_autox3d.supernet import Supernet


@dataclass(frozen=True)
class SearchBatch:
    """What a step learns from: a batch for the weights, and one for alpha where it learns from its own part."""

    weights: Batch
    policy: Batch | None = None

    @property
    def label_B(self) -> Tensor:
        """The labels of the weights' batch, by which the loop counts clips."""
        return self.weights.label_B


@dataclass(frozen=True)
class Clips:
    """A batch on the device, ready for the network.

    Attributes:
        clip_BCTHW: normalised clips.
        target: classes (B,), or distributions over them (B, N) after mixup.
        share: the batch's part of the clips of the step. Over one process's batches the shares sum to its
            `relative_share`, which is 1 where all processes have equally many clips.
    """

    clip_BCTHW: Tensor
    target: Tensor
    share: float


class SupernetSearch:
    """The step of a search over a supernet, for `engine.TrainLoop` over batches of `SearchBatch`.

    Args:
        supernet, policy: what learns; already placed by `runtime`, the supernet in train mode.
        optimizer, policy_optimizer: over the supernet's and the policy's parameters.
        budgets: give the cost-aware term.
        settings: of the search.
        runtime: device and precision.
        scaler: of the precision, whose state the caller saves; by default a new one of `runtime`.
        mix: replaces the clips and labels that the weights learn from (mixup). Alpha learns from the clips as they
            are, except with `settings.shared`.
        ledger: counts what is spent; by default a new one.

    Attributes:
        learns_policy: whether alpha learns. Otherwise it stays uniform and needs no part of the training list.
        spreads_samples: whether the method has samples that can be divided among several processes.
        spread_samples: whether they are divided in this search.
        derivation: how the architecture is derived; None leaves it to SEARCH.DERIVE.
        ledger: counts what has been spent.
        noise: signal and noise of alpha's gradient in this epoch.

    Raises:
        SearchError: the method can't search with `settings` and `mix`, see `check_settings`.
    """

    learns_policy = True
    spreads_samples = False
    derivation: str | None = None

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
        ledger: Ledger | None = None,
    ) -> None:
        self.check_settings(settings, mix=mix)
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
        self.ledger = ledger or Ledger()
        self.noise = GradientNoise()
        self.lagrangian = Lagrangian(budgets, settings.lagrangian_lr) if settings.cost_term == "lagrangian" else None
        self._noise_epoch = -1
        self.spread_samples = settings.spread == "samples"

    @classmethod
    def check_space(cls, space: SearchSpace) -> None:
        """Check that the method can search the space; without an override it can search any.

        Raises:
            SearchError: it can't.
        """

    @classmethod
    def check_settings(cls, settings: SearchSettings, *, mix: Mix | None = None) -> None:
        """Check that the method can search with these settings, before anything is built.

        Args:
            settings: of the search.
            mix: replaces the clips and labels that the weights learn from (mixup).

        Raises:
            SearchError: alpha learns, but in no epoch; or `settings.spread` is "samples" with a method without samples,
                with distillation or with `mix`.
        """
        if cls.learns_policy and settings.warmup_epochs >= settings.epochs:
            raise SearchError(
                f"SEARCH.WARMUP_EPOCHS: {settings.warmup_epochs} is outside [0, SEARCH.EPOCHS) = "
                f"[0, {settings.epochs}): alpha would never learn"
            )
        if settings.spread == "samples" and (not cls.spreads_samples or settings.distill or mix is not None):
            raise SearchError(
                "SEARCH.SPREAD: 'samples' goes with methods that draw samples, without SEARCH.DISTILL (each sample "
                "learns from the widest) and without MIXUP (each process would mix otherwise)"
            )

    def __call__(self, batches: Sequence[SearchBatch], loop: Position) -> Mapping[str, Tensor | float]:
        """Do one step, which a subclass must define.

        Args:
            batches: those that one update is accumulated over.
            loop: where the training stands.

        Returns:
            The values to log, by name.
        """
        raise NotImplementedError

    def policy_batches(self, batches: Sequence[SearchBatch]) -> list[Batch]:
        """Alpha's own batches.

        Raises:
            SearchError: one of the step's batches has none for alpha.
        """
        own = [batch.policy for batch in batches if batch.policy is not None]
        if len(own) < len(batches):
            raise SearchError("alpha has no batch of its own, and SEARCH.SHARED is False")
        return own

    def prepared(self, batches: Sequence[Batch], mix: Mix | None) -> list[Clips]:
        """The batches on the device, normalised and mixed: what all samples of the step are given."""
        number = sum(len(batch.label_B) for batch in batches)
        of_all = (1.0 if self.spread_samples else distributed.relative_share(number)) / number
        prepared = []
        for batch in batches:
            clip_BCTHW = self.runtime.prepare(batch.clip_BCTHW)
            target = batch.label_B.to(self.runtime.device, non_blocking=True)
            if mix is not None:
                clip_BCTHW, target = mix(clip_BCTHW, target)
            prepared.append(Clips(clip_BCTHW, target, len(target) * of_all))
        return prepared

    def move_weights(self) -> Tensor:
        """One step of the weights' optimiser along the gradients in `.grad`; returns their norm before clipping."""
        if self.spread_samples:
            distributed.sum_gradients(self.supernet.parameters())
        else:  # all processes ran the same architectures, so the same parameters have gradients
            distributed.average_gradients(self.supernet.parameters())
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(
            self.supernet.parameters(), max_norm=self.settings.clip_norm, max_value=self.settings.clip_value
        )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return norm

    def move_policy(self, descent: Tensor, loop: Position) -> None:
        """One step of alpha's optimiser, and one of the budgets' multipliers where there are any.

        Args:
            descent: the gradient of what alpha minimises, like `policy.alpha`.
            loop: where the training stands.
        """
        if loop.epoch != self._noise_epoch:
            self.noise, self._noise_epoch = GradientNoise(), loop.epoch
        self.noise.add(descent)
        self.policy.alpha.grad = descent
        self.policy_optimizer.step()
        self.policy.alpha.grad = None
        if self.lagrangian is not None:
            self.lagrangian.update(self.policy)

    def state_dict(self) -> dict[str, Any]:
        """The state of the sampling generator, the space that alpha belongs to, the counts and the multipliers."""
        state = {
            "generator": self.generator.get_state(),
            "space": space_text(self.supernet),
            "ledger": self.ledger.state_dict(),
            "noise": self.noise.state_dict(),
            "noise_epoch": self._noise_epoch,
        }
        return state if self.lagrangian is None else {**state, "lagrangian": self.lagrangian.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict()` returned; what a checkpoint of an earlier release lacks starts from zero."""
        self.generator.set_state(state["generator"].cpu())
        if "ledger" in state:
            self.ledger.load_state_dict(state["ledger"])
            self.noise.load_state_dict(state["noise"], length=self.policy.alpha.numel())
            self._noise_epoch = int(state["noise_epoch"])
        if self.lagrangian is not None and "lagrangian" in state:
            self.lagrangian.load_state_dict(state["lagrangian"])


def space_text(supernet: Supernet) -> str:
    """The space and the channel selection as one string, which must be equal for a search to be resumed."""
    return simplejson.dumps(
        {"space": space_to_dict(supernet.space), "selection": supernet.channel_selection}, sort_keys=True
    )


def check_finite(loss: float, architecture: Architecture, loop: Position, *, own: Tensor) -> None:
    """Check that the loss of a sample is finite.

    Args:
        loss: the mean over the processes, so that all of them raise or none does.
        architecture: the sample.
        loop: where the training stands, and which files it is reading.
        own: this process's loss, by which its files are blamed or not.

    Raises:
        SearchError: it is not; names the step, the sample and the files.
    """
    if not math.isfinite(loss):
        files = loop.files_at_fault(not math.isfinite(float(own)))
        raise SearchError(
            f"epoch {loop.epoch + 1}, step {loop.step_in_epoch + 1} of {loop.steps_per_epoch}: the loss of the sample "
            f"[{architecture.one_line()}] is {loss}{files}; the last checkpoint is intact (lower SOLVER.BASE_LR, or "
            "set SOLVER.CLIP_GRAD_L2NORM)"
        )
