"""Evolution over a trained supernet: it looks for the architecture of the highest score within the budgets.

It is regularised evolution (Real et al., AAAI 2019), as `search.standalone_methods` has it, but where that trains a
network, this scores it with the supernet's weights; or NSGA-II (`search.nsga2`). The first population is drawn from a
policy: the uniform one after single-path training, as in SPOS (Guo et al., ECCV 2020), or the one that a search has
learnt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.budget import Budgets
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.search.standalone_methods import new_child
from pytorchvideo_autox3d.space import Architecture

# Draws for one architecture of the first population, before one within the budgets is found in another way.
_DRAWS = 256
_TRIES = 2000
ALGORITHMS = ("regularised", "nsga2")


@dataclass(frozen=True)
class Evolution:
    """The extent of an evolution.

    Args:
        networks: how many architectures are scored (SEARCH.EVOLUTION_NETWORKS).
        population: how many of them are alive at once, the latest ones (SEARCH.EVOLUTION_POPULATION).
        sample: how many of the living are drawn at random; the best of them becomes the parent.
        seed: of all draws.
        algorithm: "regularised", or "nsga2", which keeps networks that are cheaper too (SEARCH.EVOLUTION_ALGORITHM).

    Raises:
        SearchError: `networks` or `population` is below 1, an unknown algorithm, or NSGA-II without pymoo.
    """

    networks: int = 200
    population: int = 40
    sample: int = 10
    seed: int = 0
    algorithm: str = "regularised"

    def __post_init__(self) -> None:
        for key, value in (("EVOLUTION_NETWORKS", self.networks), ("EVOLUTION_POPULATION", self.population)):
            if value < 1:
                raise SearchError(f"SEARCH.{key}: {value} is below 1")
        if self.algorithm not in ALGORITHMS:
            raise SearchError(f"SEARCH.EVOLUTION_ALGORITHM: {self.algorithm!r} is none of {', '.join(ALGORITHMS)}")
        if self.algorithm == "nsga2" and find_spec("pymoo") is None:
            raise SearchError(
                "SEARCH.EVOLUTION_ALGORITHM: 'nsga2' needs pymoo: pip install 'pytorchvideo_autox3d[nsga2]'"
            )


def evolve(
    policy: Policy,
    budgets: Budgets,
    score: Callable[[Architecture], float],
    settings: Evolution,
    *,
    floor: float = 0.0,
) -> dict[Architecture, float]:
    """Score architectures within the budgets by regularised evolution or by NSGA-II.

    Args:
        policy: draws the first population.
        budgets: what every architecture must meet.
        score: gives the score of an architecture; higher is better.
        settings: the extent.
        floor: the share of each target that every architecture must spend at least; 0 is no lower limit.

    Returns:
        The score of every architecture looked at, in the order in which they were. There are fewer than
        `settings.networks` where no further ones are found near those alive.

    Raises:
        SearchError: no architecture is within the budgets, or none of these spends `floor` of each.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    first = first_population(policy, budgets, min(settings.population, settings.networks), generator, floor=floor)
    if settings.algorithm == "nsga2":
        from pytorchvideo_autox3d.search.nsga2 import evolve_fronts  # pymoo is an extra

        return evolve_fronts(first, budgets, score, networks=settings.networks, seed=settings.seed, floor=floor)
    scores: dict[Architecture, float] = {}
    alive: deque[Architecture] = deque(maxlen=settings.population)
    for architecture in first:
        scores[architecture] = score(architecture)
        alive.append(architecture)

    def allowed(architecture: Architecture) -> bool:
        return architecture not in scores and budgets.allow(architecture, floor)

    while len(scores) < settings.networks:
        chosen = torch.randint(len(alive), (min(settings.sample, len(alive)),), generator=generator).tolist()
        parent = max((alive[number] for number in chosen), key=scores.__getitem__)
        child = new_child(parent, allowed, generator, tries=_TRIES)
        if child is None:
            break
        scores[child] = score(child)
        alive.append(child)
    return scores


def first_population(
    policy: Policy, budgets: Budgets, count: int, generator: torch.Generator, *, floor: float = 0.0
) -> list[Architecture]:
    """`count` distinct architectures within the budgets, drawn from the policy; fewer where there are no more.

    Each spends at least the share `floor` of every target. Where almost none of the draws does what it must, the most
    probable architectures that do under noisy logits take their place. The noise is Gumbel noise: if every architecture
    were allowed, the most probable one under it would be an exact draw of the policy.

    Raises:
        SearchError: no architecture is within the budgets, or none of these spends `floor` of each.
    """
    found: dict[Architecture, None] = {}
    for architecture in policy.architectures(policy.sample_indices(_DRAWS * count, generator)):
        if len(found) == count:
            break
        if budgets.allow(architecture, floor):
            found[architecture] = None
    tries = 0
    while len(found) < count and tries < 2 * count:
        found[_drawn_within(policy, budgets, generator, floor)] = None
        tries += 1
    return list(found)


def _drawn_within(policy: Policy, budgets: Budgets, generator: torch.Generator, floor: float) -> Architecture:
    noisy = Policy(space=policy.space)
    with torch.no_grad():
        uniform = torch.rand(policy.alpha.shape, generator=generator, dtype=torch.float64).clamp_min(1e-12)
        table_DM = policy.log_probability_table().cpu()
        flat = torch.cat([row[:size] for row, size in zip(table_DM, policy.sizes, strict=True)])
        noisy.alpha.copy_(flat - torch.log(-torch.log(uniform)))
    within = noisy.top(1, budgets.limits(floor))
    if not within:
        raise SearchError(budgets.nothing_within())
    return within[0][0]
