"""I3D and S3D-G: what differs from torchvision's S3D, and what must not."""

import torch
from torch import nn
from torchvision.models.video import S3D

from pytorchvideo_autox3d.models.systems.inception import SelfGating
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


def test_ungated_it_is_torchvisions_s3d():
    torch.manual_seed(0)
    ours = MODEL_REGISTRY.get("S3D_G")(model_num_class=3, dropout_rate=0.0).eval()
    theirs = S3D(num_classes=3, norm_layer=lambda channels: nn.BatchNorm3d(channels, eps=1e-3)).eval()
    features = nn.Sequential(*(layer for block in ours.blocks[:-1] for layer in block))
    gates = [module for module in features.modules() if isinstance(module, SelfGating)]
    # The stem's two, and two branches of nine blocks.
    assert len(gates) == 2 + 2 * 9
    for gate in gates:
        nn.init.zeros_(gate.fc.weight)
        nn.init.constant_(gate.fc.bias, 30.0)  # a sigmoid of one
    state = {key: tensor for key, tensor in features.state_dict().items() if ".fc." not in key}
    theirs.features.load_state_dict(state)
    clip = torch.randn(1, 3, 16, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours.forward_features(clip), theirs.features(clip), atol=1e-4)


def test_gating_by_hand():
    gate = SelfGating(4)
    x = torch.randn(2, 4, 3, 5, 6)
    means = x.mean(dim=(2, 3, 4))
    factor = torch.sigmoid(means @ gate.fc.weight.flatten(1).T + gate.fc.bias)
    assert torch.allclose(gate(x), x * factor[:, :, None, None, None], atol=1e-6)


def test_i3d_is_the_inflated_inception():
    with torch.device("meta"):
        model = MODEL_REGISTRY.get("I3D_Inception")(in_channels=2)
    kernels = [conv.kernel_size for conv in model.modules() if isinstance(conv, nn.Conv3d)]
    assert kernels[0] == (7, 7, 7)
    # 3x3x3: the stem's second, and two a block; 1x1x1: the stem's, and four a block.
    assert kernels.count((3, 3, 3)) == 1 + 2 * 9
    assert kernels.count((1, 1, 1)) == 1 + 4 * 9
    features = model.forward_features(torch.zeros(1, 2, 64, 224, 224, device="meta"))
    assert features.shape == (1, 1024, 8, 7, 7)
