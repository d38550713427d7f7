import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.evaluation import MultiViewScores

N, V, K = 4, 3, 5
LABELS = torch.tensor([0, 2, 4, 2])
SCORES = torch.randn(N, V, K, generator=torch.Generator().manual_seed(0)).softmax(-1)
ALL = list(itertools.product(range(N), range(V)))


def feed(scores: MultiViewScores, pairs: list[tuple[int, int]]) -> MultiViewScores:
    """Update with these (video, view) pairs, two at a time."""
    for start in range(0, len(pairs), 2):
        video, view = torch.tensor(pairs[start : start + 2]).T
        scores.update(video, view, SCORES[video, view], LABELS[video])
    return scores


@pytest.mark.parametrize(("ensemble", "expected"), [("sum", SCORES.mean(1)), ("max", SCORES.amax(1))])
def test_combines_the_views(ensemble, expected):
    result = feed(MultiViewScores(N, V, K, ensemble=ensemble), ALL).evaluate()
    np.testing.assert_allclose(result.score_NK, expected.numpy(), rtol=1e-6)
    assert result.label_N.tolist() == LABELS.tolist()
    hits = (expected.argmax(1) == LABELS).float()
    assert result.top1_acc == pytest.approx(100 * hits.mean().item())
    assert result.top5_acc == 100.0
    assert result.confusion_KK.sum() == N


@settings(deadline=None, max_examples=20)
@given(st.permutations(ALL), st.lists(st.sampled_from(ALL), max_size=6))
def test_order_and_repeats_change_nothing(pairs, repeats):
    expected = feed(MultiViewScores(N, V, K), ALL).evaluate()
    result = feed(MultiViewScores(N, V, K), list(pairs) + repeats).evaluate()
    assert (result.score_NK == expected.score_NK).all()


def test_the_first_of_two_scores_counts():
    scores = MultiViewScores(1, 2, 2)
    zero = torch.zeros(1, dtype=torch.long)
    for view, first_class in [(0, 1.0), (0, 0.0), (1, 0.5), (1, 0.0)]:
        scores.update(zero, zero + view, torch.tensor([[first_class, 1 - first_class]]), zero)
    assert scores.evaluate().score_NK.tolist() == [[0.75, 0.25]]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 3), min_size=len(ALL), max_size=len(ALL)))
def test_processes_merge_to_the_same_scores(owners):
    """owners: for each view, bit 0 and bit 1 say which of two processes saw it (3: both did)."""
    parts = [
        feed(MultiViewScores(N, V, K), [p for p, owner in zip(ALL, owners, strict=True) if owner & bit])
        for bit in (1, 2)
    ]
    states = [_state(part) for part in parts]
    result = parts[0].evaluate(gather=lambda own: states)
    assert (result.score_NK == feed(MultiViewScores(N, V, K), ALL).evaluate().score_NK).all()


def _state(scores: MultiViewScores) -> object:
    """What a process hands to `gather`."""
    handed = []

    def gather(own: object) -> list:
        handed.append(own)
        return [_EMPTY]

    with pytest.raises(EvaluationError, match="missing"):
        scores.evaluate(gather=gather)
    return handed[0]


_EMPTY = (np.full(N, -1), {}, {})


def test_a_missing_view_names_video_and_view():
    scores = feed(MultiViewScores(N, V, K), [pair for pair in ALL if pair != (2, 1)])
    with pytest.raises(EvaluationError, match="video 2: view 1 is missing"):
        scores.evaluate(missing="report")


def test_a_missing_video_is_an_error_or_is_reported():
    scores = feed(MultiViewScores(N, V, K), [pair for pair in ALL if pair[0] != 1])
    with pytest.raises(EvaluationError, match=r"video 1: .*1 of 4 videos"):
        scores.evaluate()
    result = scores.evaluate(missing="report")
    assert result.missing_videos == (1,)
    assert result.video_N.tolist() == [0, 2, 3]
    scores.reset()
    with pytest.raises(EvaluationError, match="no view of any"):
        scores.evaluate(missing="report")


