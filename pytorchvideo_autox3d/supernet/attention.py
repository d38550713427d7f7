"""The attention blocks with one set of weights for every width of the map that they receive.

Registered in ELASTIC_ATTENTION by the names of ATTENTION; an entry is called with (candidate channels, selection=...,
norm=..., **options). Shapes: B clips, C channels, T frames, H and W pixels, L = T * H * W positions,
S states, N nodes, I inner channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from fvcore.nn.weight_init import c2_msra_fill
from torch import nn

from pytorchvideo_autox3d.layers.attention import nonlocal_width
from pytorchvideo_autox3d.layers.elastic import (
    ElasticBatchNorm3d,
    ElasticConv1d,
    ElasticConv3d,
    copy_conv,
    copy_norm,
)
from pytorchvideo_autox3d.layers.glore import NODE_RATIO, node_count
from pytorchvideo_autox3d.layers.windows import ChannelWindow
from pytorchvideo_autox3d.registry import ATTENTION_REGISTRY, ELASTIC_ATTENTION_REGISTRY
from pytorchvideo_autox3d.supernet.selection import channel_windows

Norm = Callable[[int], ElasticBatchNorm3d]


class ElasticAttention(nn.Module):
    """What the supernet asks of an attention.

    Args:
        channels: the widths that the map may have, the group's candidates.
        selection: the channel selection's name.
        norm: makes an elastic batch norm from its largest number of channels.
    """

    def __init__(self, channels: Sequence[int], *, selection: str, norm: Norm) -> None:
        super().__init__()

    def forward(self, clip_BCTHW: torch.Tensor, window: ChannelWindow) -> torch.Tensor:
        """(B, len(window), T, H, W) -> the same shape."""
        return clip_BCTHW

    def copy_to(self, block: nn.Module, window: ChannelWindow) -> None:
        """Copy the weights for a map of the window's channels to the plain block of ATTENTION."""


@ELASTIC_ATTENTION_REGISTRY.register(name="none")
class ElasticPassThrough(ElasticAttention):
    """No attention: the map comes out unchanged, and there is nothing to copy."""


@ELASTIC_ATTENTION_REGISTRY.register(name="glore")
class ElasticGloRe(ElasticAttention):
    """`layers.GloRe` for every width; its nodes and its states are windows of rings of their own.

    Args:
        channels: the widths that the map may have.
        selection: the channel selection's name.
        norm: makes an elastic batch norm from its largest number of channels.
        node_ratio: nodes over channels, as in `layers.GloRe`.
    """

    def __init__(self, channels: Sequence[int], *, selection: str, norm: Norm, node_ratio: float = NODE_RATIO) -> None:
        super().__init__(channels, selection=selection, norm=norm)
        counts = [node_count(width, node_ratio) for width in channels]
        width, nodes = max(channels), max(counts)
        states = [2 * count for count in counts]
        self.node_windows = dict(zip(channels, channel_windows(counts, nodes, selection), strict=True))
        self.state_windows = dict(zip(channels, channel_windows(states, 2 * nodes, selection), strict=True))
        self.state = ElasticConv3d(width, 2 * nodes, kernel_size=1)
        self.node = ElasticConv3d(width, nodes, kernel_size=1)
        self.mix_nodes = ElasticConv1d(nodes, nodes, kernel_size=1)
        self.mix_states = ElasticConv1d(2 * nodes, 2 * nodes, kernel_size=1, bias=False)
        self.extend = ElasticConv3d(2 * nodes, width, kernel_size=1, bias=False)
        self.norm = norm(width)
        self.norm.block_final_bn = True  # type: ignore[assignment]  # begins as identity, as the plain block does
        c2_msra_fill(self.mix_nodes)
        c2_msra_fill(self.mix_states)

    def forward(self, clip_BCTHW: torch.Tensor, window: ChannelWindow) -> torch.Tensor:
        """(B, len(window), T, H, W) -> the same shape."""
        nodes, states = self.node_windows[len(window)], self.state_windows[len(window)]
        state_BSL = self.state(clip_BCTHW, states, window).flatten(2)
        projection_BNL = self.node(clip_BCTHW, nodes, window).flatten(2)
        graph_BSN = torch.matmul(state_BSL, projection_BNL.transpose(1, 2) / projection_BNL.shape[2])
        graph_BNS = graph_BSN.transpose(1, 2)
        graph_BNS = torch.relu(graph_BNS + self.mix_nodes(graph_BNS, nodes, nodes))
        mixed_BSN = self.mix_states(graph_BNS.transpose(1, 2), states, states)
        back_BSL = torch.matmul(mixed_BSN, projection_BNL)
        extended = self.extend(back_BSL.unflatten(2, clip_BCTHW.shape[2:]), window, states)
        return self.norm(extended, window, residual_BCTHW=clip_BCTHW)

    def copy_to(self, block: nn.Module, window: ChannelWindow) -> None:
        """Copy the weights and running statistics for the window's channels to a `layers.GloRe` of that width."""
        nodes, states = self.node_windows[len(window)], self.state_windows[len(window)]
        copy_conv(self.state, block.get_submodule("state"), states, window)
        copy_conv(self.node, block.get_submodule("node"), nodes, window)
        copy_conv(self.mix_nodes, block.get_submodule("mix_nodes"), nodes, nodes)
        copy_conv(self.mix_states, block.get_submodule("mix_states"), states, states)
        copy_conv(self.extend, block.get_submodule("extend"), window, states)
        copy_norm(self.norm, block.get_submodule("norm"), window)


