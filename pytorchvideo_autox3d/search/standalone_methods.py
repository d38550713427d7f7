"""Methods that choose networks by training them one at a time: random search, evolution, successive halving."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search.methods import Problem, Requests, Train
from pytorchvideo_autox3d.space import Architecture


@SEARCH_REGISTRY.register(name="random")
def random_search(problem: Problem, generator: torch.Generator) -> Requests:
    """Random search: whole trainings of candidates, in a random order and each once."""
    for number in torch.randperm(len(problem.candidates), generator=generator).tolist():
        yield Train(problem.candidates[number], problem.epochs[-1])


@SEARCH_REGISTRY.register(name="evolution")
def evolution(problem: Problem, generator: torch.Generator, *, population: int = 10, sample: int = 5) -> Requests:
    """Regularised evolution (Real et al., AAAI 2019).

    The best of a random sample of the population becomes the parent; the child differs in one decision, and replaces
    the oldest of the population. A child that was trained before or exceeds the budget is drawn again, so that no cost
    is wasted. The paper's population of 100 and sample of 25 are for runs of 20000 trainings.
    """
    order = torch.randperm(len(problem.candidates), generator=generator).tolist()
    alive: list[tuple[Architecture, float]] = []
    scores: dict[Architecture, float] = {}
    for number in order[:population]:
        scores[problem.candidates[number]] = yield Train(problem.candidates[number], problem.epochs[-1])
        alive.append((problem.candidates[number], scores[problem.candidates[number]]))
    open_candidates = set(problem.candidates) - scores.keys()
    while open_candidates:
        chosen = torch.randint(len(alive), (min(sample, len(alive)),), generator=generator).tolist()
        parent = max((alive[number] for number in chosen), key=lambda one: one[1])[0]
        child = new_child(parent, open_candidates.__contains__, generator)
        assert child is not None, "every candidate is within reach of a walk without end"
        open_candidates.remove(child)
        scores[child] = yield Train(child, problem.epochs[-1])
        alive = [*alive[1:], (child, scores[child])]


def new_child(
    parent: Architecture,
    allowed: Callable[[Architecture], bool],
    generator: torch.Generator,
    *,
    tries: int | None = None,
) -> Architecture | None:
    """A random allowed architecture near `parent`.

    The first 20 draws change one decision, the next 20 up to two, and so on.

    Args:
        parent: where to start.
        allowed: whether an architecture may be the child.
        generator: of the draws.
        tries: how many architectures are drawn at most; None is as many as it takes.

    Returns:
        The child; None where no draw was allowed, or no decision has a second candidate.
    """
    space = parent.space
    sizes = [len(decision.candidates) for decision in space.decisions]
    open_decisions = [place for place, size in enumerate(sizes) if size > 1]
    indices = list(parent.indices)
    tried = 0
    while open_decisions and (tries is None or tried < tries):
        # Neighbours that are all trained or too dear must not trap it: after some tries the walk goes further away.
        child = list(indices)
        for _ in range(1 + tried // 20):
            place = open_decisions[int(torch.randint(len(open_decisions), (1,), generator=generator))]
            step = 1 + int(torch.randint(sizes[place] - 1, (1,), generator=generator))
            child[place] = (child[place] + step) % sizes[place]
        architecture = Architecture.from_indices(space, child)
        if allowed(architecture):
            return architecture
        tried += 1
    return None


@SEARCH_REGISTRY.register(name="successive_halving")
def successive_halving(problem: Problem, generator: torch.Generator, *, width: int = 16, factor: int = 2) -> Requests:
    """Successive halving (Jamieson and Talwalkar, AISTATS 2016) in brackets of `width` candidates.

    All candidates of a bracket are trained up to the first rung. The best 1 / `factor` of them are trained on for
    about `factor` times as many epochs, and so on, until some have had the whole training; the next bracket takes
    other candidates. The rungs stand at whole, whole / `factor`, whole / `factor`^2 and so on, each moved up to the
    next epoch whose accuracy can be asked for.
    """
    whole = problem.epochs[-1]
    wanted = [whole / factor**rung for rung in range(1 + round(math.log(whole, factor)))]
    epochs = sorted({min(epoch for epoch in problem.epochs if epoch >= least) for least in wanted})
    order = torch.randperm(len(problem.candidates), generator=generator).tolist()
    for start in range(0, len(order), width):
        alive = [problem.candidates[number] for number in order[start : start + width]]
        for rung, epoch in enumerate(epochs):
            scores = []
            for architecture in alive:
                scores.append((yield Train(architecture, epoch)))
            if rung + 1 < len(epochs):
                best = sorted(range(len(alive)), key=lambda number: -scores[number])
                alive = [alive[number] for number in best[: max(1, len(alive) // factor)]]
