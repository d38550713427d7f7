"""Resident memory over 2,000 steps: of a loader with its worker, of the trainer, of the recogniser, as slopes.

Each is looked at in a process of its own: in one that has freed memory before, a leak would fill that first, unseen.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.data import build_loader
from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    Hook,
    Runtime,
    TrainSettings,
    build_optimizer,
    make_schedule,
    train,
)
from pytorchvideo_autox3d.predict import Recognizer
from tests.data.test_worker_watch import Blank
from tests.engine.helpers import SyntheticLoader, tiny_model, to_float
from tests.predict.conftest import CARD, by_brightness, grey_frames
from tests.processes import FRESH

STEPS, WARM_UP, EVERY = 2000, 500, 50
# Bytes over the 1,500 steps after the warm-up: one float a step would be nothing, one clip a step far more.
MOST = 1.5e6

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident size from /proc")


class Sizes:
    """Resident bytes of this process, and of others, at every so many steps after the warm-up."""

    def __init__(self, *others: int) -> None:
        self.processes = ("self", *map(str, others))
        self.at: list[int] = []
        self.bytes: list[int] = []

    def look(self, step: int) -> None:
        if step < WARM_UP or step % EVERY:
            return
        self.at.append(step)
        self.bytes.append(sum(self._resident(process) for process in self.processes))

    def growth(self) -> float:
        """The slope times the steps looked at: bytes."""
        slope, _ = np.polyfit(self.at, self.bytes, 1)
        return float(slope * (STEPS - WARM_UP))

    @staticmethod
    def _resident(process: str) -> int:
        with open(f"/proc/{process}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def in_fresh_process(measure) -> float:
    """What `measure()` gives in a process that has done nothing but imports."""
    with ProcessPoolExecutor(1, mp_context=FRESH) as pool:
        return pool.submit(measure).result(timeout=300)


def growth_of_a_leak() -> float:
    sizes, kept = Sizes(), []
    for step in range(STEPS):
        kept.append(np.ones(4000, np.uint8))
        sizes.look(step)
    return sizes.growth()


def test_the_slope_of_what_leaks_is_seen():
    assert in_fresh_process(growth_of_a_leak) > 3 * MOST


class ManyBlank(Blank):
    paths = [f"{number}.mp4" for number in range(STEPS // 4)]


def growth_of_loader_and_worker() -> float:
    loader = build_loader(ManyBlank(-1, None), batch_size=1, shuffle=True, drop_last=True, num_workers=1)
    sizes, step = Sizes(), 0
    for epoch in range(4):
        loader.set_epoch(epoch)
        for _ in loader:
            if len(sizes.processes) == 1:
                sizes = Sizes(*(worker.pid for worker in loader._loader._iterator._workers))
            sizes.look(step)
            step += 1
    return sizes.growth()


def test_loader_with_its_worker():
    assert in_fresh_process(growth_of_loader_and_worker) < MOST


def growth_of_recognizer() -> float:
    recognizer, sizes = Recognizer(by_brightness, CARD, device="cpu", workers=0), Sizes()
    frames = grey_frames([40, 80] * 4)
    for step in range(STEPS):
        recognizer(frames, fps=10)
        sizes.look(step)
    return sizes.growth()


def test_recognizer():
    assert in_fresh_process(growth_of_recognizer) < MOST


class Look(Hook):
    def __init__(self) -> None:
        self.sizes = Sizes()

    def after_step(self, loop) -> None:
        self.sizes.look(loop.global_step)


def growth_of_trainer(folder) -> float:
    model, look = tiny_model(), Look()
    train(
        model,
        SyntheticLoader(batches=STEPS // 10, batch_size=1),
        optimizer=build_optimizer(model, base_lr=0.01),
        schedule=make_schedule(base_lr=0.01, max_epoch=10),
        loss=CrossEntropy(),
        runtime=Runtime(device=torch.device("cpu"), preprocess=to_float),
        output_dir=str(folder),
        settings=TrainSettings(max_epoch=10, checkpoint_period=1, log_period=1000),
        extra_hooks=[look],
    )
    return look.sizes.growth()


def test_trainer(tmp_path):
    assert in_fresh_process(partial(growth_of_trainer, tmp_path)) < MOST
