import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.predict.calibration import calibration_error, fit_calibration, separating_threshold


def overconfident(temperature, *, videos=4000, classes=4, seed=0):
    """Logits whose softmax at `temperature` is the very distribution that the labels are drawn from."""
    random = np.random.default_rng(seed)
    logits_NK = random.normal(0, 2, (videos, classes))
    share_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    label_N = (share_NK.cumsum(axis=1) > random.random((videos, 1))).argmax(axis=1)
    return [torch.tensor(row[None] * temperature, dtype=torch.float32) for row in logits_NK], label_N


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_finds_the_temperature_that_the_labels_were_drawn_at(temperature):
    logits, label_N = overconfident(temperature)
    fit = fit_calibration(logits, label_N, list_hash="abc")
    assert fit.calibration.temperature == pytest.approx(temperature, rel=0.06)
    assert fit.calibration.ece_after < 0.02
    assert fit.nll_after <= fit.nll_before + 1e-6
    assert fit.calibration.list_hash == "abc"
    if temperature == 3.0:
        assert fit.calibration.ece_before > 0.08


def test_views_are_combined_before_they_are_judged():
    """Two views, each sure of another class: the video's score is a half, however small the temperature."""
    logits = [torch.tensor([[20.0, 0.0], [0.0, 20.0]]), torch.tensor([[20.0, 0.0], [20.0, 0.0]])]
    fit = fit_calibration(logits, np.array([0, 0]), keep=1.0)
    assert fit.calibration.threshold == pytest.approx(0.5, abs=1e-3)


def test_the_threshold_keeps_the_share_asked_for():
    logits, label_N = overconfident(2.0)
    fit = fit_calibration(logits, label_N, keep=0.9)
    score_NK = torch.cat(logits).div(fit.calibration.temperature).softmax(1).numpy()
    right_N = score_NK.argmax(1) == label_N
    kept = (score_NK.max(1)[right_N] >= fit.calibration.threshold).mean()
    assert kept == pytest.approx(0.9, abs=0.002)
    assert fit.accepted == pytest.approx((score_NK.max(1) >= fit.calibration.threshold).mean(), abs=1e-6)
    assert fit.accuracy_of_accepted > right_N.mean()
    assert fit.unknown_rejected is None


def test_videos_of_no_class_set_the_threshold_between():
    known = [torch.tensor([[8.0, 0.0]])] * 9 + [torch.tensor([[0.0, 8.0]])]
    unknown = [torch.tensor([[1.0, 0.0]])] * 5
    fit = fit_calibration(known, np.array([0] * 9 + [1]), unknown_VK=unknown)
    assert (fit.accepted, fit.unknown_rejected) == (1.0, 1.0)
    assert separating_threshold(np.array([0.6, 0.8, 0.9]), np.array([0.3, 0.5, 0.7])) == 0.6


def test_calibration_error_by_hand():
    # Bins of a fifth: (0.4, 0.6] holds 0.5 right and 0.6 wrong; (0.8, 1] holds 0.9 right and 1.0 right.
    score_NK = np.array([[0.5, 0.5], [0.6, 0.4], [0.1, 0.9], [1.0, 0.0]])
    label_N = np.array([0, 1, 1, 0])
    assert calibration_error(score_NK, label_N, bins=5) == pytest.approx((abs(1 - 1.1) + abs(2 - 1.9)) / 4)


def test_nothing_to_calibrate_on():
    with pytest.raises(EvaluationError, match="no videos"):
        fit_calibration([], np.array([]))
    with pytest.raises(EvaluationError, match="none of the videos"):
        fit_calibration([torch.tensor([[1.0, 0.0]])], np.array([1]))
