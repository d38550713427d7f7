"""Whole models put on the kernels: the same results, the same modules, and nothing touched that isn't known."""

import copy
import io
import pickle

import pytest
import torch
from pytorchvideo.layers.swish import Swish
from pytorchvideo.models.csn import create_csn
from pytorchvideo.models.slowfast import create_slowfast
from pytorchvideo.models.x3d import create_x3d
from torch import nn

from pytorchvideo_autox3d.kernels import DepthwiseConv3d, accelerate, depthwise_kernels
from pytorchvideo_autox3d.kernels.fused_layers import FusedSequential, run_layers
from tests.kernels.operators import Recorder

FUSED = torch.ops.autox3d.batch_norm_act.default


@pytest.fixture(autouse=True)
def _without_depthwise_kernels():
    with depthwise_kernels(False):  # what they do is tested beside them; here they would only be compiled
        yield


def x3d():
    net = create_x3d(input_clip_length=4, input_crop_size=32, model_num_class=5, depth_factor=0.5, dropout_rate=0.0)
    return net, [(2, 3, 4, 32, 32)]


def csn():
    net = create_csn(model_depth=50, stem_dim_out=16, model_num_class=5, dropout_rate=0.0, head_pool=None)
    return nn.Sequential(*net.blocks[:3]), [(2, 3, 4, 16, 16)]


def slowfast():
    net = create_slowfast(model_depth=18, stem_dim_outs=(16, 8), slowfast_channel_reduction_ratio=(2,), head=None)
    return nn.Sequential(*net.blocks[:3]), [(2, 3, 2, 32, 32), (2, 3, 8, 32, 32)]


def run(net, shapes):
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    out = net(clips[0] if len(clips) == 1 else clips)
    outs = out if isinstance(out, list) else [out]
    sum(one.square().mean() for one in outs).backward()
    return outs, {name: p.grad for name, p in net.named_parameters()}, dict(net.named_buffers())


@pytest.mark.parametrize("make", [x3d, csn, slowfast])
def test_trains_and_evaluates_the_same(make):
    torch.manual_seed(0)
    plain, shapes = make()
    plain = plain.double()
    ours = copy.deepcopy(plain)
    norms = sum(isinstance(module, nn.BatchNorm3d) for module in plain.modules())
    assert accelerate(ours) > 0
    with Recorder() as recorder:
        actual = run(ours, shapes)
    assert recorder.count("autox3d.batch_norm_act.") == norms
    assert recorder.count("aten.native_batch_norm") == 0
    activations = sum(isinstance(module, nn.ReLU | Swish) for module in plain.modules())
    if make is not x3d:  # whose squeeze-excitations and head have activations without a norm
        assert recorder.count("aten.relu") == 0 < activations
    torch.testing.assert_close(actual, run(plain, shapes), rtol=1e-7, atol=1e-9)
    plain.zero_grad(), ours.zero_grad()
    torch.testing.assert_close(run(ours.eval(), shapes), run(plain.eval(), shapes), rtol=1e-7, atol=1e-9)


def test_swaps_in_place():
    model, calls = x3d()[0], []
    convs = [m for m in model.modules() if isinstance(m, nn.Conv3d) and m.groups > 1]
    convs[1].register_forward_hook(lambda *_: calls.append("conv"))
    model.blocks[1].res_blocks[0].branch2.norm_a.register_forward_hook(lambda *_: calls.append("norm"))
    model.blocks[2].res_blocks[0].branch2.register_forward_hook(lambda *_: calls.append("branch"))
    convs[2].eval()
    parameters, keys, classes = list(model.parameters()), list(model.state_dict()), [type(m) for m in model.modules()]
    assert accelerate(model) > len(convs)
    assert accelerate(model) == 0
    assert all(type(conv) is DepthwiseConv3d for conv in convs)
    assert all(isinstance(m, old) for m, old in zip(model.modules(), classes, strict=True))
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert keys == list(model.state_dict())
    assert not convs[2].training
    model(torch.randn(1, 3, 4, 32, 32))
    assert calls == ["norm", "conv", "branch"]


def test_copies_and_pickles():
    block = x3d()[0].blocks[3].res_blocks[1].branch2.double().eval()
    accelerate(block)
    clip = torch.randn(1, 96, 2, 4, 4, dtype=torch.float64)
    stored = io.BytesIO()
    torch.save(block, stored)
    stored.seek(0)
    for other in (copy.deepcopy(block), pickle.loads(pickle.dumps(block)), torch.load(stored, weights_only=False)):
        assert [type(m) for m in other.modules()] == [type(m) for m in block.modules()]
        with Recorder() as recorder:
            torch.testing.assert_close(other(clip), block(clip))
        assert recorder.count("autox3d.batch_norm_act.") > 0


