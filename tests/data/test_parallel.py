import os
import signal

from pytorchvideo_autox3d.data.parallel import in_processes


def square(number: int) -> int:
    return number * number


def die_of_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def test_in_this_process():
    assert list(in_processes(square, [1, 2, 3], workers=0)) == [(1, 1), (2, 4), (3, 9)]


def test_a_dying_process_costs_its_item_alone():
    results = dict(in_processes(die_of_three, range(8), workers=1))
    assert results == {n: None if n == 3 else n * n for n in range(8)}
