"""The solver: what it minimises, that it is deterministic, and that the shipped reference is a solution."""

import dataclasses

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.models import reference_architecture
from pytorchvideo_autox3d.space import Architecture, load_space


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("solve_reference")


@pytest.fixture(scope="module")
def problem(script):
    return script.Problem(load_space("table2"))


def violations(problem, architecture):
    return int(problem.violations(np.array([architecture.indices]))[0])


def test_the_shipped_reference_is_a_solution(problem):
    reference = reference_architecture("S")
    indices = np.array([reference.indices])
    assert problem.worst_error(indices)[0] < 0.02
    assert violations(problem, reference) == 0


def test_worst_error_is_over_all_published_figures(script, problem):
    architecture = problem.space.sample(torch.Generator().manual_seed(1))
    errors = []
    for figure in script.PUBLISHED:
        cost = complexity(architecture, clip=figure.clip, depth_factor=figure.depth_factor)
        value = cost.macs / 1e9 if figure.quantity == "macs" else cost.params / 1e6
        errors.append(abs(value / figure.value - 1))
    assert problem.worst_error(np.array([architecture.indices]))[0] == pytest.approx(max(errors))


@pytest.mark.parametrize(
    ("change", "count"),
    [
        # 5x5^2 in one more group: used at all, and a second temporal 5 beside the reference's one.
        ({0: {"kernel": (5, 5)}}, 2),
        # Stage 2's first expansion no longer the highest.
        ({3: {"expansion": 6.0}}, 1),
        # Stage 1's first expansion the highest.
        ({0: {"expansion": 6.0}}, 1),
        # A single GloRe block where two to four are asked for.
        ({1: {"attention": "none"}}, 1),
    ],
)
def test_statements_about_figure_5_are_counted(problem, change, count):
    groups = list(reference_architecture("S").groups)
    for number, values in change.items():
        groups[number] = dataclasses.replace(groups[number], **values)
    assert violations(problem, Architecture(groups)) == count


def test_deterministic_by_seed_and_improving(script, problem):
    def run(steps):
        generator = torch.Generator().manual_seed(5)
        return script.solve(problem, chains=64, steps=steps, generator=generator)

    def energy(architecture):
        indices = np.array([architecture.indices])
        return float(problem.worst_error(indices)[0] + problem.violations(indices)[0])

    assert run(30) == run(30)
    assert energy(run(60)) < energy(run(1))


def test_the_printed_table_has_every_figure(script):
    lines = script.figures_table(reference_architecture("S")).splitlines()
    assert len(lines) == 1 + 7
    assert lines[1].split()[:4] == ["AutoX3D-S", "13", "x", "160^2"]
