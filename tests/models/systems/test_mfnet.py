"""MF-Net: fibers, and the multiplexer between them."""

import torch

from pytorchvideo_autox3d.models.systems.mfnet import MultiFiberUnit
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


def test_without_its_multiplexer_a_unit_keeps_the_fibers_apart():
    torch.manual_seed(0)
    unit = MultiFiberUnit(32, 32, (1, 1, 1)).eval()
    x = torch.randn(1, 32, 3, 4, 4)
    changed = x.clone()
    changed[:, :2] += 1  # the first of 16 fibers
    with torch.no_grad():
        assert ((unit(changed) - unit(x)).abs().amax(dim=(0, 2, 3, 4)) > 1e-6)[2:].any()
        unit.multiplexer[1].conv.weight.zero_()
        moved = (unit(changed) - unit(x)).abs().amax(dim=(0, 2, 3, 4)) > 1e-6
    assert moved[:2].all()
    assert not moved[2:].any()


def test_stages_and_sizes():
    with torch.device("meta"):
        model = MODEL_REGISTRY.get("MFNet")()
    clip = torch.zeros(1, 3, 16, 224, 224, device="meta")
    sizes = []
    for block in model.blocks[:5]:
        clip = block(clip)
        sizes.append(tuple(clip.shape[1:]))
    assert sizes == [(16, 16, 56, 56), (96, 8, 56, 56), (192, 8, 28, 28), (384, 8, 14, 14), (768, 8, 7, 7)]
