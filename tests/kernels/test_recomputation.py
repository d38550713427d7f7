"""Activations computed again in the backward pass: the same gradients, and nothing kept."""

import copy
import weakref

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from pytorchvideo_autox3d.kernels import accelerate, depthwise_kernels, norm_act, recompute_activations
from pytorchvideo_autox3d.kernels.recomputation import call_without_keeping
from pytorchvideo_autox3d.layers.mbconv import MBConv3D


@pytest.fixture(autouse=True)
def _without_depthwise_kernels():
    with depthwise_kernels(False):
        yield


def block():
    torch.manual_seed(0)
    return MBConv3D(8, 8, inner_channels=16)


def sequence():
    torch.manual_seed(0)
    layers = [nn.Conv3d(8, 16, 1), nn.BatchNorm3d(16), nn.SiLU(), nn.Conv3d(16, 16, 3, padding=1), nn.BatchNorm3d(16)]
    net = nn.Sequential(*layers, nn.ReLU(), nn.Conv3d(16, 8, 1))
    accelerate(net)
    return net


@pytest.fixture
def clip():
    return torch.randn((2, 8, 3, 4, 5), generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.mark.parametrize("make", [block, sequence])
@pytest.mark.parametrize("training", [True, False])
def test_the_same_gradients_and_statistics(make, training, clip):
    found = []
    for recomputing in (False, True):
        net = make().train(training)
        with recompute_activations(recomputing):
            loss = net(clip).square().sum()
        found.append([loss, *torch.autograd.grad(loss, [clip, *net.parameters()]), *net.buffers()])
    assert all(map(torch.equal, *found))


def test_the_layer_behind_keeps_the_way_and_not_the_map():
    conv, source, calls = nn.Conv3d(8, 4, 1), torch.randn(2, 8, 3, 4, 5, requires_grad=True), []
    x = 2 * source
    x._autox3d_again = (lambda: calls.append("again") or 2 * source.detach()), x._version
    alive = weakref.ref(x)
    out = call_without_keeping(conv, x)
    del x
    assert alive() is None
    assert calls == []
    actual = torch.autograd.grad(out.sum(), conv.weight)
    assert calls == ["again"]
    torch.testing.assert_close(actual, torch.autograd.grad(conv(2 * source).sum(), conv.weight))


class Changing(nn.Module):
    """Changes its input in place before a convolution keeps it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(16, 16, 1)

    def forward(self, x):
        return self.conv(x.mul_(2))


@pytest.mark.parametrize(
    "make",
    [lambda: nn.LeakyReLU(0.3, inplace=True), lambda: nn.Hardswish(inplace=True), Changing],
    ids=["leaky", "hardswish", "inside"],
)
def test_what_is_changed_in_place_behind_the_norm_is_kept(make, clip):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv3d(8, 16, 1), nn.BatchNorm3d(16), make(), nn.Conv3d(16, 8, 1)).double()
    ours, found = copy.deepcopy(plain), []
    assert accelerate(ours) == 1
    for net in (plain, ours):
        with recompute_activations(True):
            loss = net(clip.double()).square().sum()
        found.append([loss, *torch.autograd.grad(loss, [clip, *net.parameters()])])
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-6)


def test_a_residual_changed_since_is_refused(clip):
    norm, conv, residual = nn.BatchNorm3d(8), nn.Conv3d(8, 4, 1), torch.randn(2, 8, 3, 4, 5)
    with recompute_activations(True):
        out = call_without_keeping(conv, norm_act(norm, None, clip, residual=residual))
    residual.add_(1)  # without an activation the norm doesn't keep it, so autograd doesn't watch it
    with pytest.raises(RuntimeError, match=r"shape \(2, 8, 3, 4, 5\).*modified by an inplace operation"):
        out.sum().backward()


def test_off_unless_asked_for_and_where_others_decide_what_is_kept(clip):
    net = sequence()
    hooked = []

    def saved(recomputing):
        hooked.clear()
        with recompute_activations(recomputing), saved_tensors_hooks(lambda t: hooked.append(t) or t, lambda t: t):
            net(clip)
        return len(hooked)

    assert saved(True) == saved(False)
    with recompute_activations(True):
        expected = torch.autograd.grad(net(clip).square().sum(), clip)
        other = copy.deepcopy(net)
        again = torch.autograd.grad(checkpoint(other, clip, use_reentrant=False).square().sum(), clip)
    torch.testing.assert_close(again, expected)
