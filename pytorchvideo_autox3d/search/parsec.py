"""The PARSEC estimator as pure functions: importance weights, and the gradients that they weight.

The source is the paper's section 4.1, equation 1.

With A_k ~ P(A | alpha) and r_k proportional to P(y | X, w, A_k), normalised over the K samples:

    grad alpha = sum_k r_k grad log P(A_k | alpha)        grad w = sum_k r_k grad_w log P(y | X, w, A_k)

A cost c(A) (equation 2) enters as a factor exp(-weight * c(A)) of the likelihood. Shapes: K samples, D decisions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.policy import Policy


def importance_weights(
    log_likelihood_K: torch.Tensor, penalty_K: torch.Tensor | None = None, *, temperature: float = 1.0
) -> torch.Tensor:
    """The weights r_k (K,): the softmax over the samples of (log-likelihood - penalty) / temperature.

    Args:
        log_likelihood_K: log P(y | X, w, A_k) in nats.
        penalty_K: cost term of each sample, the sum of weight * c(A_k) over the budgets; None is 0 for all.
        temperature: a value above 1 makes the weights more alike, one below 1 less.

    Raises:
        SearchError: there are no samples, or the temperature is not positive.
    """
    if log_likelihood_K.numel() == 0:
        raise SearchError("importance_weights: no samples given")
    if not temperature > 0:
        raise SearchError(f"importance_weights: temperature {temperature} is not above 0")
    score_K = log_likelihood_K if penalty_K is None else log_likelihood_K - penalty_K
    return torch.softmax(score_K / temperature, dim=0)


def effective_sample_size(weights_K: torch.Tensor) -> float:
    """Kish's effective sample size, 1 / sum r_k^2: K for equal weights, 1 where one sample has all the weight."""
    return 1.0 / float(weights_K.square().sum())


def policy_gradient(
    policy: Policy, indices_KD: torch.Tensor, weights_K: torch.Tensor, *, control_variate: bool = False
) -> torch.Tensor:
    """An estimate of the gradient of the log-evidence with respect to alpha; following it raises the evidence.

    Args:
        policy: which the samples were drawn from.
        indices_KD: the samples as candidate indices.
        weights_K: their importance weights, which sum to 1.
        control_variate: subtract the mean of the K scores grad log P(A_k). Its expectation is 0, so the expected
            gradient stays the same. It removes the noise that nearly equal weights would otherwise leave, which comes
            from which samples were drawn.

    Returns:
        A tensor of the shape of `policy.alpha`.
    """
    coefficient_K = weights_K - 1.0 / len(weights_K) if control_variate else weights_K
    objective = (coefficient_K.detach().to(policy.alpha.device) * policy.log_probabilities(indices_KD)).sum()
    (gradient,) = torch.autograd.grad(objective, [policy.alpha])
    return gradient


def adaptive_sample_count(policy: Policy, most: int, least: int) -> int:
    """The number of samples for a step, in proportion to the policy's entropy: `most` when uniform, at least `least`.

    FP-NAS (arXiv 2011.10949), section 3.3: a policy that has nearly decided needs fewer samples.
    """
    highest = math.log(policy.space.size)
    share = float(policy.entropy().detach()) / highest if highest > 0 else 0.0
    return min(most, max(least, math.ceil(share * most - 1e-6)))


class OnlineSoftmaxGradient:
    """Computes sum_k softmax(score)_k * g_k over gradients that come one at a time, in the memory of one gradient.

    The weights are known only when every score is. So the sum is kept relative to the largest score so far, and is
    rescaled when a larger one comes (online softmax). Each sample runs forward and backward once:

        accumulator = OnlineSoftmaxGradient(parameters)
        for each sample: (loss * accumulator.factor(score)).backward()
        accumulator.normalise()

    Where a sample's gradient comes in parts, its score is known only after the last of them:

        for each sample:
            accumulator.set_aside()
            for each part: loss.backward()
            accumulator.add(score)

    Args:
        parameters: leaves whose `.grad` the sum is accumulated in; gradients that they have are dropped first.
    """

    def __init__(self, parameters: Iterable[torch.Tensor]) -> None:
        self._parameters = list(parameters)
        for parameter in self._parameters:
            parameter.grad = None
        self._largest = -math.inf
        self._total = 0.0
        self._aside: list[torch.Tensor | None] = []

    def factor(self, score: float) -> float:
        """The factor for this sample's loss, before its backward pass: exp(score - largest score so far)."""
        assert math.isfinite(score), "the caller checks for scores that are not finite"
        if score > self._largest:
            if self._total > 0:
                shrink = math.exp(self._largest - score)
                self._scale(shrink)
                self._total *= shrink
            self._largest = score
        factor = math.exp(score - self._largest)
        self._total += factor
        return factor

    def set_aside(self) -> None:
        """Put the sum so far away, so that `.grad` is free for the gradient of one sample in parts."""
        self._aside = [parameter.grad for parameter in self._parameters]
        for parameter in self._parameters:
            parameter.grad = None

    def add(self, score: float) -> None:
        """Take `.grad` as the whole gradient of a sample of this score, and add it to the sum put away."""
        own = [parameter.grad for parameter in self._parameters]
        for parameter, total in zip(self._parameters, self._aside, strict=True):
            parameter.grad = total
        factor = self.factor(score)
        for parameter, gradient in zip(self._parameters, own, strict=True):
            if gradient is not None:
                gradient.mul_(factor)
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        self._aside = []

    def normalise(self) -> None:
        """Divide by the sum of the weights: `.grad` is now the weighted mean of the samples' gradients."""
        self._scale(1.0 / self._total)

    def normalise_among(self, score_K: torch.Tensor) -> None:
        """Normalise where several processes have some of the samples each, so that the sum over processes is the mean.

        Args:
            score_K: the scores of all samples of all processes.
        """
        largest = float(score_K.max())
        total = float((score_K - largest).exp().sum())
        self._scale(math.exp(self._largest - largest) / total)

    def _scale(self, factor: float) -> None:
        for parameter in self._parameters:
            if parameter.grad is not None and factor != 1.0:
                parameter.grad.mul_(factor)
