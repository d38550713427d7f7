"""A test that stops is gone on with: no view is scored twice, and the scores are those of one run."""

import os
import signal

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import EvalSettings, EvalViews, ResumableTest, Runtime, run_test
from pytorchvideo_autox3d.engine.score_log import ScoreLog
from pytorchvideo_autox3d.errors import Interrupted
from tests.engine.helpers import ViewLoader, tiny_model, to_float

VIDEOS, VIEWS, CLASSES = 6, 2, 3
SIZES = {"num_classes": CLASSES, "num_views": VIEWS}


class Stopping(ViewLoader):
    """Leaves videos out, notes which it gives, and sends a signal before one of them."""

    def __init__(self, *, stop_at: int | None = None, number: int = signal.SIGTERM, **sizes) -> None:
        super().__init__(videos=VIDEOS, views=VIEWS, **sizes)
        self.stop_at, self.number, self.given = stop_at, number, []

    def leave_out(self, videos) -> None:
        self.own = [video for video in self.own if video not in videos]

    def __iter__(self):
        for batch in super().__iter__():
            self.given.append(int(batch.video_B[0]))
            if self.given[-1] == self.stop_at:
                os.kill(os.getpid(), self.number)
            yield batch


def scored(folder, loader, *, checkpoint="a"):
    views = EvalViews(loader=loader, num_videos=VIDEOS, **SIZES)
    return run_test(
        tiny_model(),
        views,
        runtime=Runtime(device=torch.device("cpu"), preprocess=to_float),
        output_dir=str(folder),
        settings=EvalSettings(),
        resumable=ResumableTest(folder=str(folder / "scores"), about={"checkpoint": checkpoint}),
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_test_goes_on_with_the_rest(tmp_path, number, code):
    expected = scored(tmp_path / "whole", Stopping())
    first, second = Stopping(stop_at=2, number=number), Stopping()
    with pytest.raises(Interrupted, match=r"after batch 3 of 6.*the same command goes on") as raised:
        scored(tmp_path, first)
    assert raised.value.exit_code == code
    result = scored(tmp_path, second)
    assert (first.given, second.given) == ([0, 1, 2], [3, 4, 5])
    np.testing.assert_array_equal(result.score_NK, expected.score_NK)
    np.testing.assert_array_equal(result.label_N, expected.label_N)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test_results.json", "test_results.npz", "whole"]


def test_another_test_begins_anew(tmp_path):
    with pytest.raises(Interrupted):
        scored(tmp_path, Stopping(stop_at=1))
    other = Stopping()
    scored(tmp_path, other, checkpoint="b")
    assert other.given == list(range(VIDEOS))


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_cut_or_changed_record_is_scored_again(tmp_path, damage):
    expected = scored(tmp_path / "whole", Stopping())
    with pytest.raises(Interrupted):
        scored(tmp_path, Stopping(stop_at=2))
    part = tmp_path / "scores" / "part_00000.scores"
    content = bytearray(part.read_bytes())
    record = len(content) // 6  # of three videos of two views
    content[3 * record + 30] ^= 255
    part.write_bytes(content if damage == "changed" else content[: 3 * record + 30])
    again = Stopping()
    result = scored(tmp_path, again)
    assert again.given == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(result.score_NK, expected.score_NK)


def test_a_full_folder_of_an_ended_test_scores_nothing(tmp_path):
    log = ScoreLog(str(tmp_path), {}, **SIZES)
    for video in range(VIDEOS):
        log.append(torch.full((2,), video), torch.arange(2), torch.zeros(2).long(), torch.rand(2, 3))
    log.close()
    again = ScoreLog(str(tmp_path), {}, **SIZES)
    again.close()
    assert again.scored == set(range(VIDEOS))
    assert len(again.found) == VIDEOS * VIEWS


def test_scores_of_more_processes_are_all_found(tmp_path, monkeypatch):
    for rank, videos in ((0, (0, 2)), (1, (1,))):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        log = ScoreLog(str(tmp_path), {}, **SIZES)
        for video in videos:
            log.append(torch.full((2,), video), torch.arange(2), torch.zeros(2).long(), torch.rand(2, 3))
        log.close()
    assert sorted(path.name for path in tmp_path.glob("part_*")) == ["part_00000.scores", "part_00001.scores"]
    monkeypatch.undo()
    again = ScoreLog(str(tmp_path), {}, **SIZES)
    again.close()
    assert again.scored == {0, 1, 2}
