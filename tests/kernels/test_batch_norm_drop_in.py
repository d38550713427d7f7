"""The fused batch norm in the places where a drop-in goes wrong: tiny maps, odd gradients, switches, other norms."""

import copy

import pytest
import torch
from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytorchvideo_autox3d.kernels import accelerate, batch_norm_cpu, depthwise_cpu, depthwise_kernels
from pytorchvideo_autox3d.kernels.batch_norm import FusedBatchNormAct3d, batch_norm_kernels
from pytorchvideo_autox3d.layers.mbconv import MBConv3D
from pytorchvideo_autox3d.layers.norms import SyncBatchNorm3d, replace_norms
from tests.kernels.test_batch_norm import Chain, check, make_map, results, uses_kernel


def drawn(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.5


# ------------------------------------------------------------------------------------------------ shapes, options


@pytest.mark.parametrize("shape", [(7, 19, 1, 1, 1), (1, 19, 1, 1, 9), (1, 19, 9, 1, 1), (1, 16, 1, 3, 3)])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "sliced"])
def test_one_pixel_and_one_clip(shape, layout):
    x = make_map(shape, layout, torch.Generator().manual_seed(2))
    check(Chain(shape[1], "silu", excite=True), x, drawn(shape), 3e-4)


def test_one_pixel_of_one_clip_in_evaluation():
    check(Chain(17, "relu", excite=True).eval(), drawn((1, 17, 1, 1, 1)), None, 1e-5)


@settings(deadline=None, max_examples=25)
@given(
    channels=st.integers(4, 40),
    eps=st.sampled_from((1e-5, 1e-3, 0.5)),
    momentum=st.sampled_from((0.1, 1.0, None)),
    tracked=st.booleans(),
    activation=st.sampled_from(("none", "relu", "silu")),
)
def test_options_of_the_norm(channels, eps, momentum, tracked, activation):
    chain = Chain(channels, activation, eps=eps, momentum=momentum, track_running_stats=tracked)
    check(chain, drawn((2, channels, 2, 3, 5), channels), None, 3e-4)


@settings(deadline=None, max_examples=25)
@given(wanted=st.lists(st.booleans(), min_size=8, max_size=8), training=st.booleans())
def test_any_subset_of_gradients(wanted, training):
    """x, residual, the norm's two and the excitation's four: those asked for are right, the others are not there."""
    found = []
    for make in (lambda chain: chain, lambda chain: chain.separate):
        chain = Chain(16, "silu", excite=True).train(training)
        leaves = [drawn((2, 16, 2, 3, 4)), drawn((2, 16, 2, 3, 4), 1), *chain.parameters()]
        for leaf, gradient in zip(leaves, wanted, strict=True):
            leaf.requires_grad_(gradient)
        out = make(chain)(*leaves[:2])
        assert out.requires_grad == any(wanted)
        if any(wanted):
            (out * drawn(out.shape, 3)).sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for ours, theirs, gradient in zip(*found, wanted, strict=True):
        assert (ours is not None) == (theirs is not None) == gradient
        if gradient:
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("change", ["expanded", "transposed", "contiguous"])
def test_gradients_of_any_layout(change):
    chain, x = Chain(24, "relu"), drawn((2, 24, 3, 4, 4)).requires_grad_()
    grad = drawn((2, 24, 3, 4, 4), 1)
    grad = {
        "expanded": grad[:, :, :1].expand_as(grad),
        "transposed": grad.transpose(3, 4),
        "contiguous": grad.contiguous(),
    }[change]
    leaves = [x, *chain.parameters()]
    actual = torch.autograd.grad(chain(x), leaves, grad)
    torch.testing.assert_close(actual, torch.autograd.grad(chain.separate(x), leaves, grad), rtol=1e-3, atol=1e-4)


def test_switching_between_training_and_evaluation():
    ours, theirs = Chain(16, "relu"), Chain(16, "relu")
    for number, training in enumerate((True, False, True, True, False)):
        x = drawn((2, 16, 2, 3, 4), number).requires_grad_()
        actual, expected = ours.train(training)(x), theirs.train(training).separate(x)
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
        mine, other = (torch.autograd.grad(out.square().sum(), x)[0] for out in (actual, expected))
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)
    for name, buffer in theirs.norm.named_buffers():
        torch.testing.assert_close(ours.norm.get_buffer(name), buffer)


