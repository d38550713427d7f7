"""What is rewritten before ExecuTorch's quantiser, where ExecuTorch is installed."""

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.export import lower_to_4d
from pytorchvideo_autox3d.export.frames import fold_clip
from tests.export.helpers import random_clip

pytest.importorskip("executorch")


class Padded(nn.Module):
    """Two convolutions over time whose frames are padded by one and by two, with pixels around them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(3, 4, 3, padding=1)
        self.second = nn.Conv3d(4, 2, (5, 1, 3), stride=(2, 1, 1), padding=(2, 0, 1))

    def forward(self, clip):
        return self.second(self.first(clip)).mean((2, 3, 4))


def test_frames_of_zeros_are_joined_and_the_numbers_stay():
    from pytorchvideo_autox3d.export.targets.executorch import _join_for_padding

    torch.manual_seed(0)
    clip = random_clip(1, 3, 5, 6, 7)
    lowered = lower_to_4d(Padded(), clip)
    graph = torch.export.export(lowered, (fold_clip(clip),)).module()
    expected = graph(fold_clip(clip))
    targets = [str(node.target) for node in graph.graph.nodes]
    assert targets.count("aten.pad.default") == 2
    _join_for_padding(graph)
    assert torch.equal(graph(fold_clip(clip)), expected)
    targets = [str(node.target) for node in graph.graph.nodes]
    assert not {"aten.pad.default", "aten.narrow.default"} & set(targets)
    assert targets.count("aten.zeros.default") == 4
