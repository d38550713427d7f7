"""The estimators of alpha's gradient that are compared, by enumeration."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from pytorchvideo_autox3d.space import GroupSpec, HeadSpec, SearchSpace, StemSpec

GROUP = GroupSpec((4, 6, 8), ((1, 3), (3, 3)), (1.5,), ("none",), blocks=1, stride=2)
SPACE = SearchSpace("toy", (GROUP,), StemSpec(4), HeadSpec(8, 8))


@pytest.fixture
def script(load_scripts):
    return load_scripts("nasbench_recipe", "bench_supernet", "alpha_gradient")


def expectation(script, setting, losses, scores):
    """Over all ordered draws of K networks."""
    draws = np.array(list(itertools.product(range(len(losses)), repeat=setting.samples)))
    coefficients = script.coefficients(losses[draws], setting)
    return np.mean([c @ scores[draw] for c, draw in zip(coefficients, draws, strict=True)], axis=0)


def test_a_baseline_changes_no_expectation(script):
    losses = np.random.default_rng(0).random(6) * 2
    scores = script.score_table(SPACE)
    np.testing.assert_allclose(scores.mean(axis=0), 0.0, atol=1e-12)
    for setting in (script.Setting(samples=3), script.Setting(samples=3, likelihood="sum", temperature=8.0)):
        plain = expectation(script, replace(setting, estimator="weights"), losses, scores)
        without = expectation(script, setting, losses, scores)
        np.testing.assert_allclose(plain, without, atol=1e-12)
        assert np.abs(plain).max() > 1e-3


def test_leave_one_out_of_the_bound_is_its_gradient(script):
    # d/d alpha of E log mean_k p(y | A_k), by finite differences of the exact expectation over two draws.
    losses, scores = np.random.default_rng(1).random(6) * 2, script.score_table(SPACE)
    setting = script.Setting(samples=2, estimator="multi-sample bound, leave-one-out")

    def bound(alpha):
        kernel, width = (np.exp(part) / np.exp(part).sum() for part in (alpha[:2], alpha[2:5]))
        share = np.outer(kernel, width).ravel()
        pairs = itertools.product(range(6), repeat=2)
        return sum(share[a] * share[b] * np.log((np.exp(-losses[a]) + np.exp(-losses[b])) / 2) for a, b in pairs)

    steps = np.eye(scores.shape[1]) * 1e-5
    numeric = [(bound(step) - bound(-step)) / 2e-5 for step in steps]
    numeric[5:] = [0.0] * len(numeric[5:])
    np.testing.assert_allclose(expectation(script, setting, losses, scores), numeric, atol=1e-8)


def test_signal_and_noise_of_a_table_that_is_known(script, monkeypatch):
    monkeypatch.setattr(script, "DRAWS", 3000)
    scores = script.score_table(SPACE)
    losses = np.repeat(np.linspace(0, 1, 6)[:, None], 4, axis=1)
    row = script.measure(losses, scores, script.Setting(samples=0))  # all networks, batches that are all the same
    assert row["cosine"] == pytest.approx(1.0, abs=0.01)
    few = script.measure(losses, scores, script.Setting(samples=2))
    many = script.measure(losses, scores, script.Setting(samples=8))
    # Noise falls as the root of the samples.
    assert many["signal_to_noise"] / few["signal_to_noise"] == pytest.approx(np.sqrt(7.0), rel=0.2)
    assert script.measure(losses, scores, script.Setting(samples=2, likelihood="sum"))["effective_samples"] < 1.5
    assert "K all" in script.line({"samples": 0, "batch": 32, "likelihood": "mean", "temperature": 1.0,
                                   "estimator": "weights", **row})  # fmt: skip
