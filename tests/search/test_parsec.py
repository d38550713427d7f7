"""The estimator against the exact gradient of the log-evidence, by enumeration and in closed form."""

import itertools
import math

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Policy, importance_weights
from pytorchvideo_autox3d.search.parsec import (
    OnlineSoftmaxGradient,
    adaptive_sample_count,
    effective_sample_size,
    policy_gradient,
)
from pytorchvideo_autox3d.space import GroupSpec, SearchSpace

SPACE = SearchSpace(
    "tiny",
    (
        GroupSpec((4, 8), ((1, 3), (3, 3)), (2.0,), ("none",), blocks=1),
        GroupSpec((8, 12, 16), ((3, 3),), (1.5, 3.0), ("none",), blocks=1),
    ),
)
INDICES = list(itertools.product(*(range(len(decision.candidates)) for decision in SPACE.decisions)))
SIZES = [len(decision.candidates) for decision in SPACE.decisions]


def make_policy(seed: int = 1) -> Policy:
    policy = Policy(space=SPACE)
    with torch.no_grad():
        policy.alpha.copy_(0.5 * torch.randn(policy.alpha.shape, generator=torch.Generator().manual_seed(seed)))
    return policy


def fixed_table(seed: int) -> torch.Tensor:
    """A fixed number for every architecture, in the order of INDICES."""
    return torch.randn(len(INDICES), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def position(indices_KD: torch.Tensor) -> torch.Tensor:
    """Where each row stands in INDICES: the digits of a number in mixed radix."""
    result = torch.zeros(len(indices_KD), dtype=torch.int64)
    for column, size in zip(indices_KD.T, SIZES, strict=True):
        result = result * size + column
    return result


def exact_gradient(policy: Policy, log_evidence_terms: torch.Tensor) -> torch.Tensor:
    """d/d alpha of log sum_A P(A | alpha) exp(term_A), in closed form: E_posterior[one-hot] - E_prior[one-hot]."""
    probabilities = [row.double() for row in policy.probabilities()]
    prior = torch.tensor(
        [
            math.prod(float(row[index]) for row, index in zip(probabilities, indices, strict=True))
            for indices in INDICES
        ],
        dtype=torch.float64,
    )
    posterior = prior * log_evidence_terms.exp()
    posterior /= posterior.sum()
    gradient = []
    for decision, size in enumerate(SIZES):
        for candidate in range(size):
            chosen = torch.tensor([row[decision] == candidate for row in INDICES], dtype=torch.float64)
            gradient.append(float((chosen * (posterior - prior)).sum()))
    return torch.tensor(gradient)


def estimate(policy, log_likelihood, penalty, count, generator, *, control_variate):
    indices_KD = policy.sample_indices(count, generator)
    where = position(indices_KD)
    weights_K = importance_weights(log_likelihood[where], penalty[where]).float()
    return policy_gradient(policy, indices_KD, weights_K, control_variate=control_variate)


@pytest.mark.parametrize("control_variate", [False, True])
@pytest.mark.parametrize("cost_weight", [0.0, 2.0])
def test_converges_to_the_exact_gradient_at_the_monte_carlo_rate(control_variate, cost_weight):
    policy, log_likelihood = make_policy(), fixed_table(2)
    # Equation 2 over made-up costs of 0.5 to 2 times the target.
    penalty = cost_weight * (fixed_table(3).sigmoid() * 1.5 + 0.5 - 1.0).clamp(min=0)
    exact = exact_gradient(policy, log_likelihood - penalty)
    generator = torch.Generator().manual_seed(0)
    errors = []
    for count in (64, 1024, 16384):
        squares = [
            (estimate(policy, log_likelihood, penalty, count, generator, control_variate=control_variate) - exact)
            .square()
            .sum()
            for _ in range(24)
        ]
        errors.append(math.sqrt(sum(map(float, squares)) / len(squares)))
    # Sixteen times the samples: a quarter of the error.
    for few, many in itertools.pairwise(errors):
        assert 2.8 < few / many < 5.6
    assert errors[-1] < 0.02


def test_mean_of_many_estimates_is_the_exact_gradient():
    policy, log_likelihood, none = make_policy(), 0.3 * fixed_table(2), torch.zeros(len(INDICES))
    generator = torch.Generator().manual_seed(0)
    estimates = torch.stack(
        [estimate(policy, log_likelihood, none, 256, generator, control_variate=True) for _ in range(400)]
    )
    standard_error = estimates.std(dim=0) / math.sqrt(len(estimates))
    # A self-normalised estimate is biased by O(1/K), far less than this at K = 256.
    deviation = (estimates.mean(dim=0) - exact_gradient(policy, log_likelihood)).abs()
    assert (deviation <= 4.5 * standard_error + 1e-3).all()


def test_control_variate_takes_the_noise_of_equal_weights():
    policy, log_likelihood, none = make_policy(), 0.01 * fixed_table(2), torch.zeros(len(INDICES))
    spread = {}
    for control_variate in (False, True):
        generator = torch.Generator().manual_seed(0)
        estimates = [
            estimate(policy, log_likelihood, none, 13, generator, control_variate=control_variate) for _ in range(50)
        ]
        spread[control_variate] = float(torch.stack(estimates).std(dim=0).mean())
    assert spread[True] < 0.1 * spread[False]


def test_importance_weights_by_hand():
    weights = importance_weights(torch.tensor([0.0, math.log(2.0)]), torch.tensor([0.0, math.log(4.0)]))
    assert weights.tolist() == pytest.approx([2 / 3, 1 / 3])
    assert importance_weights(torch.tensor([-1000.0, -1002.0]), temperature=2.0).tolist() == pytest.approx(
        [1 / (1 + math.exp(-1)), 1 / (1 + math.e)]
    )


def test_effective_sample_size():
    assert effective_sample_size(torch.full((13,), 1 / 13)) == pytest.approx(13)
    assert effective_sample_size(torch.tensor([1.0, 0.0])) == pytest.approx(1)


def test_bad_arguments():
    with pytest.raises(SearchError, match="no samples"):
        importance_weights(torch.zeros(0))
    with pytest.raises(SearchError, match="temperature 0 is not above 0"):
        importance_weights(torch.zeros(2), temperature=0)


@pytest.mark.parametrize(
    "scores",
    [
        [0.3],
        [1.0, 0.5, -0.2, 0.1],  # the largest first: never rescaled
        [-40.0, -3.0, 0.0, 2.5, 40.0],  # always rescaled, by factors from e^-2.5 to e^-37
        [0.0, 100.0, 99.0, 100.5],
    ],
)
def test_one_pass_gradient_equals_two_passes(scores):
    torch.manual_seed(0)
    inputs = [torch.randn(4, 6) for _ in scores]

    def losses(net):
        return [net(one).square().mean() for one in inputs]

    one_pass, two_pass = nn.Linear(6, 3), nn.Linear(6, 3)
    two_pass.load_state_dict(one_pass.state_dict())
    accumulator = OnlineSoftmaxGradient(one_pass.parameters())
    for one, score in zip(inputs, scores, strict=True):
        (one_pass(one).square().mean() * accumulator.factor(score)).backward()
    accumulator.normalise()
    weights = torch.softmax(torch.tensor(scores, dtype=torch.float64), dim=0)
    sum(float(weight) * loss for weight, loss in zip(weights, losses(two_pass), strict=True)).backward()
    for got, expected in zip(one_pass.parameters(), two_pass.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=1e-5, atol=1e-7)


def test_a_parameter_that_no_sample_used_keeps_no_gradient():
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    accumulator = OnlineSoftmaxGradient([used, unused])
    (used.sum() * accumulator.factor(1.0)).backward()
    (used.sum() * accumulator.factor(5.0)).backward()
    accumulator.normalise()
    assert unused.grad is None
    assert used.grad.tolist() == pytest.approx([1.0, 1.0])


def test_adaptive_count_follows_the_entropy():
    policy = Policy(space=SPACE)
    assert adaptive_sample_count(policy, 13, 2) == 13
    with torch.no_grad():
        policy.alpha[: SIZES[0]] = torch.tensor([50.0, -50.0])
    left = math.log(math.prod(SIZES[1:])) / math.log(math.prod(SIZES))
    assert adaptive_sample_count(policy, 13, 2) == math.ceil(left * 13)
    with torch.no_grad():
        start = 0
        for size in SIZES:
            policy.alpha[start] = 50.0
            start += size
    assert adaptive_sample_count(policy, 13, 2) == 2
