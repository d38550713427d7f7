"""The supernet as a mixture: every candidate of a group runs, and their outputs are added up by their weights.

DARTS (Liu et al., ICLR 2019) over the weights of the elastic network. Widths share one map: a candidate's channels
lie in its window of the widest one, as FBNetV2's masks do (arXiv 2004.05565). Shapes: B clips, C channels, T frames, H
and W pixels, N classes; K, C, E, A the candidates of a group.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pytorchvideo_autox3d.layers.windows import ChannelWindow, whole
from pytorchvideo_autox3d.space import GroupChoice, GroupSpec
from pytorchvideo_autox3d.supernet.blocks import ElasticGroup
from pytorchvideo_autox3d.supernet.supernet import Supernet


def mixture_logits(supernet: Supernet, clip_BCTHW: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Logits (B, N) of the mixture.

    Args:
        supernet: whose candidates run.
        clip_BCTHW: normalised floats, (B, 3, T, H, W).
        weights: a tensor (K, C, E, A) for each group: how much each candidate counts; differentiable.
    """
    features = supernet.stem(clip_BCTHW)
    for group, spec, weight_KCEA in zip(supernet.groups, supernet.space.groups, weights, strict=True):
        assert isinstance(group, ElasticGroup)
        outputs = [
            place_channels(group(features, choice) * weight_KCEA[index], group.windows[choice.channels])
            for index, choice in group_choices(spec)
        ]
        features = torch.stack(outputs).sum(dim=0)
    window = supernet.leaving[features.shape[1]]
    logits: Tensor = supernet.head(supernet.head_conv(features, whole(supernet.head_conv.out_channels), window))
    return logits


def group_choices(spec: GroupSpec) -> list[tuple[tuple[int, int, int, int], GroupChoice]]:
    """List every choice of a group, each with its place in an array (K, C, E, A)."""
    return [
        ((k, c, e, a), GroupChoice(kernel, channels, expansion, attention))
        for k, kernel in enumerate(spec.kernels)
        for c, channels in enumerate(spec.channels)
        for e, expansion in enumerate(spec.expansions)
        for a, attention in enumerate(spec.attentions)
    ]


def place_channels(map_BCTHW: Tensor, window: ChannelWindow) -> Tensor:
    """Put a window's channels at their places among all `window.ring` channels, the others being 0.

    It is the adjoint of `slice_channels`.
    """
    if window.width == window.ring:
        return map_BCTHW
    rest, others = window.wrapped, map_BCTHW.new_zeros(())
    first, last = map_BCTHW[:, : window.width - rest], map_BCTHW[:, window.width - rest :]

    def zeros(channels: int) -> Tensor:
        return others.expand(len(map_BCTHW), channels, *map_BCTHW.shape[2:])

    if rest:
        return torch.cat([last, zeros(window.ring - window.width), first], dim=1)
    return torch.cat([zeros(window.start), first, zeros(window.ring - window.start - window.width)], dim=1)