@ELASTIC_ATTENTION_REGISTRY.register(name="nonlocal")
class ElasticNonLocal(ElasticAttention):
    """pytorchvideo's Non-local block (softmax) for every width; its inner channels are windows of a ring of their own.

    Args:
        channels: the widths that the map may have.
        selection: the channel selection's name.
        norm: makes an elastic batch norm from its largest number of channels.
    """

    def __init__(self, channels: Sequence[int], *, selection: str, norm: Norm) -> None:
        super().__init__(channels, selection=selection, norm=norm)
        counts = [nonlocal_width(width) for width in channels]
        width, inner = max(channels), max(counts)
        self.inner_windows = dict(zip(channels, channel_windows(counts, inner, selection), strict=True))
        self.conv_theta = ElasticConv3d(width, inner, kernel_size=1)
        self.conv_phi = ElasticConv3d(width, inner, kernel_size=1)
        self.conv_g = ElasticConv3d(width, inner, kernel_size=1)
        self.conv_out = ElasticConv3d(inner, width, kernel_size=1)
        self.norm = norm(width)
        self.norm.block_final_bn = True  # type: ignore[assignment]  # begins as identity, as the plain block does

    def forward(self, clip_BCTHW: torch.Tensor, window: ChannelWindow) -> torch.Tensor:
        """(B, len(window), T, H, W) -> the same shape."""
        inner = self.inner_windows[len(window)]
        theta_BIL = self.conv_theta(clip_BCTHW, inner, window).flatten(2)
        phi_BIL = self.conv_phi(clip_BCTHW, inner, window).flatten(2)
        g_BIL = self.conv_g(clip_BCTHW, inner, window).flatten(2)
        affinity_BLL = torch.softmax(torch.matmul(theta_BIL.transpose(1, 2), phi_BIL) * len(inner) ** -0.5, dim=2)
        out_BIL = torch.matmul(g_BIL, affinity_BLL.transpose(1, 2))
        out = self.conv_out(out_BIL.unflatten(2, clip_BCTHW.shape[2:]), window, inner)
        return self.norm(out, window, residual_BCTHW=clip_BCTHW)

    def copy_to(self, block: nn.Module, window: ChannelWindow) -> None:
        """Copy the weights and running statistics for the window's channels to a plain block of that width."""
        inner = self.inner_windows[len(window)]
        for name in ("conv_theta", "conv_phi", "conv_g"):
            copy_conv(getattr(self, name), block.get_submodule(name), inner, window)
        copy_conv(self.conv_out, block.get_submodule("conv_out"), window, inner)
        copy_norm(self.norm, block.get_submodule("norm"), window)


class AttentionPerWidth(ElasticAttention):
    """An attention without an elastic form: one plain block for each width, so that widths share no weights.

    Args:
        plain: the entry of ATTENTION.
        channels: the widths that the map may have.
        plain_norm: makes the block's normalisation from its number of channels.
        options: further arguments of the attention.
    """

    def __init__(
        self,
        plain: Callable[..., nn.Module],
        channels: Sequence[int],
        *,
        plain_norm: Callable[[int], nn.Module],
        **options: Any,
    ) -> None:
        nn.Module.__init__(self)
        self.blocks = nn.ModuleDict({str(width): plain(width, norm=plain_norm, **options) for width in channels})

    def forward(self, clip_BCTHW: torch.Tensor, window: ChannelWindow) -> torch.Tensor:
        """(B, len(window), T, H, W) -> the same shape."""
        attended: torch.Tensor = self.blocks[str(len(window))](clip_BCTHW)
        return attended

    def copy_to(self, block: nn.Module, window: ChannelWindow) -> None:
        """Copy the whole block of the window's width."""
        block.load_state_dict(self.blocks[str(len(window))].state_dict())


def create_elastic_attention(
    name: str,
    channels: Sequence[int],
    *,
    selection: str,
    norm: Norm,
    plain_norm: Callable[[int], nn.Module],
    **options: Any,
) -> nn.Module:
    """Make an attention for every width of a group: its elastic form, or one plain block for each width.

    Args:
        name: a registered attention.
        channels: the widths.
        selection: the channel selection's name.
        norm: makes an elastic batch norm from its largest number of channels.
        plain_norm: makes a plain one, for an attention that has no elastic form.
        options: further arguments of the attention.
    Raises:
        RegistryError: no attention has this name.
    """
    plain = ATTENTION_REGISTRY.get(name)
    if name not in ELASTIC_ATTENTION_REGISTRY:
        return AttentionPerWidth(plain, channels, plain_norm=plain_norm, **options)
    elastic: nn.Module = ELASTIC_ATTENTION_REGISTRY.get(name)(channels, selection=selection, norm=norm, **options)
    return elastic
