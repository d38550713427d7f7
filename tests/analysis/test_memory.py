"""Peak memory against functions whose need is known."""

import torch
from torch import nn

from pytorchvideo_autox3d.analysis import peak_bytes_of, peak_memory


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


def test_the_peak_is_of_what_is_alive_at_once():
    def one_after_another():
        for _ in range(5):
            torch.zeros(1 << 20)

    def all_at_once():
        return [torch.zeros(1 << 20) for _ in range(5)]

    size, cpu = 4 << 20, torch.device("cpu")
    assert size <= peak_bytes_of(one_after_another, cpu) <= 2.1 * size
    assert 5 * size <= peak_bytes_of(all_at_once, cpu) <= 5.1 * size
