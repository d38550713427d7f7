"""Latency: what is run and how often."""

from pytorchvideo_autox3d.analysis import measure_latency


def test_runs_are_interleaved_and_warmed_up():
    calls = []
    result = measure_latency({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, warm_up=2, repeats=3)
    assert calls == ["a", "b"] * 5
    assert result["a"].repeats == 3
    assert 0 <= result["b"].fastest <= result["b"].median <= result["b"].slowest
