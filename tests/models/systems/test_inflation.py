"""2-D modules as modules of clips: the same function of every frame."""

import torch
from torch import nn

from pytorchvideo_autox3d.models.systems.inflation import conv_like, inflated


def test_every_frame_goes_through_the_2d_network():
    torch.manual_seed(0)
    flat = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), 2, (1, 2), bias=False),
        nn.Sequential(nn.BatchNorm2d(8, eps=0.1), nn.ReLU()),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 4, 3, groups=4),
    ).eval()
    state = {key: value.unsqueeze(2) if value.ndim == 4 else value for key, value in flat.state_dict().items()}
    x = torch.randn(2, 3, 5, 17, 23)
    with torch.no_grad():
        expected = torch.stack([flat(x[:, :, t]) for t in range(5)], dim=2)
        clips = inflated(flat).eval()
        clips.load_state_dict(state)
        assert torch.allclose(clips(x), expected, atol=1e-6)


def test_other_input_channels():
    conv = conv_like(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.Conv3d, in_channels=2)
    assert conv.weight.shape == (8, 2, 1, 7, 7)
    assert conv_like(conv, nn.Conv3d).weight.shape == conv.weight.shape
