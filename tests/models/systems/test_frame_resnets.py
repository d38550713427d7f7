"""ResNets of frames: the 2-D network is in them, and each system's options."""

import pytest
import torch
from torchvision.models import resnet50

from pytorchvideo_autox3d import models  # noqa: F401  (registers them)
from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


def test_tsm_of_a_single_frame_with_nothing_to_shift_is_the_2d_network():
    torch.manual_seed(0)
    flat = resnet50(num_classes=6).eval()
    model = MODEL_REGISTRY.get("TSM_ResNet")(model_num_class=6, input_clip_length=1, dropout_rate=0.0).eval()
    names = {"conv1": "blocks.0.conv1", "bn1": "blocks.0.bn1", "fc": "blocks.5.proj"}
    names |= {f"layer{n}": f"blocks.{n}" for n in range(1, 5)}
    state = {}
    for key, tensor in flat.state_dict().items():
        start, rest = key.split(".", 1)
        if start.startswith("layer") and rest.endswith("conv1.weight"):
            # The shifted quarter of a single frame is zero: here the 2-D network must not see it either.
            tensor = tensor.clone()
            tensor[:, : tensor.shape[1] // 8 * 2] = 0
        state[f"{names[start]}.{rest}"] = tensor.unsqueeze(2) if tensor.ndim == 4 else tensor
    model.load_state_dict(state)
    flat.load_state_dict(
        {
            key: state[f"{names[key.split('.', 1)[0]]}.{key.split('.', 1)[1]}"].view_as(tensor)
            for key, tensor in flat.state_dict().items()
        }
    )
    frame = torch.randn(2, 3, 40, 33)
    with torch.no_grad():
        assert torch.allclose(model(frame.unsqueeze(2)), flat(frame), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("units", [2, 3])
def test_smallbignet_adds_no_convolution_weights(units):
    with torch.device("meta"):
        plain = MODEL_REGISTRY.get("TSM_ResNet")()
        model = MODEL_REGISTRY.get("SmallBigNet")(units=units)
    shapes = [sorted(p.shape for p in net.parameters() if p.ndim > 1) for net in (plain, model)]
    assert shapes[0] == shapes[1]
    assert [m.stride for m in model.blocks[2][0].modules() if isinstance(m, torch.nn.Conv3d)][:2] == [
        (1, 2, 2),
        (1, 1, 1),
    ]


def test_gst_of_the_published_options():
    with torch.device("meta"):
        wide = MODEL_REGISTRY.get("GST_ResNet")(alpha=8, beta=1)
    # 35.4 GFLOPs is what the paper's Table 6 prints for GST.
    assert count_module(wide, (8, 224, 224)).gflops == pytest.approx(35.4, rel=0.03)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("TSM_ResNet", {"model_depth": 34}, "model_depth 34 is not one of 50, 101"),
        ("GST_ResNet", {"alpha": 3}, "alpha 3, beta 2: expected alpha 2, 4 or 8"),
        ("SmallBigNet", {"units": 4}, "units is 4, expected 1, 2 or 3"),
        ("STM_ResNet", {"in_channels": 0}, "in_channels must be a whole number"),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(ModelError, match=message):
        MODEL_REGISTRY.get(name)(**options)
