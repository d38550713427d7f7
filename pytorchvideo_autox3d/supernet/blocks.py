"""The MBConv3D blocks of a group as one set of weights for all of the group's candidates.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from pytorchvideo.layers.utils import round_width
from torch import nn

from pytorchvideo_autox3d.layers.attention import check_keeps_shape
from pytorchvideo_autox3d.layers.elastic import (
    ElasticBatchNorm3d,
    ElasticConv3d,
    ElasticDepthwise3d,
    ElasticExcitation,
    Excite,
    copy_conv,
    copy_norm,
    weight_of,
)
from pytorchvideo_autox3d.layers.mbconv import MBConv3D
from pytorchvideo_autox3d.layers.windows import ChannelWindow, select_channels
from pytorchvideo_autox3d.space import BlockPlan, GroupChoice, GroupSpec, inner_width
from pytorchvideo_autox3d.space.spec import Kernel
from pytorchvideo_autox3d.supernet.attention import ElasticAttention, create_elastic_attention
from pytorchvideo_autox3d.supernet.selection import channel_windows

Norm = Callable[[int], ElasticBatchNorm3d]
Activation = Callable[[], nn.Module]


class ElasticMBConv(nn.Module):
    """`MBConv3D` for every kernel, width and expansion of a group.

    All candidates share the weights of the 1x1x1 convolutions, of batch normalisation and of squeeze-excitation. Each
    depthwise kernel size has weights of its own. A block's inner width is its input width times the expansion, so there
    is one inner window for each pair (input width, expansion). These windows lie one after another on one ring of
    filters, so that every filter is used about equally often: by all pairs together, and by the expansions of one
    input width, since their windows are neighbours.

    Args:
        in_widths: the candidates of the input channels.
        spec: the group's candidates.
        plan: stride, and whether there is squeeze-excitation.
        residual: whether input and output have the same width in every architecture.
        selection: the channel selection's name.
        se_ratio: as in `MBConv3D`.
        norm, activation, inner_activation: make a layer.
    """

    def __init__(
        self,
        in_widths: Sequence[int],
        spec: GroupSpec,
        plan: BlockPlan,
        *,
        residual: bool,
        selection: str,
        se_ratio: float,
        norm: Norm,
        activation: Activation,
        inner_activation: Activation,
    ) -> None:
        super().__init__()
        pairs = [(channels, expansion) for channels in in_widths for expansion in spec.expansions]
        sizes = [inner_width(*pair) for pair in pairs]
        inner, out = max(sizes), max(spec.channels)
        self.stride = plan.stride
        self.inner_windows = dict(zip(pairs, channel_windows(sizes, inner, selection), strict=True))
        self.expand = ElasticConv3d(max(in_widths), inner, kernel_size=1, bias=False)
        self.expand_norm = norm(inner)
        self.activation = activation()
        self.depthwise = nn.ModuleDict(
            {_key(kernel): ElasticDepthwise3d(inner, kernel, stride=plan.stride) for kernel in spec.kernels}
        )
        self.depthwise_norm = norm(inner)
        self.squeeze_excite: ElasticSqueezeExcitation | None = None
        if plan.squeeze_excite and se_ratio > 0:
            self.squeeze_excite = ElasticSqueezeExcitation(self.inner_windows.values(), inner, se_ratio, selection)
        self.inner_activation = inner_activation()
        self.project = ElasticConv3d(inner, out, kernel_size=1, bias=False)
        self.project_norm = norm(out)
        # As in `MBConv3D`, but only where there is a residual whatever is chosen: without one, a block that begins at
        # zero would pass nothing on.
        self.project_norm.block_final_bn = residual  # type: ignore[assignment]

    def forward(
        self, clip_BCTHW: torch.Tensor, choice: GroupChoice, in_indices: ChannelWindow, out_indices: ChannelWindow
    ) -> torch.Tensor:
        """(B, len(in_indices), T, H, W) -> (B, len(out_indices), T, ceil(H / stride), ceil(W / stride)).

        Args:
            clip_BCTHW: the map, of the channels `in_indices`.
            choice: kernel and expansion; the channels are those of `out_indices`.
            in_indices, out_indices: the windows of the input's and of the output's channels.
        """
        inner = self.inner_windows[len(in_indices), choice.expansion]
        hidden = self.expand_norm(self.expand(clip_BCTHW, inner, in_indices), inner, activation=self.activation)
        hidden = self.depthwise_norm(
            self.depthwise[_key(choice.kernel)](hidden, inner),
            inner,
            squeeze_excite=self.squeeze_excite,
            activation=self.inner_activation,
        )
        residual = clip_BCTHW if self.stride == 1 and len(in_indices) == len(out_indices) else None
        return self.project_norm(self.project(hidden, out_indices, inner), out_indices, residual_BCTHW=residual)

    def copy_to(
        self, block: MBConv3D, choice: GroupChoice, in_indices: ChannelWindow, out_indices: ChannelWindow
    ) -> None:
        """Copy the weights and running statistics of `choice` to a plain block of that choice and these widths."""
        inner = self.inner_windows[len(in_indices), choice.expansion]
        copy_conv(self.expand, block.expand, inner, in_indices)
        copy_norm(self.expand_norm, block.expand_norm, inner)
        depthwise = self.depthwise[_key(choice.kernel)]
        assert isinstance(depthwise, ElasticDepthwise3d)
        depthwise.copy_to(block.depthwise, inner)
        copy_norm(self.depthwise_norm, block.depthwise_norm, inner)
        if self.squeeze_excite is not None:
            self.squeeze_excite.copy_to(block.squeeze_excite, inner)
        copy_conv(self.project, block.project, out_indices, inner)
        copy_norm(self.project_norm, block.project_norm, out_indices)


class ElasticSqueezeExcitation(ElasticExcitation):
    """Squeeze-excitation for every inner width; its reduced channels are windows of a ring of their own.

    Args:
        windows: every window that a block's inner channels may be.
        inner: channels of the ring that these windows are of.
        se_ratio: reduced channels over inner channels, rounded as X3D does.
        selection: the channel selection's name.
    """

    def __init__(self, windows: Sequence[ChannelWindow] | Any, inner: int, se_ratio: float, selection: str) -> None:
        super().__init__()
        windows = tuple(windows)
        sizes = [round_width(len(window), se_ratio) for window in windows]
        # Two pairs may share one inner window (1.5 * 8 and 3 * 4 in naive selection); they share its reduction too.
        self.reduced_windows = dict(zip(windows, channel_windows(sizes, max(sizes), selection), strict=True))
        self.reduce = ElasticConv3d(inner, max(sizes), kernel_size=1)
        self.restore = ElasticConv3d(max(sizes), inner, kernel_size=1)

    def forward(self, clip_BCTHW: torch.Tensor, window: ChannelWindow) -> torch.Tensor:
        """(B, len(window), T, H, W) -> the same shape."""
        reduced = self.reduced_windows[window]
        mean_BC111 = clip_BCTHW.mean(dim=(2, 3, 4), keepdim=True)
        hidden = torch.relu(self.reduce(mean_BC111, reduced, window))
        return clip_BCTHW * torch.sigmoid(self.restore(hidden, window, reduced))

    def parameters_of(self, window: ChannelWindow) -> Excite:
        """Weight and bias of the reducing and of the restoring convolution, for the window's channels."""
        reduced = self.reduced_windows[window]
        assert self.reduce.bias is not None
        assert self.restore.bias is not None
        return (
            weight_of(self.reduce, reduced, window),
            select_channels(self.reduce.bias, reduced),
            weight_of(self.restore, window, reduced),
            select_channels(self.restore.bias, window),
        )

    def copy_to(self, block: nn.Module, window: ChannelWindow) -> None:
        """Copy the window's weights to fvcore's `SqueezeExcitation`."""
        reduced = self.reduced_windows[window]
        layers = block.get_submodule("block")
        copy_conv(self.reduce, layers.get_submodule("0"), reduced, window)
        copy_conv(self.restore, layers.get_submodule("2"), window, reduced)


