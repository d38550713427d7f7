"""The loop alone, with a step that only counts."""

import os
import pickle
import signal

import pytest
import torch

from pytorchvideo_autox3d.engine import Hook, TrainLoop
from pytorchvideo_autox3d.errors import CheckpointError, TrainingError, TrainingInterrupted
from tests.engine.helpers import SyntheticLoader


class CountingStep:
    """Loss 1, 2, 3, ...; keeps what it was fed."""

    def __init__(self) -> None:
        self.fed = []

    def __call__(self, batches, loop):
        self.fed.append([batch.clip_BCTHW.sum().item() for batch in batches])
        return {"loss": torch.tensor(float(len(self.fed)))}


class Recorder(Hook):
    def __init__(self) -> None:
        self.events = []

    def before_train(self, loop):
        self.events.append("before_train")

    def before_epoch(self, loop):
        self.events.append(f"epoch {loop.epoch}")

    def before_step(self, loop):
        self.events.append(f"step {loop.step_in_epoch} at {loop.progress:.3f}")

    def after_step(self, loop):
        self.events.append(f"loss {loop.scalars['loss']:g}")

    def after_epoch(self, loop):
        self.events.append(f"mean {loop.history[-1]['loss']:g}")

    def after_train(self, loop):
        self.events.append("after_train")


class StopAt(Hook):
    """Sends this process a signal at a global step, as Ctrl-C does."""

    def __init__(self, step, number=signal.SIGINT):
        self.step, self.number = step, number

    def before_step(self, loop):
        if loop.global_step == self.step:
            os.kill(os.getpid(), self.number)

    def on_interrupt(self, loop):
        self.state = loop.state_dict()
        return "here"


def test_the_order_of_events():
    recorder = Recorder()
    TrainLoop(CountingStep(), SyntheticLoader(batches=2), max_epoch=2, hooks=[recorder]).run()
    assert recorder.events == [
        "before_train",
        *["epoch 0", "step 0 at 0.000", "loss 1", "step 1 at 0.250", "loss 2", "mean 1.5"],
        *["epoch 1", "step 0 at 0.500", "loss 3", "step 1 at 0.750", "loss 4", "mean 3.5"],
        "after_train",
    ]


def test_accumulation_groups_batches_and_keeps_the_rest():
    step = CountingStep()
    loop = TrainLoop(step, SyntheticLoader(batches=5), max_epoch=1, accumulation=2)
    history = loop.run()
    assert loop.steps_per_epoch == 3
    assert [len(window) for window in step.fed] == [2, 2, 1]
    # Losses 1, 2, 3 over 8, 8 and 4 clips.
    assert history[0]["loss"] == pytest.approx((8 * 1 + 8 * 2 + 4 * 3) / 20)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_epoch_and_step(value):
    def step(batches, loop):
        return {"loss": torch.tensor(value if loop.global_step == 5 else 1.0)}

    recorder = Recorder()
    loop = TrainLoop(step, SyntheticLoader(batches=4), max_epoch=3, hooks=[recorder])
    with pytest.raises(TrainingError, match=r"epoch 2, step 2 of 4: the loss is (nan|inf)"):
        loop.run()
    assert recorder.events[-1] == "after_train"


def test_a_loss_that_is_not_finite_names_the_files_of_the_step():
    class Named(SyntheticLoader):
        def files(self, batch):
            return [f"{video}.mp4" for video in batch.video_B.tolist()]

    def step(batches, loop):
        return {"loss": torch.tensor(float("nan") if loop.global_step == 1 else 1.0)}

    loop = TrainLoop(step, Named(batches=4, batch_size=2), max_epoch=1, accumulation=2)
    with pytest.raises(TrainingError, match=r"step 2 of 2: .* it learnt from 4\.mp4, 5\.mp4, 6\.mp4, 7\.mp4;"):
        loop.run()


def test_counters_are_in_the_metrics_of_their_own_step():
    class Counts(Hook):
        counted = 0

        def before_step(self, loop):
            self.counted += 2

        def counters(self):
            return {"bad": float(self.counted)}

        def after_step(self, loop):
            assert loop.metrics["bad"] == self.counted

    assert TrainLoop(CountingStep(), SyntheticLoader(batches=3), max_epoch=1, hooks=[Counts()]).run()[0]["bad"] == 6


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_has_the_exit_code_of_its_signal(number, code):
    with pytest.raises(TrainingInterrupted) as raised:
        TrainLoop(CountingStep(), SyntheticLoader(), max_epoch=1, hooks=[StopAt(1, number)]).run()
    assert pickle.loads(pickle.dumps(raised.value)).exit_code == raised.value.exit_code == code


@pytest.mark.parametrize(("stop_at", "number"), [(2, signal.SIGINT), (5, signal.SIGTERM), (3, signal.SIGINT)])
def test_a_stop_finishes_the_step_and_a_resume_sees_the_rest(stop_at, number):
    whole = CountingStep()
    expected = TrainLoop(whole, SyntheticLoader(), max_epoch=2).run()

    stopper, first = StopAt(stop_at, number), CountingStep()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted, match="saved here: the same command resumes"):
        TrainLoop(first, SyntheticLoader(), max_epoch=2, hooks=[stopper]).run()
    assert signal.getsignal(signal.SIGINT) is before
    assert len(first.fed) == stop_at + 1

    loop = TrainLoop(first, SyntheticLoader(), max_epoch=2)
    loop.load_state_dict(stopper.state)
    history = loop.run()
    assert first.fed == whole.fed
    assert [record["loss"] for record in history] == [record["loss"] for record in expected]


def test_a_stop_in_the_last_step_lets_the_training_end():
    assert len(TrainLoop(CountingStep(), SyntheticLoader(), max_epoch=1, hooks=[StopAt(3)]).run()) == 1


def test_a_second_ctrl_c_stops_at_once():
    class Impatient(StopAt):
        def after_step(self, loop):
            os.kill(os.getpid(), self.number)

    with pytest.raises(KeyboardInterrupt):
        TrainLoop(CountingStep(), SyntheticLoader(), max_epoch=1, hooks=[Impatient(1)]).run()


def test_mid_epoch_state_needs_the_same_epoch():
    stopper = StopAt(1)
    with pytest.raises(TrainingInterrupted):
        TrainLoop(CountingStep(), SyntheticLoader(batches=4), max_epoch=1, hooks=[stopper]).run()
    with pytest.raises(CheckpointError, match=r"after step 2 of 4.* now has 3"):
        TrainLoop(CountingStep(), SyntheticLoader(batches=3), max_epoch=1).load_state_dict(stopper.state)


def test_nothing_to_train():
    with pytest.raises(TrainingError, match="no batch"):
        TrainLoop(CountingStep(), SyntheticLoader(batches=0), max_epoch=1)
    with pytest.raises(TrainingError, match="0 epochs"):
        TrainLoop(CountingStep(), SyntheticLoader(), max_epoch=0)


def test_a_loader_that_ends_early_is_named():
    class Short(SyntheticLoader):
        def __len__(self):
            return self.batches + 1

    with pytest.raises(TrainingError, match="epoch 1, step 5 of 5: the loader ended early"):
        TrainLoop(CountingStep(), Short(batches=4), max_epoch=1).run()
