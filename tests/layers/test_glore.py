"""GloRe against the same computation written out, for any clip size."""

import pytest
import torch

from pytorchvideo_autox3d.layers import GloRe
from pytorchvideo_autox3d.layers.glore import NODE_RATIO, node_count


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 4), (5, 7, 2)])
def test_by_hand(size):
    torch.manual_seed(0)
    block = GloRe(6, node_ratio=0.5)
    torch.nn.init.normal_(block.norm.weight)
    block.norm.running_var.uniform_(0.5, 2)
    block.eval()
    x = torch.randn(2, 6, *size)
    length = size[0] * size[1] * size[2]
    with torch.no_grad():
        flat = x.flatten(2)
        state = torch.einsum("sc,bcl->bsl", block.state.weight.flatten(1), flat) + block.state.bias[:, None]
        node = torch.einsum("nc,bcl->bnl", block.node.weight.flatten(1), flat) + block.node.bias[:, None]
        graph = torch.einsum("bsl,bnl->bsn", state, node) / length
        over_nodes = torch.einsum("mn,bsn->bsm", block.mix_nodes.weight.flatten(1), graph) + block.mix_nodes.bias
        over_states = torch.einsum("ts,bsn->btn", block.mix_states.weight.flatten(1), (graph + over_nodes).relu())
        back = torch.einsum("bsn,bnl->bsl", over_states, node)
        out = torch.einsum("cs,bsl->bcl", block.extend.weight.flatten(1), back).view_as(x)
        assert torch.allclose(block(x), x + block.norm(out), atol=1e-5)


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