@pytest.mark.parametrize(
    ("video", "view", "score", "label", "message"),
    [
        (N, 0, 0.2, 0, "video 4, view 0: outside"),
        (0, V, 0.2, 0, "video 0, view 3: outside"),
        (0, 1, float("nan"), 0, "video 0, view 1: the scores are not finite"),
        (1, 1, 0.2, K, "label 5 is outside 0..4"),
        (0, 1, 0.2, 3, "video 0, view 1: label 3, but an earlier view said 0"),
    ],
)
def test_faulty_updates(video, view, score, label, message):
    scores = feed(MultiViewScores(N, V, K), [(0, 0)])
    with pytest.raises(EvaluationError, match=message):
        scores.update(torch.tensor([video]), torch.tensor([view]), torch.full((1, K), score), torch.tensor([label]))


def test_wrong_class_count_and_settings():
    with pytest.raises(EvaluationError, match=r"\(1, 6\).*expected \(1, 5\)"):
        MultiViewScores(N, V, K).update(*torch.zeros(2, 1).long(), torch.zeros(1, K + 1), torch.zeros(1).long())
    with pytest.raises(EvaluationError, match="'mean'"):
        MultiViewScores(N, V, K, ensemble="mean")
    with pytest.raises(EvaluationError, match="0 videos"):
        MultiViewScores(0, V, K)


def test_saved_files_hold_every_video(tmp_path):
    result = feed(MultiViewScores(N, V, K), ALL).evaluate()
    result.save(str(tmp_path / "results" / "test.json"), paths=[f"{i}.mp4" for i in range(N)], checkpoint="c.pyth")
    record = json.loads((tmp_path / "results" / "test.json").read_text())
    assert record["checkpoint"] == "c.pyth"
    assert record["per_class_acc"][1] is None
    assert [entry["path"] for entry in record["videos"]] == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]
    arrays = np.load(tmp_path / "results" / "test.npz")
    assert (arrays["score"] == result.score_NK).all()
    assert [entry["predicted"] for entry in record["videos"]] == arrays["score"].argmax(1).tolist()
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_a_list_without_labels_has_scores_and_no_accuracy(tmp_path):
    scores = MultiViewScores(N, V, K, labelled=False)
    for start in range(0, len(ALL), 2):
        video, view = torch.tensor(ALL[start : start + 2]).T
        scores.update(video, view, SCORES[video, view], torch.full((2,), -1))
    result = scores.evaluate(gather=lambda part: [part])
    np.testing.assert_array_equal(result.score_NK, feed(MultiViewScores(N, V, K), ALL).evaluate().score_NK)
    assert np.isnan([result.top1_acc, result.top5_acc, *result.per_class_acc]).all()
    result.save(
        str(tmp_path / "r.json"), paths=[f"{n}.mp4" for n in range(N)], class_names=list("abcde"), classes={"a": 0}
    )
    saved = json.loads((tmp_path / "r.json").read_text())
    assert not {"top1_acc", "top5_acc", "per_class_acc", "confusion"} & set(saved)
    best = SCORES.mean(1).argmax(1).tolist()
    assert saved["videos"] == [
        {"video": n, "predicted": best[n], "path": f"{n}.mp4", "predicted_class": "abcde"[best[n]]} for n in range(N)
    ]
    assert saved["classes"] == {"a": 0}
    with np.load(tmp_path / "r.npz") as arrays:
        assert arrays["label"].tolist() == [-1] * N


def test_a_label_that_is_none_is_an_error_in_a_list_with_labels():
    zero = torch.zeros(1).long()
    with pytest.raises(EvaluationError, match=r"label -1 is outside 0\.\.4"):
        MultiViewScores(N, V, K).update(zero, zero, torch.ones(1, K), zero - 1)
