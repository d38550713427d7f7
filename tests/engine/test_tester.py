import dataclasses
import json
import logging

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import EvalSettings, EvalViews, Runtime, multiview_scores, run_test
from pytorchvideo_autox3d.errors import EvaluationError
from tests.engine.helpers import ViewLoader, tiny_model, to_float

VIDEOS, VIEWS, CLASSES = 5, 6, 3
SIZES = {"num_videos": VIDEOS, "num_views": VIEWS, "num_classes": CLASSES}
RUNTIME = Runtime(device=torch.device("cpu"), preprocess=to_float)


def score(loader, model=None, **settings):
    chosen = EvalSettings(**settings)
    model = model or tiny_model(dropout=0.5)
    return multiview_scores(model, EvalViews(loader=loader, **SIZES), runtime=RUNTIME, settings=chosen)


def scores_of_this_process() -> dict:
    """Runs in each of two processes; five videos for two are padded to six, so one comes twice."""
    loader = ViewLoader(videos=VIDEOS, views=VIEWS, rank=distributed.rank(), world_size=distributed.world_size())
    result = score(loader)
    return {"own": distributed.all_gather_objects(loader.own), "scores": result.score_NK, "top1": result.top1_acc}


def test_scores_by_hand_whatever_the_batch_size():
    model = tiny_model(seed=2).eval()
    loader = ViewLoader(videos=VIDEOS, views=VIEWS)
    with torch.no_grad():
        expected = torch.stack([model(to_float(batch.clip_BCTHW)).softmax(1).mean(0) for batch in loader])
    for batch_size in (1, 4, 6, 100):
        result = score(loader, model.train(), batch_size=batch_size)
        np.testing.assert_allclose(result.score_NK, expected.numpy(), rtol=1e-5)
        assert model.training
    assert result.label_N.tolist() == [0, 1, 2, 0, 1]


def test_two_processes_give_the_scores_of_one():
    alone = score(ViewLoader(videos=VIDEOS, views=VIEWS))
    together = distributed.launch(scores_of_this_process, num_processes=2, backend="gloo")
    assert together["own"] == [[0, 2, 4], [1, 3, 0]]
    np.testing.assert_allclose(together["scores"], alone.score_NK, rtol=1e-6)
    assert together["top1"] == alone.top1_acc


def test_results_are_saved_and_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="pytorchvideo_autox3d"):
        result = run_test(
            tiny_model(),
            EvalViews(loader=ViewLoader(videos=VIDEOS, views=VIEWS), **SIZES),
            runtime=RUNTIME,
            output_dir=str(tmp_path),
            settings=EvalSettings(log_period=2),
            paths=[f"{n}.mp4" for n in range(VIDEOS)],
            checkpoint="last.pyth",
        )
    record = json.loads((tmp_path / "test_results.json").read_text())
    assert record["top1_acc"] == result.top1_acc
    assert record["checkpoint"] == "last.pyth"
    assert (np.load(tmp_path / "test_results.npz")["score"] == result.score_NK).all()
    lines = [json.loads(text.split("json_stats: ")[1]) for text in caplog.messages if "json_stats: " in text]
    assert [line["split"] for line in lines] == ["test_iter", "test_iter", "test_final"]
    assert lines[-1]["top1_acc"] == f"{result.top1_acc:.2f}"


def test_missing_videos_are_an_error_or_said(tmp_path, caplog):
    loader = ViewLoader(videos=VIDEOS, views=VIEWS)
    loader.own.remove(3)
    with pytest.raises(EvaluationError, match="video 3"):
        score(loader)
    with caplog.at_level(logging.INFO, logger="pytorchvideo_autox3d"):
        run_test(
            tiny_model(),
            EvalViews(loader=loader, **SIZES),
            runtime=RUNTIME,
            output_dir=str(tmp_path),
            settings=EvalSettings(missing="report"),
            paths=[f"{number}.mp4" for number in range(VIDEOS)],
        )
    assert "1 of 5 videos are MISSING" in caplog.text
    assert '"missing_videos": 1' in caplog.text
    saved = json.loads((tmp_path / "test_results.json").read_text())
    assert (saved["missing_videos"], saved["missing_paths"]) == ([3], ["3.mp4"])


class WithoutLabels(ViewLoader):
    def __iter__(self):
        for batch in super().__iter__():
            yield dataclasses.replace(batch, label_B=torch.full_like(batch.label_B, -1))


def test_without_labels_there_are_predictions_and_nothing_is_said_of_accuracy(tmp_path, caplog):
    views = EvalViews(loader=WithoutLabels(videos=VIDEOS, views=VIEWS), labelled=False, **SIZES)
    model = tiny_model()
    with caplog.at_level(logging.INFO, logger="pytorchvideo_autox3d"):
        result = run_test(model, views, runtime=RUNTIME, output_dir=str(tmp_path))
    assert "predictions for 5 videos of 6 views; the list has no labels" in caplog.text
    assert "top1" not in caplog.text
    assert "top-1" not in caplog.text
    np.testing.assert_array_equal(result.score_NK, score(ViewLoader(videos=VIDEOS, views=VIEWS), model).score_NK)


class NamedLoader(ViewLoader):
    def files(self, batch) -> list[str]:
        return [f"{int(batch.video_B[0])}.mp4"]


def test_scores_that_are_not_finite_are_told_with_the_file():
    class Diverged(torch.nn.Module):
        def forward(self, clip_BCTHW):
            return torch.full((len(clip_BCTHW), CLASSES), float("nan"))

    with pytest.raises(EvaluationError, match=r"^0\.mp4: the scores are not finite"):
        score(NamedLoader(videos=VIDEOS, views=VIEWS), Diverged())
    with pytest.raises(EvaluationError, match=r"^video 0, view 0: the scores are not finite"):
        score(ViewLoader(videos=VIDEOS, views=VIEWS), Diverged())
