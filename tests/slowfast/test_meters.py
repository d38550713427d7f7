"""The exact meter over a meter with PySlowFast's interface, written here."""

import sys
from types import ModuleType

import pytest
import torch
from fvcore.common.timer import Timer

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.slowfast.meters import detection_meter, exact_meter, install_meters


class SummingMeter:
    """Adds up scores by clip number // views."""

    def __init__(self, num_videos, num_clips, num_cls):
        self.num_clips = num_clips
        self.video_preds = torch.zeros(num_videos, num_cls)
        self.clip_count = torch.zeros(num_videos, dtype=torch.long)
        self.finalized = None
        self.reset()

    def reset(self):
        self.video_preds.zero_()
        self.clip_count.zero_()

    def update_stats(self, preds, labels, clip_ids):
        for row in range(len(preds)):
            self.video_preds[int(clip_ids[row]) // self.num_clips] += preds[row]
            self.clip_count[int(clip_ids[row]) // self.num_clips] += 1

    def finalize_metrics(self, ks=(1, 5)):
        self.finalized = ks


def feed(meter, clips):
    preds = torch.tensor([[float(clip), 1.0] for clip in clips])
    meter.update_stats(preds, torch.zeros(len(clips), dtype=torch.long), torch.tensor(clips))


def test_repeated_clips_count_once():
    meter = exact_meter(SummingMeter)(2, 2, 2)
    feed(meter, [3, 0, 3])
    feed(meter, [1, 2, 0])
    meter.finalize_metrics()
    assert meter.clip_count.tolist() == [2, 2]
    assert meter.video_preds.tolist() == [[1.0, 2.0], [5.0, 2.0]]
    assert meter.finalized == (1, 5)


def test_a_batch_of_repeats_alone_changes_nothing():
    meter = exact_meter(SummingMeter)(1, 2, 2)
    feed(meter, [0, 1])
    feed(meter, [1])
    assert meter.clip_count.tolist() == [2]


def test_reset_forgets():
    meter = exact_meter(SummingMeter)(1, 1, 2)
    feed(meter, [0])
    meter.reset()
    feed(meter, [0])
    assert meter.clip_count.tolist() == [1]


def test_a_missing_view_is_an_error():
    meter = exact_meter(SummingMeter)(3, 2, 2)
    feed(meter, [0, 1, 2, 4, 5])
    with pytest.raises(EvaluationError, match="1 of 3 videos lack views: video 1 has 1 of 2"):
        meter.finalize_metrics()


class BoxMeter:
    """Keeps what it is given, with the interface of PySlowFast's AVAMeter."""

    def __init__(self):
        self.stats, self.logged, self.iter_timer = [], [], Timer()

    def iter_toc(self):
        self.iter_timer.pause()  # raises where it is paused already

    def update_stats(self, preds, ori_boxes, metadata, loss=None, lr=None):
        self.stats.append((preds, ori_boxes, metadata, loss, lr))

    def log_iter_stats(self, cur_epoch, cur_iter):
        self.logged.append((cur_epoch, cur_iter))


def test_a_batch_of_boxes_counts_once():
    meter = detection_meter(BoxMeter)()
    scores, boxes, metadata = torch.rand(3, 80), torch.rand(3, 5), torch.tensor([[0, 902], [0, 902], [1, 903]])
    meter.iter_toc()
    meter.update_stats(scores, boxes, metadata)
    meter.log_iter_stats(None, 7)
    meter.iter_toc()
    meter.update_stats(scores, torch.zeros(3, 80), torch.tensor([0, 1]))  # as for clips: labels, their numbers
    meter.log_iter_stats(7)
    assert len(meter.stats) == 1
    assert meter.stats[0][1] is boxes
    assert meter.logged == [(None, 7)]


def test_the_loss_of_a_training_step_is_kept():
    meter = detection_meter(BoxMeter)()
    meter.update_stats(None, None, None, 0.5, 0.1)
    assert meter.stats == [(None, None, None, 0.5, 0.1)]


def test_installation_reaches_modules_that_have_it_already(monkeypatch):
    names = ("slowfast", "slowfast.utils", "slowfast.utils.meters", "some_test_net")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    meters = sys.modules["slowfast.utils.meters"]
    sys.modules["slowfast.utils"].meters = meters
    meters.TestMeter = sys.modules["some_test_net"].TestMeter = SummingMeter
    meters.AVAMeter = BoxMeter
    install_meters()
    install_meters()
    assert meters.TestMeter is sys.modules["some_test_net"].TestMeter
    assert meters.TestMeter.__mro__[1:3] == (SummingMeter, object)
    assert meters.AVAMeter.__mro__[1:3] == (BoxMeter, object)
