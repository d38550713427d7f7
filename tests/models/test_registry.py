"""Every registered model: one contract for input, output, gradients, head and batch."""

import inspect

import pytest
import torch
from pytorchvideo.models.net import Net

from pytorchvideo_autox3d import models  # noqa: F401  (registers them)
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

OURS = [
    "AutoX3D", "X3D", "MobileNetV2_3D", "SlowFast", "Slow", "C2D", "I3D_ResNet", "R2Plus1D_Bottleneck", "IR_CSN",
    "I3D_Inception", "S3D_G", "MFNet", "R2Plus1D_Basic", "IP_CSN", "TSM_ResNet", "TSM_MobileNetV2", "STM_ResNet",
    "GST_ResNet", "SmallBigNet", "VoV3D_M", "VoV3D_L", "MobileNetV2_3D_Fitted",
]  # fmt: skip
# The shallowest form, where one is enough.
OPTIONS = {"R2Plus1D_Basic": {"model_depth": 18}}
CLASSES = 5


@pytest.fixture(scope="module", params=OURS)
def model(request):
    torch.manual_seed(0)
    build = MODEL_REGISTRY.get(request.param)
    options = OPTIONS.get(request.param, {})
    return build(model_num_class=CLASSES, input_clip_length=4, input_crop_size=32, dropout_rate=0.0, **options)


def test_a_net_with_the_head_last(model):
    assert isinstance(model, Net)
    assert model.blocks[-1].proj.out_features == CLASSES
    assert (model.input_clip_length, model.input_crop_size) == (4, 32)


def test_logits_in_train_and_eval_from_a_tensor_or_a_list_of_one(model):
    clip = torch.randn(2, 3, 4, 32, 32)
    assert model.train()(clip).shape == (2, CLASSES)
    model.eval()
    with torch.no_grad():
        logits = model(clip)
        assert torch.equal(model([clip]), logits)
        # Logits, no probabilities: the head is linear in its classifier's weights, a softmax would not be.
        model.blocks[-1].proj.weight.mul_(3)
        model.blocks[-1].proj.bias.mul_(3)
        assert torch.allclose(model(clip), 3 * logits, rtol=1e-4, atol=1e-5)


def test_clips_of_other_sizes_run(model):
    model.eval()
    with torch.no_grad():
        for size in ((5, 33, 46), (8, 48, 32), (4, 64, 64)):
            assert model(torch.randn(1, 3, *size)).shape == (1, CLASSES)


def test_every_parameter_has_a_gradient(model):
    model.train()
    model.zero_grad()
    torch.nn.functional.cross_entropy(model(torch.randn(2, 3, 4, 32, 32)), torch.tensor([0, 3])).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_clip_of_the_batch_does_not_depend_on_the_others(model):
    model.eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model(clips)[1:], model(clips[1:]), rtol=1e-3, atol=1e-4)


def test_features_and_a_new_classifier(model):
    model.eval()
    clip = torch.randn(1, 3, 4, 64, 64)
    with torch.no_grad():
        features = model.forward_features(clip)
        assert features.shape[1] == model.num_features
        assert torch.equal(model.blocks[-1](features), model(clip))
        model.reset_classifier(3)
        assert model(clip).shape == (1, 3)
        received = []
        model.blocks[-1].proj.register_forward_pre_hook(lambda module, inputs: received.append(inputs[0]))
        model(clip)
        model.reset_classifier(0)
        assert torch.equal(model(clip), received[0].mean((1, 2, 3)) if received[0].ndim == 5 else received[0])
        assert not [name for name in model.state_dict() if name.startswith(f"blocks.{len(model.blocks) - 1}.proj")]
        model.reset_classifier(CLASSES)
        assert model(clip).shape == (1, CLASSES)
    with pytest.raises(ModelError, match="num_classes"):
        model.reset_classifier(-1)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (torch.zeros(2, 4, 4, 32, 32), r"got \(2, 4, 4, 32, 32\)"),
        (torch.zeros(3, 4, 32, 32), r"got \(3, 4, 32, 32\)"),
        (torch.zeros(1, 3, 0, 32, 32), r"got \(1, 3, 0, 32, 32\)"),
        (torch.zeros(1, 3, 4, 32, 32, dtype=torch.uint8), "float clip, got torch.uint8"),
        ([torch.zeros(1, 3, 4, 32, 32)] * 2, "a list of 2"),
        (None, "got NoneType"),
    ],
)
def test_a_wrong_clip_is_refused_in_one_line(model, clip, message):
    with pytest.raises(ModelError, match=message) as caught:
        model(clip)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OURS)
def test_keyword_arguments_only_and_the_common_ones_accepted(name):
    parameters = inspect.signature(MODEL_REGISTRY.get(name)).parameters
    for argument in ("model_num_class", "input_clip_length", "input_crop_size", "dropout_rate"):
        assert parameters[argument].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    ("argument", "value"), [("model_num_class", 0), ("input_clip_length", 2.5), ("dropout_rate", 1.0)]
)
def test_arguments_out_of_range_are_refused(name, argument, value):
    with pytest.raises(ModelError, match=argument):
        MODEL_REGISTRY.get(name)(**{argument: value})
