"""Latency: what is run and how often."""

import torch
from torch import nn

from pytorchvideo_autox3d.analysis import measure_latency, whole_network_ms


def test_runs_are_interleaved_and_warmed_up():
    calls = []
    result = measure_latency({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, warm_up=2, repeats=3)
    assert calls == ["a", "b"] * 5
    assert result["a"].repeats == 3
    assert 0 <= result["b"].fastest <= result["b"].median <= result["b"].slowest


def test_a_whole_network_is_run_in_its_batch_and_the_threads_are_put_back():
    class Seen(nn.Module):
        shapes: list = []

        def forward(self, clip_BCTHW):
            self.shapes.append((tuple(clip_BCTHW.shape), torch.get_num_threads(), self.training))
            return clip_BCTHW

    before = torch.get_num_threads()
    assert whole_network_ms(Seen(), (2, 4, 5), batch=3, threads=2) > 0
    assert set(Seen.shapes) == {((3, 3, 2, 4, 5), 2, False)}
    assert torch.get_num_threads() == before
