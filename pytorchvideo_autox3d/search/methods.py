"""Searches that train networks one at a time, behind one interface that counts the cost of each in the same way.

A method is a generator: it yields a request (train this network up to that epoch) and is sent the validation accuracy.
`run_method` answers the requests from any trainer (a table of trained networks, or a machine), adds up the costs, and
stops the method when the next training would exceed the limit. So no method can see a test accuracy or leave out a
cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.space import Architecture, SearchSpace


@dataclass(frozen=True)
class Cost:
    """What was spent: multiply-adds (a training step counts as three forward passes), and CPU seconds."""

    macs: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.seconds + other.seconds)


@dataclass(frozen=True)
class Train:
    """A method's request to train a network up to the end of `epoch`: from scratch, or on from where it was left."""

    architecture: Architecture
    epoch: int


@dataclass(frozen=True)
class Spent:
    """A method's report of what it computed itself."""

    cost: Cost


Requests = Generator[Train | Spent, float, None]


@dataclass(frozen=True)
class Problem:
    """What a method may know before it trains anything.

    Attributes:
        space: which the candidates are of.
        candidates: the networks within the budget.
        epochs: the epochs after which a network's accuracy can be asked for, ascending; the last ends a whole training.
        clip: the clip size (T, H, W), for scores that need no training.
        num_classes: of the networks' head.
    """

    space: SearchSpace
    candidates: Sequence[Architecture]
    epochs: Sequence[int]
    clip: tuple[int, int, int]
    num_classes: int


class Trainer(Protocol):
    """The interface of what trains networks, or has the record of their trainings."""

    def cost(self, architecture: Architecture, first_epoch: int, last_epoch: int) -> tuple[float, float]:
        """Multiply-adds and CPU seconds of training from the end of one epoch (0: from scratch) to that of another."""

    def validate(self, architecture: Architecture, epoch: int) -> float:
        """Validation accuracy after `epoch` epochs, in percent."""


@dataclass(frozen=True)
class Trial:
    """One training that a method asked for.

    Attributes:
        architecture, epoch: as in the request.
        accuracy: on the validation videos, in percent.
        spent: all that the method had spent when this training was done.
    """

    architecture: Architecture
    epoch: int
    accuracy: float
    spent: Cost


@dataclass
class MethodRun:
    """What a method did: its trainings in order, and all that it spent."""

    trials: list[Trial] = field(default_factory=list)
    spent: Cost = Cost()

    def best(self) -> Trial:
        """The trial of the highest validation accuracy among those trained longest.

        Raises:
            SearchError: there is no trial.
        """
        if not self.trials:
            raise SearchError("the method trained no network: the cost limit is below one training")
        return max(self.trials, key=lambda trial: (trial.epoch, trial.accuracy))


Method = Callable[[Problem, torch.Generator], Requests]


def run_method(name: str, problem: Problem, trainer: Trainer, *, most_macs: float, seed: int) -> MethodRun:
    """Run a registered method until it ends or its next training would take it above `most_macs` multiply-adds.

    Args:
        name: of the method in the SEARCH registry.
        problem: what the method may know.
        trainer: answers the method's requests.
        most_macs: the limit on multiply-adds of all trainings and of what the method computes itself.
        seed: of the method's random draws.

    Raises:
        RegistryError: no method of this name.
        SearchError: the method needs a supernet, or no network is within the budget.
    """
    method = SEARCH_REGISTRY.get(name)
    if isinstance(method, type):
        raise SearchError(f"method {name!r} trains a supernet, and there is none: run it with `autox3d run`")
    if not problem.candidates:
        raise SearchError("the budget is below the cheapest network: there is no candidate")
    run = MethodRun()
    trained: dict[Architecture, int] = {}
    requests = method(problem, torch.Generator().manual_seed(seed))
    answer: float | None = None
    while True:
        try:
            request = requests.send(answer) if answer is not None else next(requests)
        except StopIteration:
            return run
        answer = None
        if isinstance(request, Spent):
            run.spent += request.cost
            continue
        first = trained.get(request.architecture, 0)
        if request.epoch > first:
            cost = Cost(*trainer.cost(request.architecture, first, request.epoch))
            if run.spent.macs + cost.macs > most_macs:
                requests.close()
                return run
            run.spent += cost
            trained[request.architecture] = request.epoch
        answer = trainer.validate(request.architecture, request.epoch)
        run.trials.append(Trial(request.architecture, request.epoch, answer, run.spent))


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