def test_another_fusion_than_addition_is_kept():
    plain = x3d()[0].double().blocks[3].res_blocks[1]
    nn.init.ones_(plain.branch2.norm_c.weight)
    plain.branch_fusion = lambda x, y: x - y
    ours = copy.deepcopy(plain)
    accelerate(ours)
    clip = torch.randn(1, 96, 2, 4, 4, dtype=torch.float64)
    out = ours(clip)
    torch.testing.assert_close(out, plain(clip))
    assert not torch.allclose(out, torch.relu(clip + plain.branch2(clip)))


class Bottleneck(nn.Module):
    """A branch as PySlowFast's, which is known by its full name."""

    __module__, __qualname__ = "slowfast.models.resnet_helper", "X3DTransform"

    def __init__(self):
        super().__init__()
        self.a, self.a_bn, self.a_relu = nn.Conv3d(8, 16, 1), nn.BatchNorm3d(16), nn.ReLU(inplace=True)
        self.b, self.b_bn, self.b_relu = nn.Conv3d(16, 16, 1), nn.BatchNorm3d(16), Swish()
        self.c, self.c_bn = nn.Conv3d(16, 8, 1), nn.BatchNorm3d(8)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


class Residual(nn.Module):
    """A residual block as PySlowFast's, with its stochastic depth."""

    __module__, __qualname__ = "slowfast.models.resnet_helper", "ResBlock"

    def __init__(self, projects, drop):
        super().__init__()
        if projects:
            self.branch1, self.branch1_bn = nn.Conv3d(8, 8, 1), nn.BatchNorm3d(8)
        self.branch2, self.relu, self._drop_connect_rate = Bottleneck(), nn.ReLU(inplace=True), drop

    def forward(self, x):
        out = self.branch2(x)
        if self.training and self._drop_connect_rate > 0.0:
            out = 0.5 * out
        shortcut = self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x
        return self.relu(shortcut + out)


@pytest.mark.parametrize(("projects", "drop", "fused"), [(True, 0.0, 4), (False, 0.0, 3), (False, 0.5, 3)])
def test_blocks_of_pyslowfast(projects, drop, fused):
    torch.manual_seed(0)
    plain = Residual(projects, drop).double()
    ours = copy.deepcopy(plain)
    assert accelerate(ours) == 2
    with Recorder() as recorder:
        actual = run(ours, [(2, 8, 2, 3, 3)])
    assert recorder.count("autox3d.batch_norm_act.") == fused
    assert recorder.count("aten.add.Tensor") == (2 if drop else 1)  # one is the loss's
    torch.testing.assert_close(actual, run(plain, [(2, 8, 2, 3, 3)]), rtol=1e-8, atol=1e-10)


def test_a_sequence_fuses_what_stands_in_a_row():
    torch.manual_seed(0)
    layers = [nn.Conv3d(3, 8, 1), nn.BatchNorm3d(8), nn.ReLU(), nn.Sequential(nn.BatchNorm3d(8)), nn.SiLU(), nn.ReLU()]
    plain = nn.Sequential(*layers).double()
    ours = copy.deepcopy(plain)
    assert accelerate(ours) == 2
    assert type(ours) is type(ours[3]) is FusedSequential
    clip = torch.randn(2, 3, 2, 4, 4, dtype=torch.float64)
    with Recorder() as recorder:
        out = ours(clip)
    assert recorder.seen.count(FUSED) == 2
    assert recorder.count("aten.relu") == 1
    torch.testing.assert_close(out, plain(clip))
    residual = torch.randn(2, 8, 2, 4, 4, dtype=torch.float64)
    expected = torch.relu(plain[:2](clip) + residual)
    torch.testing.assert_close(run_layers(plain[:2], clip, residual=residual, activation=nn.ReLU()), expected)
    # An activation between the norm and the residual is no part of the sum.
    expected = plain[:3](clip) + residual
    torch.testing.assert_close(run_layers(plain[:3], clip, residual=residual), expected)


def test_a_layer_that_stands_twice_in_an_inner_sequence_runs_twice():
    torch.manual_seed(0)
    relu, norm = nn.ReLU(), nn.BatchNorm3d(8)
    inner = nn.Sequential(norm, relu, nn.Conv3d(8, 8, 1), norm, relu, nn.Conv3d(8, 8, 1), relu)
    plain = nn.Sequential(nn.Conv3d(3, 8, 1), nn.BatchNorm3d(8), inner).double()
    ours = copy.deepcopy(plain)
    assert accelerate(ours) == 2
    expected = run(plain, [(2, 3, 2, 4, 4)])
    torch.testing.assert_close(run(ours, [(2, 3, 2, 4, 4)]), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("index", [1, 2])
def test_a_forward_put_on_a_layer_itself_is_called(index):
    net = nn.Sequential(nn.Conv3d(3, 8, 1), nn.BatchNorm3d(8), nn.ReLU())
    net[index].forward = lambda x: x + 100
    accelerate(net)
    assert net(torch.randn(2, 3, 2, 4, 4)).min() > 50
