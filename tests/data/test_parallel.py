import os
import signal
from functools import partial
from pathlib import Path

import pytest

from pytorchvideo_autox3d.data.parallel import in_processes


def square(number: int) -> int:
    return number * number


def die_of_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def call(step):
    return step()


def leave(folder: Path, name: str) -> str:
    with (folder / name).open("x"):  # fails the second time
        return name


def await_two(folder: Path) -> None:
    while len(list(folder.iterdir())) < 2:
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def test_in_this_process():
    assert list(in_processes(square, [1, 2, 3], workers=0)) == [(1, 1), (2, 4), (3, 9)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dying_process_costs_its_item_alone(workers):
    results = sorted(in_processes(die_of_three, range(8), workers=workers))
    assert results == [(n, None if n == 3 else n * n) for n in range(8)]


def test_what_is_finished_when_a_process_dies_is_not_done_again(tmp_path):
    steps = [partial(await_two, tmp_path), partial(leave, tmp_path, "a"), partial(leave, tmp_path, "b")]
    results = [result for _, result in in_processes(call, steps, workers=2)]
    assert sorted(results, key=str) == [None, "a", "b"]
