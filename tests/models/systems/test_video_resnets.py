"""R(2+1)D and ip-CSN on torchvision's video ResNet."""

import pytest
import torch
from torch import nn
from torchvision.models.video import r2plus1d_18

from pytorchvideo_autox3d import models  # noqa: F401  (registers them)
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


def test_at_depth_18_it_is_torchvisions():
    torch.manual_seed(0)
    theirs = r2plus1d_18(num_classes=3).eval()
    ours = MODEL_REGISTRY.get("R2Plus1D_Basic")(model_num_class=3, model_depth=18).eval()
    stages = ("stem", "layer1", "layer2", "layer3", "layer4")
    for block, stage in zip(ours.blocks, stages, strict=False):
        block.load_state_dict(getattr(theirs, stage).state_dict())
    ours.blocks[-1].proj.load_state_dict(theirs.fc.state_dict())
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.allclose(ours(clip), theirs(clip), atol=1e-4)


@pytest.mark.parametrize(("depth", "blocks"), [(50, 16), (101, 33)])
def test_csn_mixes_channels_only_at_single_positions(depth, blocks):
    with torch.device("meta"):
        model = MODEL_REGISTRY.get("IP_CSN")(model_depth=depth)
    convs = [conv for conv in model.modules() if isinstance(conv, nn.Conv3d)][1:]
    wide = [conv for conv in convs if conv.kernel_size != (1, 1, 1)]
    assert len(wide) == blocks
    assert all(conv.groups == conv.in_channels and conv.kernel_size == (3, 3, 3) for conv in wide)
    # Interaction-preserved: three 1x1x1 convolutions a block, and four shortcuts.
    assert len(convs) - len(wide) == 3 * blocks + 4


def test_depths():
    with pytest.raises(ModelError, match="model_depth 50 is not one of 18, 34"):
        MODEL_REGISTRY.get("R2Plus1D_Basic")(model_depth=50)
