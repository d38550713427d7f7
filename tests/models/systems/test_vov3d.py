"""T-OSA: what it joins, and how far in time it sees."""

import torch

from pytorchvideo_autox3d.models.systems.vov3d import TOSA
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


def test_the_joined_channels_see_three_to_eleven_frames():
    torch.manual_seed(0)
    module = TOSA(8, 6, 8, expansion=1.5, stride=1).eval()
    x = torch.randn(1, 8, 21, 2, 2)
    seen = []
    module.join.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        module(x)
        x[:, :, 10] = 100 * torch.randn(8, 2, 2)
        module(x)
    assert seen[0].shape[1] == 5 * 6
    moved = (seen[1] - seen[0]).abs().amax(dim=(0, 3, 4)) > 0
    for number in range(5):
        frames = moved[number * 6 : number * 6 + 6].any(dim=0).nonzero().flatten()
        assert frames.min() >= 10 - (number + 1)
        assert frames.max() <= 10 + (number + 1)
    # The last bottleneck sees farther than the first.
    assert moved[24:].any(dim=0).sum() > moved[:6].any(dim=0).sum()


def test_kernels_are_factorised():
    with torch.device("meta"):
        model = MODEL_REGISTRY.get("VoV3D_L")()
    depthwise = [m for m in model.blocks[1:].modules() if isinstance(m, torch.nn.Conv3d) and m.groups > 1]
    assert {m.kernel_size for m in depthwise} == {(1, 3, 3), (3, 1, 1)}
    assert len(depthwise) == 2 * 5 * (1 + 2 + 4 + 3)
