"""Evolution over a trained supernet: which architecture within the budgets has the highest score with its weights?

Regularised evolution (Real et al., AAAI 2019), as on the table of networks, where a score takes the place of a
training. The first population is drawn from a policy: uniform after single-path training, as in SPOS (Guo et al., ECCV
2020), or what a search has learnt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.budget import Budgets
from pytorchvideo_autox3d.search.methods import new_child
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.space import Architecture

# Draws for one architecture within the budgets, before it is found otherwise.
_DRAWS = 256
_TRIES = 2000


@dataclass(frozen=True)
class Evolution:
    """How far to look.

    Args:
        networks: architectures scored (SEARCH.EVOLUTION_NETWORKS).
        population: of these, how many are alive (SEARCH.EVOLUTION_POPULATION).
        sample: how many of the living compete to be a parent.
        seed: of all draws.
    Raises:
        SearchError: a number is below 1.
    """

    networks: int = 200
    population: int = 40
    sample: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for key, value in (("EVOLUTION_NETWORKS", self.networks), ("EVOLUTION_POPULATION", self.population)):
            if value < 1:
                raise SearchError(f"SEARCH.{key}: {value} is below 1")


def evolve(
    policy: Policy, budgets: Budgets, score: Callable[[Architecture], float], settings: Evolution
) -> dict[Architecture, float]:
    """Scores of the architectures looked at, in that order, all within the budgets.

    Fewer than `settings.networks` where no others are found near those alive.

    Raises:
        SearchError: no architecture is within the budgets.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    scores: dict[Architecture, float] = {}
    alive: deque[Architecture] = deque(maxlen=settings.population)
    for architecture in first_population(policy, budgets, min(settings.population, settings.networks), generator):
        scores[architecture] = score(architecture)
        alive.append(architecture)

    def allowed(architecture: Architecture) -> bool:
        return architecture not in scores and budgets.allow(architecture)

    while len(scores) < settings.networks:
        chosen = torch.randint(len(alive), (min(settings.sample, len(alive)),), generator=generator).tolist()
        parent = max((alive[number] for number in chosen), key=scores.__getitem__)
        child = new_child(parent, allowed, generator, tries=_TRIES)
        if child is None:
            break
        scores[child] = score(child)
        alive.append(child)
    return scores


def first_population(policy: Policy, budgets: Budgets, count: int, generator: torch.Generator) -> list[Architecture]:
    """Distinct architectures within the budgets, drawn from the policy; fewer where there are fewer.

    Where the budgets leave next to nothing of what is drawn, the most probable within them under noisy logits are taken
    (Gumbel noise, whose maximum is a draw of the policy as long as every architecture is allowed).
    """
    found: dict[Architecture, None] = {}
    for architecture in policy.architectures(policy.sample_indices(_DRAWS * count, generator)):
        if len(found) == count:
            break
        if budgets.allow(architecture):
            found[architecture] = None
    tries = 0
    while len(found) < count and tries < 2 * count:
        found[_drawn_within(policy, budgets, generator)] = None
        tries += 1
    return list(found)


def _drawn_within(policy: Policy, budgets: Budgets, generator: torch.Generator) -> Architecture:
    noisy = Policy(space=policy.space)
    with torch.no_grad():
        uniform = torch.rand(policy.alpha.shape, generator=generator, dtype=torch.float64).clamp_min(1e-12)
        table_DM = policy.log_probability_table().cpu()
        flat = torch.cat([row[:size] for row, size in zip(table_DM, policy.sizes, strict=True)])
        noisy.alpha.copy_(flat - torch.log(-torch.log(uniform)))
    within = noisy.top(1, budgets.limits())
    if not within:
        raise SearchError(budgets.nothing_within())
    return within[0][0]
