"""Fusing: equal outputs, nothing left to fold, the given model untouched."""

import copy

import pytest
import torch
from pytorchvideo.models.x3d import create_x3d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.errors import ExportError
from pytorchvideo_autox3d.export import fuse_for_inference
from pytorchvideo_autox3d.export.fuse import FusedConv3d, fold
from pytorchvideo_autox3d.kernels import depthwise_kernels
from pytorchvideo_autox3d.layers import MBConv3D
from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from tests.export.helpers import random_clip, tiny_architecture, tiny_model, unsettled


def norms_of(model):
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@pytest.mark.parametrize("bias", [False, True])
def test_folding_is_the_affine_map_of_a_bn(bias):
    conv = nn.Conv3d(4, 6, (1, 3, 3), groups=2, bias=bias).double()
    clip = random_clip(2, 4, 3, 5, 6).double()
    norm = unsettled(nn.BatchNorm3d(6).double(), conv(clip))
    weight, shift = fold(conv.weight, conv.bias, norm)
    expected = norm(conv(clip))
    assert torch.allclose(nn.functional.conv3d(clip, weight, shift, groups=2), expected, atol=1e-12)


def test_folding_a_bn_without_affine_parameters():
    conv = nn.Conv3d(2, 3, 1).double()
    norm = nn.BatchNorm3d(3, affine=False).double().eval()
    norm.running_mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
    norm.running_var.copy_(torch.tensor([4.0, 0.25, 1.0]))
    clip = random_clip(1, 2, 2, 3, 3).double()
    weight, shift = fold(conv.weight, conv.bias, norm)
    assert torch.allclose(nn.functional.conv3d(clip, weight, shift), norm(conv(clip)), atol=1e-12)


@pytest.mark.parametrize("name", ["AutoX3D", "X3D", "MobileNetV2_3D", "SlowFast", "TSM_ResNet"])
def test_registered_models(name):
    torch.manual_seed(0)
    # In float64, where what rounding does to a random network is far below what a mistake does.
    arguments = {"architecture": tiny_architecture()} if name == "AutoX3D" else {}
    model = MODEL_REGISTRY.get(name)(model_num_class=5, **arguments).double()
    with depthwise_kernels(False):  # what is compared with; and each kind in float64 takes seconds to compile
        model = unsettled(model, random_clip(2, 3, 8, 33, 32, seed=2).double())
    before = copy.deepcopy(model.state_dict())
    fused = fuse_for_inference(model)
    clip = random_clip(2, 3, 8, 33, 32).double()
    with torch.inference_mode():
        found = fused(clip)
        with depthwise_kernels(False):
            expected = model(clip)
    assert (expected[0] - expected[1]).abs().max() > 0.1 * expected.abs().max()
    assert (found - expected).abs().max() <= 1e-9 * expected.abs().max()
    assert not norms_of(fused)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("kernel", [(t, s) for t in (1, 3, 5) for s in (3, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_kernel_of_table_1(kernel, stride):
    torch.manual_seed(0)
    block = MBConv3D(3, 6, inner_channels=8, kernel=kernel, stride=stride, se_ratio=0.25)
    clip = random_clip(2, 3, 4, 9, 8).double()
    with depthwise_kernels(False):  # `test_registered_models` runs them
        block = unsettled(block.double(), random_clip(2, 3, 4, 9, 8, seed=2).double())
        fused = fuse_for_inference(block)
        with torch.inference_mode():
            expected, found = block(clip), fused(clip)
    assert (found - expected).abs().max() <= 1e-9 * expected.abs().max()
    assert not norms_of(fused)


def test_activations_go_into_the_convolutions():
    fused = fuse_for_inference(tiny_model())
    block = fused.blocks[1].block2
    assert isinstance(block.expand, FusedConv3d)
    assert block.expand.activation == "relu"
    assert isinstance(block.activation, nn.Identity)
    # The second block of a stage has no squeeze-excitation, so that its SiLU follows the depthwise convolution.
    assert block.depthwise.activation == "silu"
    first = fused.blocks[1].block1
    assert first.depthwise.activation == "none"
    assert isinstance(first.inner_activation, nn.SiLU)
    assert not any(parameter.requires_grad for parameter in fused.parameters())


def test_training_mode_and_copies():
    model = tiny_model()
    clip = random_clip(1, 3, 5, 32, 32)
    expected = model(clip)
    fused = fuse_for_inference(model.train())
    assert model.training
    assert not fused.training
    with torch.no_grad():
        fused(clip)
        again = copy.deepcopy(fused)(clip)
    assert torch.allclose(again, expected, atol=1e-5)
    assert torch.allclose(fused(clip), expected, atol=1e-5)  # outside no_grad, by plain operators


def test_pytorchvideos_own_x3d_with_its_swish():
    model = create_x3d(input_clip_length=4, input_crop_size=64, depth_factor=0.5, model_num_class=5)
    clip = random_clip(1, 3, 4, 64, 64)
    model = unsettled(model, clip)
    fused = fuse_for_inference(model, clip.shape)
    with torch.no_grad():
        assert torch.allclose(fused(clip), model(clip), atol=1e-5)
    assert not any(type(module).__name__ == "Swish" for module in fused.modules())


class Twice(nn.Module):
    """A convolution whose output is read twice, and one that runs twice: neither may be folded."""

    def __init__(self):
        super().__init__()
        self.read_twice, self.norm = nn.Conv3d(3, 3, 1), nn.BatchNorm3d(3)
        self.run_twice, self.other = nn.Conv3d(3, 3, 1), nn.BatchNorm3d(3)

    def forward(self, clip):
        read = self.read_twice(clip)
        clip = read + self.norm(read)
        return self.other(self.run_twice(self.run_twice(clip)))


def test_what_is_used_twice_is_left_alone():
    model = unsettled(Twice())
    clip = random_clip(2, 3, 2, 4, 4)
    fused = fuse_for_inference(model, clip.shape)
    assert len(norms_of(fused)) == 2
    with torch.no_grad():
        assert torch.allclose(fused(clip), model(clip), atol=1e-6)


class Before(nn.Conv3d):
    def forward(self, clip):
        return super().forward(clip.flip(2))


class After(nn.Conv3d):
    def forward(self, clip):
        return super().forward(clip).square()


@pytest.mark.parametrize(("kind", "left"), [(Before, 0), (After, 1)])
def test_convolutions_with_a_forward_of_their_own_are_folded_where_that_is_the_same(kind, left):
    clip = random_clip(2, 3, 4, 6, 6)
    model = unsettled(nn.Sequential(kind(3, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU()), clip)
    fused = fuse_for_inference(model, clip.shape)
    assert len(norms_of(fused)) == left
    assert type(fused[0]) is kind
    with torch.no_grad():
        assert torch.allclose(fused(clip), model(clip), atol=1e-5)


def test_a_clip_that_does_not_fit():
    with pytest.raises(ExportError, match=r"does not run on a clip \(1, 4, 5, 32, 32\)"):
        fuse_for_inference(tiny_model(), (1, 4, 5, 32, 32))
