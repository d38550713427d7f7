"""Searches that train networks one at a time, behind one interface that counts the cost of each in the same way.

A method is a generator: it yields a request (train this network up to that epoch) and is sent the validation accuracy.
`run_method` answers the requests from any trainer (a table of trained networks, or a machine), adds up the costs, and
stops the method at the first request that would exceed the limit. So no method can see a test accuracy, train a network
above the budget or leave out the cost of a training.
"""

from __future__ import annotations

import inspect
import math
import reprlib
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Protocol

import torch

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.space import Architecture, SearchSpace

# Requests that cost no multiply-adds, which no limit ends: how many in a row a method may make, and how many for each
# candidate and epoch where that is more.
_FREE_REQUESTS, _FREE_LOOKS = 1000, 10


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
    """What a method did.

    Attributes:
        trials: its trainings, in order.
        spent: all that it spent.
        method: its name.
        end: why it came to its end, for messages.
    """

    trials: list[Trial] = field(default_factory=list)
    spent: Cost = Cost()
    method: str = ""
    end: str = "it asked for none"

    def best(self) -> Trial:
        """The trial of the highest validation accuracy among those trained longest.

        Raises:
            SearchError: there is no trial; names the method and says why.
        """
        if not self.trials:
            raise SearchError(f"method {self.method!r} trained no network: {self.end}")
        return max(self.trials, key=lambda trial: (trial.epoch, trial.accuracy))


Method = Callable[[Problem, torch.Generator], Requests]


def find_method(name: str) -> Method:
    """The method registered as `name`.

    Raises:
        RegistryError: there is none.
        SearchError: it needs a supernet, or can't be called with a problem and a generator.
    """
    method = SEARCH_REGISTRY.get(name)
    if isinstance(method, type):
        raise SearchError(f"method {name!r} trains a supernet, and there is none: run it with `autox3d run`")
    try:
        inspect.signature(method).bind(None, None)
    except TypeError as error:
        raise SearchError(f"method {name!r} can't be called with (problem, generator): {error}") from error
    return method


def run_method(name: str, problem: Problem, trainer: Trainer, *, most_macs: float, seed: int) -> MethodRun:
    """Run a registered method until it ends or its next request would take it above `most_macs` multiply-adds.

    Args:
        name: of the method in the SEARCH registry.
        problem: what the method may know.
        trainer: answers the method's requests.
        most_macs: the limit on multiply-adds of all trainings and of what the method computes itself.
        seed: of the method's random draws.

    Raises:
        RegistryError: no method of this name.
        SearchError: the method needs a supernet, no network is within the budget, or `most_macs` is no number from 0;
            or the method is no generator, asks for what it may not, or goes on without end. Names the method.
    """
    method = find_method(name)
    if not problem.candidates:
        raise SearchError("the budget is below the cheapest network: there is no candidate")
    if not most_macs >= 0:
        raise SearchError(f"method {name!r}: the limit is {most_macs} multiply-adds, expected 0 or more")
    run = MethodRun(method=name)
    candidates, trained, free = frozenset(problem.candidates), dict[Architecture, int](), 0
    most_free = max(_FREE_REQUESTS, _FREE_LOOKS * len(candidates) * len(problem.epochs))
    requests = method(problem, torch.Generator().manual_seed(seed))
    if not isinstance(requests, Generator):
        raise SearchError(f"method {name!r} gave {reprlib.repr(requests)}, expected a generator that yields Train")
    answer: float | None = None
    while True:
        try:
            request = requests.send(answer) if answer is not None else next(requests)
        except StopIteration:
            return run
        _check_request(name, request, candidates, problem.epochs)
        cost = request.cost if isinstance(request, Spent) else _training_cost(trainer, request, trained)
        if run.spent.macs + cost.macs > most_macs:
            _stop(name, requests)
            what = "what it computed itself" if isinstance(request, Spent) else "its next training"
            run.end = f"{what} would take it above the limit of {most_macs:.4g} multiply-adds"
            return run
        run.spent += cost
        free = 0 if cost.macs > 0 else free + 1
        if free > most_free:
            raise SearchError(f"method {name!r} made {free} requests in a row that cost nothing: it would never end")
        answer = None
        if isinstance(request, Train):
            trained[request.architecture] = max(request.epoch, trained.get(request.architecture, 0))
            answer = trainer.validate(request.architecture, request.epoch)
            run.trials.append(Trial(request.architecture, request.epoch, answer, run.spent))


def _check_request(name: str, request: object, candidates: Collection[Architecture], epochs: Sequence[int]) -> None:
    """Check what a method yielded; `SearchError` names the method."""
    if isinstance(request, Spent):
        cost = request.cost
        parts = (cost.macs, cost.seconds) if isinstance(cost, Cost) else (None,)
        if not all(isinstance(part, Real) and 0 <= part < math.inf for part in parts):
            raise SearchError(f"method {name!r} spent {cost!r}, expected a Cost of finite numbers, 0 or more")
    elif not isinstance(request, Train):
        raise SearchError(f"method {name!r} yielded {reprlib.repr(request)}, expected Train or Spent")
    elif not isinstance(request.architecture, Architecture) or request.architecture not in candidates:
        what = reprlib.repr(request.architecture)
        raise SearchError(f"method {name!r} asked to train {what}, which is not one of the problem's candidates")
    elif request.epoch not in epochs:
        listed = ", ".join(map(str, epochs))
        raise SearchError(f"method {name!r} asked for epoch {request.epoch!r}, expected one of {listed}")


def _training_cost(trainer: Trainer, request: Train, trained: dict[Architecture, int]) -> Cost:
    """What is left to pay for a training; nothing where the network was trained as far before."""
    first = trained.get(request.architecture, 0)
    return Cost(*trainer.cost(request.architecture, first, request.epoch)) if request.epoch > first else Cost()


def _stop(name: str, requests: Requests) -> None:
    """End a method as `close` does, whose RuntimeError for one that goes on could be the method's own."""
    try:
        requests.throw(GeneratorExit)
    except (GeneratorExit, StopIteration):
        return
    raise SearchError(f"method {name!r} goes on after it is stopped: it must not catch GeneratorExit")
