import threading

import pytest

from pytorchvideo_autox3d.data.time_limit import call_within
from pytorchvideo_autox3d.errors import DecodeError


def test_gives_the_result_or_the_error():
    assert call_within(lambda: 3, seconds=30, path="a.mp4") == 3
    assert call_within(lambda: 3, seconds=0, path="a.mp4") == 3
    with pytest.raises(ZeroDivisionError):
        call_within(lambda: 1 / 0, seconds=30, path="a.mp4")


def test_abandons_what_hangs_and_names_the_file():
    release = threading.Event()
    with pytest.raises(DecodeError, match=r"a\.mp4: decoding took more than 0\.05 s and was abandoned"):
        call_within(release.wait, seconds=0.05, path="a.mp4")
    release.set()


def test_no_thread_is_left_behind():
    before = threading.active_count()
    for _ in range(5):
        call_within(lambda: None, seconds=30, path="a.mp4")
    assert threading.active_count() <= before
