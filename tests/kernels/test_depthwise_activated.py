"""The depthwise convolution with bias and activation in one operator, against torch's separate ones in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels.depthwise import depthwise_conv3d, depthwise_kernels

KERNEL = torch.ops.autox3d.depthwise_conv3d_activated.default


class Layer(torch.nn.Conv3d):
    """A convolution, its bias and an activation through the function under test."""

    activation = "none"

    def forward(self, clip):
        return depthwise_conv3d(clip, self.weight, self.bias, self.stride, self.padding, activation=self.activation)


def module(activation, dtype=torch.float32, **options):
    torch.manual_seed(0)
    layer = Layer(19, 19, 3, padding=1, groups=19, dtype=dtype, **options)
    layer.activation = activation
    return layer


def in_float64(conv, clip, activation):
    bias = None if conv.bias is None else conv.bias.double()
    out = F.conv3d(clip.double(), conv.weight.double(), bias, conv.stride, conv.padding, 1, conv.groups)
    return {"none": out, "relu": out.clamp(min=0), "silu": out / (1 + torch.exp(-out))}[activation]


@pytest.mark.parametrize(
    ("activation", "dtype", "tolerance", "options"),
    [
        ("silu", torch.float32, 1e-6, {}),
        ("silu", torch.float64, 1e-14, {}),
        ("relu", torch.bfloat16, 1e-2, {"stride": (1, 2, 2)}),
        ("none", torch.float32, 1e-6, {}),
        ("relu", torch.float32, 1e-6, {"bias": False}),
    ],
)
def test_agrees_with_separate_layers(activation, dtype, tolerance, options):
    conv = module(activation, dtype, **options)
    clip = (3 * torch.randn((2, 19, 3, 5, 23), generator=torch.Generator().manual_seed(1))).to(dtype)
    with torch.no_grad():
        out = conv(clip)
        expected = in_float64(conv, clip, activation)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    assert (out.double() - expected).norm() <= tolerance * expected.norm()


def test_silu_over_its_whole_range():
    values = torch.cat((torch.linspace(-100, 100, 4001), torch.tensor([float("nan"), float("inf"), -1e30, 1e-30])))
    clip = values.view(1, 1, 1, 1, -1).expand(1, 16, 1, 1, -1)
    weight, bias = torch.ones(16, 1, 1, 1, 1), torch.zeros(16)
    out = depthwise_conv3d(clip, weight, bias, activation="silu")[0, 5, 0, 0]
    expected = (values.double() * torch.sigmoid(values.double())).float()
    assert out[-4].isnan()
    assert out[-3] == float("inf")
    torch.testing.assert_close(out[:-4], expected[:-4], rtol=1e-6, atol=1e-35)
    torch.testing.assert_close(out[-2:], expected[-2:], rtol=1e-6, atol=1e-7)


def test_training_and_the_switch_use_the_separate_layers():
    conv, clip = module("silu"), torch.randn(1, 19, 2, 4, 5)
    out = conv(clip)
    assert out.requires_grad
    weight_grad, bias_grad = torch.autograd.grad(out.square().sum(), (conv.weight, conv.bias))
    reference = in_float64(conv, clip, "silu")
    expected = torch.autograd.grad(reference.square().sum(), (conv.weight, conv.bias))
    torch.testing.assert_close((weight_grad, bias_grad), expected, rtol=1e-4, atol=1e-5)
    with depthwise_kernels(False), torch.no_grad():
        torch.testing.assert_close(conv(clip).double(), reference.detach(), rtol=1e-5, atol=1e-5)


def test_registered_soundly_and_counted():
    conv, clip = module("silu"), torch.randn(1, 19, 2, 4, 5)
    arguments = (clip, conv.weight.detach(), conv.bias.detach(), 1, 1, "silu")
    torch.library.opcheck(KERNEL, arguments, test_utils=("test_schema", "test_faketensor"))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        conv(clip)
    assert counter.get_total_flops() == 2 * clip.numel() * 27


def test_tracing_keeps_the_activation():
    conv, clip = module("silu").eval(), torch.randn(1, 19, 2, 4, 5)
    with torch.no_grad():
        expected = conv(clip)
        traced = torch.jit.trace(conv, clip)
        assert "autox3d::" not in str(traced.inlined_graph)
        torch.testing.assert_close(traced(clip), expected)


def test_unknown_activation_is_named():
    with pytest.raises(ModelError, match="activation 'gelu' is none of none, relu, silu"):
        module("gelu")(torch.randn(1, 19, 2, 4, 5))