class ElasticGroup(nn.Module):
    """The blocks of one group and the attention after them, for all of the group's candidates.

    Args:
        entering: the windows of the map that enters, by its number of channels.
        spec, plan: the group's candidates and its blocks.
        selection, se_ratio: as in `ElasticMBConv`.
        norm, activation, inner_activation: make a layer.
        plain_norm: makes a normalisation for an attention that has no elastic form.
        attention_options: arguments by attention name.
    Raises:
        ModelError: a user's attention changes the map's shape.
        RegistryError: no attention or no channel selection has the name.
    """

    def __init__(
        self,
        entering: Mapping[int, ChannelWindow],
        spec: GroupSpec,
        plan: Sequence[BlockPlan],
        *,
        selection: str,
        se_ratio: float,
        norm: Norm,
        plain_norm: Callable[[int], nn.Module],
        activation: Activation,
        inner_activation: Activation,
        attention_options: Mapping[str, Mapping[str, Any]],
    ) -> None:
        super().__init__()
        self.entering = dict(entering)
        windows = channel_windows(spec.channels, max(spec.channels), selection)
        self.windows = dict(zip(spec.channels, windows, strict=True))
        options: dict[str, Any] = {
            "selection": selection,
            "se_ratio": se_ratio,
            "norm": norm,
            "activation": activation,
            "inner_activation": inner_activation,
        }
        in_widths = [tuple(entering), *[spec.channels] * (len(plan) - 1)]
        self.blocks = nn.ModuleList(
            ElasticMBConv(widths, spec, block, residual=number > 0, **options)
            for number, (widths, block) in enumerate(zip(in_widths, plan, strict=True))
        )
        self.attentions = nn.ModuleDict(
            {
                name: create_elastic_attention(
                    name,
                    spec.channels,
                    selection=selection,
                    norm=norm,
                    plain_norm=plain_norm,
                    **attention_options.get(name, {}),
                )
                for name in spec.attentions
            }
        )
        for name, attention in self.attentions.items():
            for channels, window in self.windows.items():
                check_keeps_shape(name, attention, channels, window)

    def forward(self, clip_BCTHW: torch.Tensor, choice: GroupChoice) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, choice.channels, T, H', W'), where C is one of the widths that enter."""
        in_indices, out_indices = self.entering[clip_BCTHW.shape[1]], self.windows[choice.channels]
        for block in self.blocks:
            clip_BCTHW = block(clip_BCTHW, choice, in_indices, out_indices)
            in_indices = out_indices
        return self.attentions[choice.attention](clip_BCTHW, out_indices)

    def copy_to(self, group: nn.Module, choice: GroupChoice, in_channels: int) -> None:
        """Copy the weights and running statistics of `choice` to a plain group (block1, ..., attention).

        Args:
            group: the plain group.
            choice: what it was built for.
            in_channels: channels of the map that enters it.
        """
        in_indices, out_indices = self.entering[in_channels], self.windows[choice.channels]
        for number, block in enumerate(self.blocks, start=1):
            plain = group.get_submodule(f"block{number}")
            assert isinstance(block, ElasticMBConv)
            assert isinstance(plain, MBConv3D)
            block.copy_to(plain, choice, in_indices, out_indices)
            in_indices = out_indices
        attention = cast(ElasticAttention, self.attentions[choice.attention])
        attention.copy_to(group.get_submodule("attention"), out_indices)


def _key(kernel: Kernel) -> str:
    return f"t{kernel[0]}_s{kernel[1]}"
