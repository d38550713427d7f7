"""Latency: what is run and how often; peak memory: against a module whose need is known."""

import torch
from torch import nn

from pytorchvideo_autox3d.analysis import measure_latency, peak_memory


def test_runs_are_interleaved_and_warmed_up():
    calls = []
    result = measure_latency({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, warm_up=2, repeats=3)
    assert calls == ["a", "b"] * 5
    assert result["a"].repeats == 3
    assert 0 <= result["b"].fastest <= result["b"].median <= result["b"].slowest


class Three(nn.Module):
    """Holds three copies of its input at once, then returns their sum."""

    def forward(self, x):
        copies = [x.clone() for _ in range(3)]
        return torch.stack(copies).sum(0)


def test_peak_memory_of_known_tensors():
    x = torch.zeros(1, 3, 4, 64, 64)
    # Three copies and the stacked tensor of three more are alive together; then the sum.
    size = x.numel() * 4
    assert 6 * size <= peak_memory(Three(), x) <= 7.5 * size
