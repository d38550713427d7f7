"""A DARTS-style search: alpha weights all candidates of a mixture, and learns by plain gradient descent.

First-order DARTS (Liu et al., ICLR 2019, section 2.3). It needs no sampling, so that alpha's gradient has no noise but
that of the batch; each step runs every candidate of every group, and holds all their maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.protocols import Batch, Position
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search.batch_statistics import batch_statistics
from pytorchvideo_autox3d.search.lagrangian import relative_excess
from pytorchvideo_autox3d.search.supernet_step import Clips, SearchBatch, SupernetSearch, check_finite
from pytorchvideo_autox3d.space import Architecture, SearchSpace
from pytorchvideo_autox3d.supernet.mixture import mixture_logits

# All candidates of a group run at once, each holding its maps.
MOST_CANDIDATES = 64


@SEARCH_REGISTRY.register(name="darts")
class DartsSearch(SupernetSearch):
    """The step of a DARTS-style search; arguments as in `SupernetSearch`.

    In a group's mixture, each candidate is weighted by the product of its four decisions' probabilities. After the
    warm-up each step first moves alpha along the gradient of the loss plus the cost term of the policy's expected
    cost, on alpha's own half of the data (with `settings.shared`, on the weights' half). Then it moves the weights on
    theirs. There are no samples, so the settings of samples, likelihood and temperature are not read.
    """

    @classmethod
    def check_space(cls, space: SearchSpace) -> None:
        """Check that all candidates of every group can run at once.

        Raises:
            SearchError: a group has more than `MOST_CANDIDATES` candidates.
        """
        for number, group in enumerate(space.groups, start=1):
            parts = (group.kernels, group.channels, group.expansions, group.attentions)
            count = 1
            for part in parts:
                count *= len(part)
            if count > MOST_CANDIDATES:
                raise SearchError(
                    f"SEARCH.METHOD: darts runs all {count} candidates of group {number} of space {space.name!r} at "
                    f"once, and {MOST_CANDIDATES} are the most; take parsec"
                )

    def __call__(self, batches: Sequence[SearchBatch], loop: Position) -> Mapping[str, Tensor | float]:
        """One step: alpha (after the warm-up), then the weights.

        Returns:
            loss of the mixture, grad_norm, and after the warm-up policy_loss (alpha's, before its update).

        Raises:
            SearchError: a loss is not finite, or alpha has no batch of its own.
        """
        scalars: dict[str, Tensor | float] = {}
        if loop.epoch >= self.settings.warmup_epochs:
            own = [batch.weights for batch in batches] if self.settings.shared else self.policy_batches(batches)
            scalars["policy_loss"] = self._policy_step(own, loop)
        loss, norm = self._weight_step([batch.weights for batch in batches], loop)
        return {"loss": loss, "grad_norm": norm, **scalars}

    def _weight_step(self, batches: Sequence[Batch], loop: Position) -> tuple[float, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.runtime.device)
        weights = [weight.detach() for weight in self._weights()]
        for clips in self.prepared(batches, self.mix):
            loss = self._loss(clips, weights)
            self.scaler.scale(loss).backward()
            total += loss.detach()
        return self._agreed(total, loop), self.move_weights()

    def _policy_step(self, batches: Sequence[Batch], loop: Position) -> float:
        """One update of alpha, with batch norm by the batch and no dropout; returns the mean loss."""
        total = torch.zeros((), device=self.runtime.device)
        descent = torch.zeros_like(self.policy.alpha)
        with batch_statistics(self.supernet), torch.enable_grad():
            for clips in self.prepared(batches, None):
                loss = self._loss(clips, self._weights())
                (gradient,) = torch.autograd.grad(self.scaler.scale(loss), [self.policy.alpha])
                descent += gradient / self.scaler.get_scale()
                total += loss.detach()
        cost = self._cost()
        if cost.requires_grad:
            descent += torch.autograd.grad(cost, [self.policy.alpha])[0]
        loss_of_all = self._agreed(total, loop)
        self.move_policy(distributed.all_reduce_mean(descent), loop)
        return loss_of_all

    def _weights(self) -> list[Tensor]:
        """The weight of each candidate of each group: one tensor (K, C, E, A) for each group, which sums to 1."""
        table_DM = self.policy.log_probability_table().exp()
        rows = [row[:size] for row, size in zip(table_DM, self.policy.sizes, strict=True)]
        groups = [rows[first : first + 4] for first in range(0, len(rows), 4)]
        return [torch.einsum("k,c,e,a->kcea", *group) for group in groups]

    def _loss(self, clips: Clips, weights: Sequence[Tensor]) -> Tensor:
        with self.runtime.autocast():
            logits_BN = mixture_logits(self.supernet, clips.clip_BCTHW, weights)
            loss: Tensor = self.loss(logits_BN, clips.target) * clips.share
        self.ledger.add(self._macs, len(clips.target) * distributed.world_size(), gradient=True)
        return loss

    @property
    def _macs(self) -> float:
        """Multiply-adds of one clip through the mixture: every candidate of each group runs, on the widest map."""
        cost = self.budgets.additive("gflops")
        widths = [0, *(spec.channels.index(max(spec.channels)) for spec in self.supernet.space.groups)]
        groups = sum(group[width].sum() for group, width in zip(cost.groups, widths, strict=False))
        return float(cost.fixed + groups + cost.head[widths[-1]])

    def _cost(self) -> Tensor:
        """What the budgets add to alpha's loss, computed from the policy's expected cost."""
        terms = []
        for number, (budget, excess) in enumerate(
            zip(self.budgets.budgets, relative_excess(self.policy, self.budgets), strict=True)
        ):
            if self.lagrangian is None:
                terms.append(budget.weight * nn.functional.relu(excess))
            else:
                terms.append(self.lagrangian.multipliers[number] * excess + budget.weight * excess.square() / 2)
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def _agreed(self, loss: Tensor, loop: Position) -> float:
        value = float(distributed.all_reduce_mean(loss))
        check_finite(value, Architecture.widest(self.supernet.space), loop, own=loss)
        return value
