import json
import logging

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pytorchvideo_autox3d.engine import (
    DataTimeHook,
    EvalHook,
    HistoryHook,
    Hook,
    LogHook,
    LRHook,
    MetricHook,
    PeriodicHook,
    TensorBoardHook,
    TrainLoop,
    make_schedule,
)
from tests.engine.helpers import SyntheticLoader


def run(*hooks, max_epoch=2, batches=4):
    def step(batches, loop):
        return {"loss": torch.tensor(1.0 + loop.global_step), "top1_err": 50.0}

    return TrainLoop(step, SyntheticLoader(batches=batches), max_epoch=max_epoch, hooks=hooks).run()


def stats_lines(caplog, kind):
    lines = [json.loads(text.split("json_stats: ")[1]) for text in caplog.messages if "json_stats: " in text]
    return [line for line in lines if line["_type"] == kind]


def test_the_schedule_sets_the_rate_of_each_step():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=9.0)
    seen = []

    class Watch(Hook):
        def after_step(self, loop):
            seen.append(optimizer.param_groups[0]["lr"])

    schedule = make_schedule(base_lr=1.0, max_epoch=2)
    history = run(LRHook(optimizer, schedule), Watch(), batches=2)
    assert seen == pytest.approx([1.0, 0.8535533905932737, 0.5, 0.14644660940672627])
    assert [record["lr"] for record in history] == pytest.approx([seen[1], seen[3]])


def test_json_stats_lines(caplog):
    counts = iter(range(100))
    hooks = [
        MetricHook(lambda: {"bad_files": float(next(counts))}),
        EvalHook(lambda: {"top1_err": torch.tensor(25.0)}, period=2),
        LogHook(period=2),
    ]
    with caplog.at_level(logging.INFO, logger="pytorchvideo_autox3d"):
        run(*hooks, max_epoch=3)
    steps = stats_lines(caplog, "train_iter_")
    assert [line["iter"] for line in steps] == ["2/4", "4/4"] * 3
    assert [line["loss"] for line in steps] == [2, 4, 6, 8, 10, 12]
    assert [line["bad_files"] for line in steps] == [1, 3, 5, 7, 9, 11]
    assert {"dt", "dt_data", "dt_net", "eta", "epoch", "gpu_mem"} <= steps[0].keys()
    epochs = stats_lines(caplog, "train_epoch")
    assert [line["loss"] for line in epochs] == [2.5, 6.5, 10.5]
    assert epochs[-1]["eta"] == "0:00:00"
    validations = stats_lines(caplog, "val_epoch")
    assert [(line["epoch"], line["top1_err"]) for line in validations] == [("2/3", 25.0), ("3/3", 25.0)]


@pytest.mark.parametrize(
    ("periods", "expected"), [((2,), [2, 4, 5]), ((0,), []), ((3, 0), [3, 5]), ((2, 3), [2, 3, 4, 5])]
)
def test_periods_always_include_the_last_epoch(periods, expected):
    called = []
    run(PeriodicHook(lambda loop: called.append(loop.epoch + 1), *periods), max_epoch=5)
    assert called == expected


@pytest.mark.parametrize(("data_time", "compute_time", "warned"), [(3.0, 1.0, True), (1.0, 3.0, False), (0, 0, False)])
def test_slow_data_is_said_with_advice(caplog, data_time, compute_time, warned):
    class Times(Hook):
        def after_epoch(self, loop):
            loop.history[-1] |= {"data_time": data_time, "compute_time": compute_time}

    run(Times(), DataTimeHook(), max_epoch=1)
    assert ("75% of the time" in caplog.text and "DATA_LOADER.NUM_WORKERS" in caplog.text) == warned


def test_history_file_is_whole_after_each_epoch(tmp_path):
    lines = []

    class Read(Hook):
        def after_epoch(self, loop):
            lines.append((tmp_path / "history.jsonl").read_text().splitlines())

    history = run(EvalHook(lambda: {"top1_err": 30.0}, period=2), HistoryHook(str(tmp_path)), Read())
    assert [len(part) for part in lines] == [1, 2]
    assert [json.loads(line) for line in lines[-1]] == history
    assert [record.get("val") for record in history] == [None, {"top1_err": 30.0}]


def test_tensorboard_scalars(tmp_path):
    hooks = [EvalHook(lambda: {"top1_err": 30.0}, period=1), TensorBoardHook(str(tmp_path), period=2)]
    run(*hooks, max_epoch=2)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("Train/loss")] == [
        (2, 2.0),
        (4, 4.0),
        (6, 6.0),
        (8, 8.0),
    ]
    assert [event.step for event in events.Scalars("Val/Top1_err")] == [4, 8]
    assert "Train/Top1_err" in events.Tags()["scalars"]
