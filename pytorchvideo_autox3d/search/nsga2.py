"""NSGA-II (Deb et al., 2002) over a trained supernet, by pymoo: a high score and a low cost are wanted at once.

Shapes: P architectures of a generation, D decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.problems.static import StaticProblem

from pytorchvideo_autox3d.search.budget import Budgets
from pytorchvideo_autox3d.space import Architecture

# Generations in a row without an architecture that was not scored before, after which there is nothing left to find.
_IDLE_GENERATIONS = 100
# What is not within the budgets is worse than what is, by however little.
_LEAST_EXCESS = 1e-12


class _Redraw(Mutation):
    """Each decision anew with a chance that changes one in the mean: candidates have no order to step along."""

    def _do(
        self, problem: Problem, X: np.ndarray, *, random_state: np.random.Generator, **options: object
    ) -> np.ndarray:
        open_D = problem.xu > problem.xl
        anew_PD = random_state.random(X.shape) < 1.0 / max(1, open_D.sum())
        return np.where(anew_PD, random_state.integers(problem.xl, problem.xu + 1, X.shape), X)


def evolve_fronts(
    first: Sequence[Architecture],
    budgets: Budgets,
    score: Callable[[Architecture], float],
    *,
    networks: int,
    seed: int,
    floor: float = 0.0,
) -> dict[Architecture, float]:
    """Score architectures within the budgets by NSGA-II.

    The objectives are the score and the cost that the first budget is on, multiply-adds where there is none; what is
    not within the budgets ranks behind all that is and is not scored.

    Args:
        first: the first population, all within the budgets; later ones are as large.
        budgets: what every architecture that is scored must meet.
        score: gives the score of an architecture; higher is better.
        networks: how many are scored.
        seed: of crossover, mutation and selection.
        floor: the share of each target that every architecture must spend at least.

    Returns:
        The score of every architecture that was scored, in the order in which they were; fewer than `networks` where
        no further ones are found.
    """
    space = first[0].space
    metric = budgets.budgets[0].metric if budgets.budgets else "gflops"
    last_D = np.array([len(decision.candidates) - 1 for decision in space.decisions])
    problem = Problem(n_var=len(last_D), n_obj=2, n_ieq_constr=1, xl=np.zeros_like(last_D), xu=last_D, vtype=int)
    algorithm = NSGA2(
        pop_size=len(first), sampling=np.array([one.indices for one in first]), crossover=UniformCrossover(),
        mutation=_Redraw(), eliminate_duplicates=True,
    )  # fmt: skip
    algorithm.setup(problem, termination=NoTermination(), seed=seed)
    scores: dict[Architecture, float] = {}
    idle = 0
    while idle < _IDLE_GENERATIONS:
        generation = algorithm.ask()
        if generation is None or not len(generation):
            break
        objectives, excess = [], []
        before = len(scores)
        for row in generation.get("X"):
            architecture = Architecture.from_indices(space, [int(index) for index in row])
            excess.append(_excess(architecture, budgets, floor))
            if not excess[-1] and architecture not in scores:
                if len(scores) == networks:
                    return scores
                scores[architecture] = score(architecture)
            objectives.append((-scores.get(architecture, 0.0), budgets.cost_of(architecture)[metric]))
        idle = idle + 1 if len(scores) == before else 0
        static = StaticProblem(problem, F=np.array(objectives), G=np.array(excess)[:, None])
        Evaluator().eval(static, generation)
        algorithm.tell(infills=generation)
    return scores


def _excess(architecture: Architecture, budgets: Budgets, floor: float) -> float:
    """By which share of a target an architecture is above it or below the floor; 0 where it is allowed."""
    if budgets.allow(architecture, floor):
        return 0.0
    shares = [check.cost / check.target for check in budgets.checks(architecture)]
    return max(_LEAST_EXCESS, *(max(share - 1.0, floor - share) for share in shares))
