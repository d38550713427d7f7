"""Baselines: what differs from pytorchvideo's builders, and what must not."""

import pytest
import torch
from pytorchvideo.models.x3d import create_x3d
from torch import nn

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import baselines, slowfast_net  # noqa: F401  (they register them)
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


def test_x3d_equals_pytorchvideos_at_the_training_size():
    ours = MODEL_REGISTRY.get("X3D")(model_num_class=4, input_clip_length=3, input_crop_size=64).eval()
    theirs = create_x3d(
        model_num_class=4, input_clip_length=3, input_crop_size=64, inner_act=nn.SiLU, head_activation=None
    ).eval()
    theirs.load_state_dict(ours.state_dict())
    clip = torch.randn(1, 3, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(clip), theirs(clip), atol=1e-5)


@pytest.mark.parametrize(("frames", "alpha", "slow"), [(32, 8, 4), (32, 4, 8), (13, 4, 4), (1, 8, 1)])
def test_slowfast_packs_its_pathways(frames, alpha, slow):
    model = MODEL_REGISTRY.get("SlowFast")(model_num_class=3, alpha=alpha).eval()
    clip = torch.arange(frames, dtype=torch.float32).view(1, 1, frames, 1, 1).expand(1, 3, frames, 4, 4)
    slow_clip, fast_clip = model._prepare(clip)
    assert torch.equal(fast_clip, clip)
    assert slow_clip.shape[2] == slow
    times = slow_clip[0, 0, :, 0, 0]
    assert times[0] == 0
    assert slow == 1 or times[-1] == frames - 1
    with torch.no_grad():
        assert model(torch.randn(1, 3, frames, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize("name", ["Slow", "C2D", "I3D_ResNet", "R2Plus1D_Bottleneck", "IR_CSN", "SlowFast"])
def test_an_unknown_depth_is_an_error(name):
    with pytest.raises(ModelError, match="model_depth 49 is not one of 50, 101, 152"):
        MODEL_REGISTRY.get(name)(model_depth=49)
