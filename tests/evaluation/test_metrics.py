import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.evaluation import confusion_matrix, per_class_accuracy, topk_accuracy

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.35, 0.25]])
LABELS = np.array([1, 1, 2, 2])


@pytest.mark.parametrize(("k", "expected"), [(1, 50.0), (2, 75.0), (3, 100.0), (5, 100.0)])
def test_topk(k, expected):
    assert topk_accuracy(SCORES, LABELS, k) == expected


def test_a_constant_score_is_no_hit():
    assert topk_accuracy(np.zeros((4, 3)), LABELS, 1) == 0.0


def test_confusion_and_per_class():
    confusion = confusion_matrix(SCORES.argmax(1), LABELS, 3)
    assert confusion.tolist() == [[0, 0, 0], [1, 1, 0], [1, 0, 1]]
    accuracy = per_class_accuracy(confusion)
    assert np.isnan(accuracy[0])
    assert accuracy[1:].tolist() == [50.0, 50.0]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_metrics_agree_with_each_other(videos, classes, seed):
    generator = np.random.default_rng(seed)
    scores, labels = generator.random((videos, classes)), generator.integers(0, classes, videos)
    confusion = confusion_matrix(scores.argmax(1), labels, classes)
    assert confusion.sum() == videos
    assert topk_accuracy(scores, labels, 1) == pytest.approx(100 * np.trace(confusion) / videos)
    accuracies = [topk_accuracy(scores, labels, k) for k in range(1, classes + 1)]
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] == 100.0


def test_bad_shapes_and_nothing():
    with pytest.raises(EvaluationError, match=r"\(4, 3\).*\(3,\)"):
        topk_accuracy(SCORES, LABELS[:3], 1)
    with pytest.raises(EvaluationError, match="empty"):
        topk_accuracy(SCORES[:0], LABELS[:0], 1)
