import itertools
import math

import pytest
import torch

from pytorchvideo_autox3d.search import Policy
from pytorchvideo_autox3d.space import GroupSpec, SearchSpace, load_space


@pytest.fixture
def space() -> SearchSpace:
    """3 * 2 * 2 * 1 * 1 * 2 * 1 * 2 = 48 architectures; decisions of one, two and three candidates."""
    groups = (
        GroupSpec(((4, 8, 12)), ((1, 3), (3, 3)), (1.5, 2.0), ("none",), blocks=1, stride=2),
        GroupSpec((8, 16), ((3, 3),), (2.0,), ("none", "glore"), blocks=2),
    )
    return SearchSpace("small", groups)


@pytest.fixture
def policy(space) -> Policy:
    policy = Policy(space=space)
    with torch.no_grad():
        policy.alpha.copy_(torch.randn(policy.alpha.shape, generator=torch.Generator().manual_seed(3)))
    return policy


def all_indices(space: SearchSpace) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(len(decision.candidates)) for decision in space.decisions)))


def reference_log_probability(policy: Policy, indices: tuple[int, ...]) -> float:
    """By the definition, in plain Python: the product of softmaxes."""
    alpha, total, start = policy.alpha.tolist(), 0.0, 0
    for index, decision in zip(indices, policy.space.decisions, strict=True):
        logits = alpha[start : start + len(decision.candidates)]
        total += logits[index] - math.log(sum(map(math.exp, logits)))
        start += len(decision.candidates)
    return total


def test_begins_uniform(space):
    policy = Policy(space=space)
    assert policy.entropy().item() == pytest.approx(math.log(space.size), rel=1e-6)
    assert policy.log_probability(policy.most_likely()).item() == pytest.approx(-math.log(space.size), rel=1e-6)


def test_entropy_of_table_2_is_the_log_of_its_size():
    space = load_space("table2")
    assert Policy(space=space).entropy().item() == pytest.approx(math.log(space.size), rel=1e-5)


def test_log_probabilities_and_entropy_by_enumeration(policy, space):
    indices = all_indices(space)
    expected = [reference_log_probability(policy, row) for row in indices]
    assert policy.log_probabilities(torch.tensor(indices)).tolist() == pytest.approx(expected, abs=1e-5)
    assert sum(map(math.exp, expected)) == pytest.approx(1.0)
    assert policy.entropy().item() == pytest.approx(-sum(p * math.exp(p) for p in expected), rel=1e-5)


def test_score_function_is_one_minus_probability(policy):
    # d log softmax(alpha)_i / d alpha_j = [i = j] - p_j for every decision.
    indices = policy.sample_indices(1, torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(policy.log_probabilities(indices).sum(), [policy.alpha])
    expected = torch.cat(
        [
            torch.nn.functional.one_hot(index, len(row)) - row
            for index, row in zip(indices[0], policy.probabilities(), strict=True)
        ]
    )
    torch.testing.assert_close(gradient, expected)


def test_samples_follow_the_probabilities(policy):
    indices = policy.sample_indices(40_000, torch.Generator().manual_seed(0))
    for column, row in zip(indices.T, policy.probabilities(), strict=True):
        observed = torch.bincount(column, minlength=len(row)) / len(column)
        # Five standard errors of a share of 40,000 draws.
        assert (observed - row).abs().max() < 5 * math.sqrt(0.25 / 40_000)


def test_same_generator_same_samples(policy):
    first, second = (policy.sample_indices(13, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert policy.sample(torch.Generator().manual_seed(5)).space == policy.space


def test_top_is_the_sorted_enumeration(policy, space):
    ordered = sorted(all_indices(space), key=lambda row: -reference_log_probability(policy, row))
    found = policy.top(10)
    assert [architecture.indices for architecture, _ in found] == ordered[:10]
    expected = [reference_log_probability(policy, row) for row in ordered[:10]]
    assert [value for _, value in found] == pytest.approx(expected, abs=1e-5)
    assert found[0][0] == policy.most_likely()
    assert len(policy.top(1000)) == space.size
    assert found[0][1] == pytest.approx(policy.log_probability(found[0][0]).item())


def test_state_is_alpha_alone(policy):
    assert list(policy.state_dict()) == ["alpha"]
