"""Late fusion of two results: the mean by hand, and results that don't belong together."""

import argparse

import numpy as np
import pytest
import simplejson

from pytorchvideo_autox3d.commands import fuse as command
from pytorchvideo_autox3d.errors import ConfigError, EvaluationError
from pytorchvideo_autox3d.evaluation import fuse, read_scores

LABELS = [0, 1, 2]
RGB = [[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.1, 0.5, 0.4]]  # right, wrong, wrong
FLOW = [[0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3]]  # wrong, right, wrong


def write(folder, score, *, labels=LABELS, videos=(0, 1, 2), list_hash="abc"):
    folder.mkdir()
    entries = [{"video": video, "path": f"/data/{video}.mp4"} for video in videos]
    (folder / "test_results.json").write_text(
        simplejson.dumps({"list_hash": list_hash, "num_views": 3, "videos": entries})
    )
    arrays = {"video": np.array(videos), "label": np.array(labels), "score": np.array(score, dtype=np.float32)}
    np.savez(folder / "test_results.npz", **arrays)
    return folder / "test_results.json"


@pytest.fixture
def pair(tmp_path):
    return write(tmp_path / "rgb", RGB), write(tmp_path / "flow", FLOW)


def test_the_mean_is_better_than_either(pair):
    results = [read_scores(path) for path in pair]
    fused = fuse(results, [1, 1])
    assert np.allclose(fused.score_NK[0], [0.5, 0.4, 0.1])
    assert fused.predicted_N.tolist() == [0, 1, 1]
    assert fused.top1_acc == pytest.approx(200 / 3)
    assert fused.num_views == 6
    # Flow alone counts nearly: its first answer was wrong.
    assert fuse(results, [1, 9]).predicted_N.tolist() == [1, 1, 1]
    assert np.allclose(fuse(results, [2, 2]).score_NK, fused.score_NK)


def test_the_command_writes_a_result_that_can_be_fused_again(pair, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    rgb, flow = map(str, pair)
    command.run(parser.parse_args([rgb, flow.replace(".json", ".npz"), "--output", str(tmp_path / "fused")]))
    out = capsys.readouterr().out
    assert "top-1 33.33%" in out
    assert "fused: top-1 66.67%" in out
    again = read_scores(tmp_path / "fused" / "test_results.json")
    assert again.list_hash == "abc"
    assert again.paths[2] == "/data/2.mp4"
    assert fuse([again, read_scores(rgb)], [1, 1]).score_NK.shape == (3, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"list_hash": "other"}, "they are of two lists"),
        ({"videos": (0, 1, 3)}, "3 and 3 videos that are not the same"),
        ({"labels": [0, 1, 1]}, "other labels of the same videos"),
        ({"score": [[0.5, 0.5]] * 3}, "3 and 2 classes"),
        ({"score": [[0.5, 0.5, float("nan")]] * 3}, "not a finite number"),
    ],
)
def test_results_that_do_not_belong_together(tmp_path, changes, message):
    first = write(tmp_path / "rgb", RGB)
    other = write(tmp_path / "other", changes.pop("score", FLOW), **changes)
    with pytest.raises(EvaluationError, match=message) as caught:
        fuse([read_scores(first), read_scores(other)], [1, 1])
    assert str(first) in str(caught.value)
    assert str(other) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, 1, 1], [1, float("nan")], [1, float("inf")]])
def test_weights(pair, weights):
    with pytest.raises(EvaluationError, match="a positive weight each"):
        fuse([read_scores(path) for path in pair], weights)


def test_files_that_are_none(tmp_path):
    with pytest.raises(EvaluationError, match=r"test_results\.json: no such file"):
        read_scores(tmp_path / "test_results.npz")
    path = write(tmp_path / "rgb", RGB)
    path.with_suffix(".npz").write_bytes(b"PK damaged")
    with pytest.raises(EvaluationError, match="not the result of a test"):
        read_scores(path)
    path.with_suffix(".npz").unlink()
    with pytest.raises(EvaluationError, match=r"test_results\.npz: no such file"):
        read_scores(path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("[1]", "not the result of a test"),
        ('{"videos": [{"path": "x"}]}', "it has no 'video'"),
        ('{"videos": 3}', "not the result of a test"),
    ],
)
def test_a_record_of_another_form(tmp_path, record, message):
    path = write(tmp_path / "rgb", RGB)
    path.write_text(record)
    with pytest.raises(EvaluationError, match=message) as caught:
        read_scores(path)
    assert "\n" not in str(caught.value)
    assert str(path).removesuffix(".json") in str(caught.value)


def test_arrays_that_do_not_agree_or_are_empty(tmp_path):
    path = write(tmp_path / "short", RGB[:2])
    with pytest.raises(EvaluationError, match=r"got video \(3,\), label \(3,\), score \(2, 3\)"):
        read_scores(path)
    path.with_suffix(".npz").write_bytes(b"")
    with pytest.raises(EvaluationError, match="not the result of a test"):
        read_scores(path)


def test_predictions_are_fused_without_accuracies(tmp_path):
    paths = [write(tmp_path / name, RGB, labels=[-1, -1, -1]) for name in ("rgb", "flow")]
    fused = fuse([read_scores(path) for path in paths], [1, 1])
    assert not fused.labelled
    assert np.isnan(fused.top1_acc)
    assert fused.confusion_KK.sum() == 0


def test_nothing_that_is_read_is_written_over(pair):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    before = pair[0].read_bytes()
    with pytest.raises(ConfigError, match="--output"):
        command.run(parser.parse_args([*map(str, pair), "--output", str(pair[0].parent)]))
    assert pair[0].read_bytes() == before
