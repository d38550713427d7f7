import threading

import pytest

from pytorchvideo_autox3d.data.time_limit import MOST_ABANDONED, call_within
from pytorchvideo_autox3d.errors import DataError, DecodeError


@pytest.fixture
def hang():
    """A call that does not return before the test ends."""
    release = threading.Event()
    yield release.wait
    release.set()
    for thread in threading.enumerate():
        if thread.name == "decode":
            thread.join()


def test_gives_the_result_or_the_error():
    assert call_within(lambda: 3, seconds=30, path="a.mp4") == 3
    assert call_within(lambda: 3, seconds=0, path="a.mp4") == 3
    with pytest.raises(ZeroDivisionError):
        call_within(lambda: 1 / 0, seconds=30, path="a.mp4")


def test_abandons_what_hangs_and_names_the_file(hang):
    with pytest.raises(DecodeError, match=r"a\.mp4: decoding took more than 0\.05 s and was abandoned"):
        call_within(hang, seconds=0.05, path="a.mp4")


def test_abandoned_calls_do_not_pile_up(hang):
    before = threading.active_count()
    for number in range(MOST_ABANDONED):
        with pytest.raises(DecodeError):
            call_within(hang, seconds=0.01, path=f"{number}.mp4")
    # An error that no policy skips: else every file of a share that is gone would cost a thread.
    with pytest.raises(
        DataError, match=r"last\.mp4: decoding took .* \(0\.mp4, 1\.mp4, .*is their storage within reach"
    ):
        call_within(hang, seconds=0.01, path="last.mp4")
    assert threading.active_count() <= before + MOST_ABANDONED + 1


def test_a_call_that_returns_late_counts_no_longer():
    for _ in range(2 * MOST_ABANDONED):
        release = threading.Event()
        with pytest.raises(DecodeError):
            call_within(release.wait, seconds=0.01, path="a.mp4")
        release.set()
        for thread in threading.enumerate():
            if thread.name == "decode":
                thread.join()


def test_no_thread_is_left_behind():
    before = threading.active_count()
    for _ in range(5):
        call_within(lambda: None, seconds=30, path="a.mp4")
    assert threading.active_count() <= before
