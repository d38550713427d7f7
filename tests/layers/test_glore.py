"""GloRe against the equations of its paper in float64, against a case worked out by hand, and for any clip size."""

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.layers import GloRe
from pytorchvideo_autox3d.layers.glore import NODE_RATIO, node_count


def parameters(block: GloRe) -> dict[str, np.ndarray]:
    """Weights as matrices and biases as vectors, float64."""
    return {name: p.detach().double().flatten(1).numpy() if p.ndim > 1 else p.detach().double().numpy()
            for name, p in block.named_parameters()}  # fmt: skip


def glore_by_its_paper(block: GloRe, clip_CL: np.ndarray) -> np.ndarray:
    """Chen et al., equations 2, 5 and the projection back, position by position and node by node, before BN.

    v_n = 1/L sum_l b_nl phi(x_l);  Z = relu(V + A V) W;  y_l = sum_n b_nl z_n;  out_l = extend y_l
    """
    p = parameters(block)
    phi = [p["state.weight"] @ x + p["state.bias"] for x in clip_CL.T]
    assign = [p["node.weight"] @ x + p["node.bias"] for x in clip_CL.T]
    nodes = range(len(assign[0]))
    v = [sum(b[n] * f for b, f in zip(assign, phi, strict=True)) / len(phi) for n in nodes]
    mixed = [v[n] + sum(p["mix_nodes.weight"][n, m] * v[m] for m in nodes) + p["mix_nodes.bias"][n] for n in nodes]
    z = [p["mix_states.weight"] @ np.maximum(row, 0) for row in mixed]
    return np.stack([p["extend.weight"] @ sum(b[n] * z[n] for n in nodes) for b in assign], axis=1)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 4), (5, 7, 2)])
def test_against_the_equations_of_its_paper(size):
    torch.manual_seed(0)
    block = GloRe(6, node_ratio=0.5)
    torch.nn.init.normal_(block.norm.weight)
    torch.nn.init.normal_(block.mix_nodes.bias)
    block.norm.running_var.uniform_(0.5, 2)
    block.eval()
    x = torch.randn(2, 6, *size)
    scale = (block.norm.weight / (block.norm.running_var + block.norm.eps).sqrt()).detach().double().numpy()
    with torch.no_grad():
        got = block(x)
    for clip, out in zip(x, got, strict=True):
        flat = clip.flatten(1).double().numpy()
        expected = flat + scale[:, None] * glore_by_its_paper(block, flat)
        np.testing.assert_allclose(out.flatten(1).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_by_hand_on_three_positions():
    """One channel with values 1, 2, 6; one node, two states.

    States phi = (x, -x), node b = x: v = (1 + 4 + 36) / 3 * (1, -1) = 41/3 (1, -1). A = 1: V + A V = 82/3 (1, -1), of
    which relu leaves (82/3, 0). W swaps the states: z = (0, 82/3). Back, y = x z, and the second state counts 3 times:
    out = 82 x. Weight and variance 1 of the normalisation leave x + 82 x.
    """
    block = GloRe(1, node_ratio=1.0, norm=lambda channels: torch.nn.BatchNorm3d(channels, eps=0.0))
    with torch.no_grad():
        block.state.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1, 1))
        block.node.weight.fill_(1.0)
        block.mix_nodes.weight.fill_(1.0)
        block.mix_states.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]).view(2, 2, 1))
        block.extend.weight.copy_(torch.tensor([7.0, 3.0]).view(1, 2, 1, 1, 1))
        block.norm.weight.fill_(1.0)
        for bias in (block.state.bias, block.node.bias, block.mix_nodes.bias):
            bias.zero_()
        x = torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 1, 1, 3)
        torch.testing.assert_close(block.eval()(x), 83 * x)


def test_positions_have_no_order():
    """A position gets what it gets by its channels alone: permuting positions permutes the result."""
    torch.manual_seed(0)
    block = GloRe(5).eval()
    torch.nn.init.ones_(block.norm.weight)
    x = torch.randn(1, 5, 2, 3, 4)
    order = torch.randperm(24)
    with torch.no_grad():
        permuted = block(x.flatten(2)[..., order].view_as(x))
        torch.testing.assert_close(permuted.flatten(2), block(x).flatten(2)[..., order], rtol=1e-4, atol=1e-5)


def test_widths():
    block = GloRe(24)
    assert block.node.out_channels == node_count(24) == round(24 * NODE_RATIO) == 30
    assert block.state.out_channels == 60
    assert node_count(1, 0.1) == 1


def test_scale_does_not_grow_with_the_clip():
    torch.manual_seed(0)
    block = GloRe(8)
    clip = torch.randn(1, 8, 2, 4, 4)
    # Each position four times over: means are the same, so every position gets what it got.
    larger = clip.repeat_interleave(2, 3).repeat_interleave(2, 4)
    torch.nn.init.ones_(block.norm.weight)
    block.eval()
    with torch.no_grad():
        expected = block(clip).repeat_interleave(2, 3).repeat_interleave(2, 4)
        assert torch.allclose(block(larger), expected, atol=1e-4)
