"""The distribution that a search learns: independent categoricals, one for every decision of a space.

Shapes: D decisions, M the most candidates of a decision, K samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pytorchvideo_autox3d.search.most_probable import Limit, most_probable
from pytorchvideo_autox3d.space import Architecture, SearchSpace


class Policy(nn.Module):
    """P(A | alpha), the paper's NAS head: the product over decisions of softmax(alpha_d) (paper, section 4.1).

    The parameter `alpha` holds the logits of all decisions one after another. It begins at zero, which makes the
    distribution uniform.

    Args:
        space: gives the decisions and their order.
    """

    valid_DM: torch.Tensor
    position_DM: torch.Tensor

    def __init__(self, *, space: SearchSpace) -> None:
        super().__init__()
        self.space = space
        self.sizes = tuple(len(decision.candidates) for decision in space.decisions)
        self.alpha = nn.Parameter(torch.zeros(sum(self.sizes)))
        # Decisions differ in their number of candidates: a padded table makes everything below one tensor operation.
        starts = torch.tensor([0, *self.sizes]).cumsum(0)[:-1]
        column = torch.arange(max(self.sizes))
        valid = column < torch.tensor(self.sizes)[:, None]
        self.register_buffer("valid_DM", valid, persistent=False)
        self.register_buffer(
            "position_DM", torch.where(valid, starts[:, None] + column, torch.zeros_like(column)), persistent=False
        )

    def log_probability_table(self) -> torch.Tensor:
        """Log-probability of every candidate of every decision: (D, M), -inf where a decision has fewer than M."""
        logits_DM = self.alpha[self.position_DM].masked_fill(~self.valid_DM, -torch.inf)
        return torch.log_softmax(logits_DM, dim=1)

    def probabilities(self) -> tuple[torch.Tensor, ...]:
        """For each decision, the probabilities of its candidates, detached and on the CPU."""
        table_DM = self.log_probability_table().detach().exp().cpu()
        return tuple(row[:size] for row, size in zip(table_DM, self.sizes, strict=True))

    def log_probabilities(self, indices_KD: torch.Tensor) -> torch.Tensor:
        """log P(A_k | alpha) of architectures given as candidate indices, int64 (K, D); differentiable: (K,)."""
        table_DM = self.log_probability_table()
        return table_DM.gather(1, indices_KD.to(table_DM.device).T).sum(dim=0)

    def log_probability(self, architecture: Architecture) -> torch.Tensor:
        """log P(A | alpha) of one architecture, a scalar; differentiable."""
        return self.log_probabilities(torch.tensor([architecture.indices]))[0]

    def sample_indices(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw architectures independently.

        Args:
            count: K, how many.
            generator: on the CPU, so that every process of a job and every device draws the same.

        Returns:
            Candidate indices, int64 (K, D), on the CPU.
        """
        table_DM = self.log_probability_table().detach().double().exp().cpu()
        return torch.multinomial(table_DM, count, replacement=True, generator=generator).T.contiguous()

    def sample(self, generator: torch.Generator) -> Architecture:
        """Draw one architecture."""
        return self.architectures(self.sample_indices(1, generator))[0]

    def architectures(self, indices_KD: torch.Tensor) -> list[Architecture]:
        """The architectures of candidate indices, int64 (K, D)."""
        return [Architecture.from_indices(self.space, row) for row in indices_KD.tolist()]

    def entropies(self) -> torch.Tensor:
        """Entropy of every decision in nats; differentiable: (D,)."""
        log_table_DM = self.log_probability_table()
        finite_DM = log_table_DM.masked_fill(~self.valid_DM, 0.0)
        return -(log_table_DM.exp() * finite_DM).sum(dim=1)

    def entropy(self) -> torch.Tensor:
        """Entropy of the whole distribution in nats, a scalar; log(space.size) when uniform."""
        return self.entropies().sum()

    def most_likely(self) -> Architecture:
        """The most probable architecture; among equally probable candidates of a decision, the first."""
        return Architecture.from_indices(self.space, self.log_probability_table().argmax(dim=1).tolist())

    def top(self, count: int, limits: Sequence[Limit] = ()) -> list[tuple[Architecture, float]]:
        """The `count` most probable architectures within limits on costs, found exactly.

        Returns:
            Architectures and their log-probabilities in nats, the most probable first; fewer where no more are within
            the limits.

        Raises:
            SearchError: as in `most_probable`.
        """
        table_DM = self.log_probability_table().detach().double().cpu().numpy()
        rows = [row[:size] for row, size in zip(table_DM, self.sizes, strict=True)]
        found = most_probable(rows, limits, count)
        return [(Architecture.from_indices(self.space, path), value) for path, value in found]
