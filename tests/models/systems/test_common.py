"""Networks of two streams: their head adds up the streams' own logits."""

import pytest
import torch

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models.net import CommonArguments
from pytorchvideo_autox3d.models.systems.common import join_streams
from pytorchvideo_autox3d.models.systems.temporal_shift import SHIFT_DIVISOR
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


@pytest.fixture(scope="module")
def joined():
    torch.manual_seed(0)
    build = MODEL_REGISTRY.get("TSM_MobileNetV2")
    return join_streams(build, CommonArguments(4, 2, 32, 0.0, in_channels=5)).eval()


def test_logits_are_the_sum_of_the_streams_logits(joined):
    clip = torch.randn(2, 5, 2, 32, 32)
    head, streams = joined.blocks[-1].proj, joined.blocks[0]
    with torch.no_grad():
        rgb = streams.rgb(clip[:, :3]).mean(dim=(2, 3, 4)) @ head.weight[:, :1280].T
        flow = streams.flow(clip[:, 3:]).mean(dim=(2, 3, 4)) @ head.weight[:, 1280:].T
        assert torch.allclose(joined(clip), rgb + flow + head.bias, atol=1e-5)


def test_the_contract(joined):
    assert joined.in_channels == 5
    assert joined.num_features == 2560
    with pytest.raises(ModelError, match=r"expected a clip of shape \(B, 5, T, H, W\), got \(1, 3, 2, 32, 32\)"):
        joined(torch.zeros(1, 3, 2, 32, 32))
    joined.reset_classifier(3)
    assert joined(torch.zeros(1, 5, 2, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize(
    ("name", "single"), [("I3D_TwoStream", "I3D_Inception"), ("R2Plus1D_TwoStream", "R2Plus1D_Basic")]
)
def test_the_registered_pairs(name, single):
    with torch.device("meta"):
        pair, rgb = MODEL_REGISTRY.get(name)(), MODEL_REGISTRY.get(single)()
        flow = MODEL_REGISTRY.get(single)(in_channels=2)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (pair, rgb, flow)]
    # One bias for the two heads.
    assert sizes[0] == sizes[1] + sizes[2] - 400
    assert (pair.input_clip_length, pair.input_crop_size) == (rgb.input_clip_length, rgb.input_crop_size)


def test_the_shift_moves_an_eighth_each_way():
    assert SHIFT_DIVISOR == 8
