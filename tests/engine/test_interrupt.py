"""Whose SIGINT and SIGTERM are when the context is over."""

import os
import signal

import pytest

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.interrupt import STOP_SIGNALS, StopRequest


@pytest.fixture
def told():
    """Own handlers of both signals; the numbers that reached them."""
    numbers = []
    before = {number: signal.signal(number, lambda got, frame: numbers.append(got)) for number in STOP_SIGNALS}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_a_request_within_and_the_program_s_own_afterwards(told, number):
    with StopRequest() as stop:
        send(number)
        assert stop.requested
        assert stop.number == number
    assert told == []
    send(number)
    assert told == [number]


@pytest.mark.parametrize(("under_torchrun", "reaches"), [(False, [signal.SIGTERM]), (True, [])])
def test_the_way_out_of_an_error_is_not_cut_short_by_torchrun(told, monkeypatch, under_torchrun, reaches):
    monkeypatch.setattr(distributed, "under_torchrun", lambda: under_torchrun)
    with pytest.raises(ValueError, match="lost"), StopRequest():
        raise ValueError("lost")
    send(signal.SIGTERM)
    assert told == reaches
    send(signal.SIGINT)
    assert told == [*reaches, signal.SIGINT]