def test_autocast_trains_as_the_separate_layers_do():
    x, found = drawn((2, 16, 2, 3, 4)), []
    for enabled in (True, False):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv3d(16, 16, 1), nn.BatchNorm3d(16), nn.ReLU(), nn.Conv3d(16, 4, 1))
        accelerate(net)
        with batch_norm_kernels(enabled), torch.autocast("cpu", torch.bfloat16):
            out = net(x)
        assert out.dtype == torch.bfloat16
        out.float().square().sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    assert (found[0] - found[1]).norm() <= 2e-2 * found[1].norm()


# -------------------------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("openmp", [True, False])
@pytest.mark.parametrize("past_caches", [True, False])
def test_same_result_for_any_number_of_threads_however_it_runs(openmp, past_caches, monkeypatch):
    if not openmp:
        monkeypatch.setattr(depthwise_cpu.threads(), "_openmp", None)
    monkeypatch.setattr(batch_norm_cpu, "_PAST_CACHES_BYTES", 0 if past_caches else 1 << 40)
    x, residual, grad = (drawn((3, 48, 5, 16, 23), seed) for seed in range(3))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            chain = Chain(48, "relu")
            found.append(results(chain, chain, x, residual, grad))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


# ---------------------------------------------------------------------------------------------- what finds norms


def make_block():
    torch.manual_seed(0)
    return nn.Sequential(MBConv3D(8, 8, inner_channels=16), FusedBatchNormAct3d(8))


def test_precise_statistics_are_those_of_the_separate_layers():
    clips = [drawn((2, 8, 2, 4, 4), seed) for seed in range(4)]
    ours, theirs = make_block(), make_block()
    with depthwise_kernels(False):
        update_bn_stats(ours, clips, num_iters=4)
        with batch_norm_kernels(False):
            update_bn_stats(theirs, clips, num_iters=4)
    assert len(get_bn_modules(ours)) == 4
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("convert", ["torch", "ours"])
def test_synchronised_norms_take_the_separate_layers(convert):
    block = MBConv3D(8, 8, inner_channels=16)
    keys = list(block.state_dict())
    if convert == "torch":
        block = nn.SyncBatchNorm.convert_sync_batchnorm(block).eval()
    else:
        replace_norms(block, SyncBatchNorm3d)
    assert list(block.state_dict()) == keys
    x = drawn((2, 8, 2, 4, 4))
    with depthwise_kernels(False):
        assert not uses_kernel(lambda: block(x))
        expected = copy.deepcopy(block)
        with batch_norm_kernels(False):
            assert torch.equal(block(x), expected(x))


def test_a_network_keeps_its_state_and_checkpoints_go_both_ways():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv3d(8, 16, 1), nn.BatchNorm3d(16), nn.SiLU())
    ours = copy.deepcopy(plain)
    assert accelerate(ours) == 1
    x = drawn((2, 8, 2, 4, 4))
    for net in (plain, ours):
        net(x)
    assert {n: (t.shape, t.dtype) for n, t in ours.state_dict().items()} == {
        n: (t.shape, t.dtype) for n, t in plain.state_dict().items()
    }
    fresh = nn.Sequential(nn.Conv3d(8, 16, 1), nn.BatchNorm3d(16), nn.SiLU())
    fresh.load_state_dict(ours.state_dict())
    ours.load_state_dict(plain.state_dict())
    torch.testing.assert_close(fresh.eval()(x), plain.eval()(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.eval()(x), plain(x), rtol=1e-4, atol=1e-5)


def test_an_accelerated_network_exports_plain_layers():
    net = nn.Sequential(nn.Conv3d(8, 16, 1), nn.BatchNorm3d(16), nn.SiLU()).eval()
    accelerate(net)
    x = drawn((2, 8, 2, 4, 4))
    program = torch.export.export(net, (x,))
    assert not any("autox3d" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), net(x), rtol=1e-4, atol=1e-5)
    jacobian = torch.func.vmap(lambda one: net(one[None])[0])(x)  # a functional transform
    torch.testing.assert_close(jacobian, net(x), rtol=1e-4, atol=1e-5)
