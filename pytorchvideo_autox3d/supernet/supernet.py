"""The supernet: the weights of every architecture of a space in one network (paper, section 4).

Shapes: B clips, C channels, T frames, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from pytorchvideo.models.weight_init import init_net_weights
from torch import nn

from pytorchvideo_autox3d.errors import ModelError, SpaceError
from pytorchvideo_autox3d.layers.elastic import ElasticBatchNorm3d, ElasticConv3d, copy_conv
from pytorchvideo_autox3d.layers.mbconv import SE_RATIO
from pytorchvideo_autox3d.layers.windows import whole
from pytorchvideo_autox3d.models import AutoX3DNet, create_autox3d, stem_temporal_kernel
from pytorchvideo_autox3d.models.autox3d import create_stem
from pytorchvideo_autox3d.models.heads import create_projected_head
from pytorchvideo_autox3d.space import Architecture, SearchSpace, block_plan
from pytorchvideo_autox3d.supernet.blocks import ElasticGroup
from pytorchvideo_autox3d.supernet.shared_maps import SharedMaps


class Supernet(nn.Module):
    """One set of weights for a whole space; which architecture runs is an argument of `forward`.

    Args:
        space: the architectures.
        model_num_class: number of classes.
        channel_selection: "fair" or "naive", or another registered strategy (paper, section 4.2).
        input_clip_length, input_crop_size: the clips it is meant for; any size runs.
        dropout_rate, stem, se_ratio, attention_options, activation, inner_act, norm_eps, norm_momentum: as in
            `create_autox3d`.
    Raises:
        RegistryError: there is no such selection, or no such attention.
        ModelError: there is no such stem, or a user's attention changes the map's shape.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        model_num_class: int = 400,
        channel_selection: str = "fair",
        input_clip_length: int = 13,
        input_crop_size: int = 160,
        dropout_rate: float = 0.5,
        stem: str | None = None,
        se_ratio: float = SE_RATIO,
        attention_options: Mapping[str, Mapping[str, Any]] | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
        inner_act: Callable[[], nn.Module] = nn.SiLU,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.space = space
        self.channel_selection = channel_selection
        # What `inherit` passes to `create_autox3d`.
        self.model_options: dict[str, Any] = {
            "model_num_class": model_num_class,
            "input_clip_length": input_clip_length,
            "input_crop_size": input_crop_size,
            "dropout_rate": dropout_rate,
            "stem": stem,
            "se_ratio": se_ratio,
            "attention_options": attention_options,
            "activation": activation,
            "inner_act": inner_act,
            "norm_eps": norm_eps,
            "norm_momentum": norm_momentum,
        }
        width = space.stem.channels
        plain_norm = partial(nn.BatchNorm3d, eps=norm_eps, momentum=norm_momentum)
        self.stem = create_stem(3, width, stem_temporal_kernel(space, stem), norm=plain_norm, activation=activation)
        groups = _create_groups(
            space,
            selection=channel_selection,
            se_ratio=se_ratio,
            norm=partial(ElasticBatchNorm3d, eps=norm_eps, momentum=norm_momentum),
            plain_norm=plain_norm,
            activation=activation,
            inner_activation=inner_act,
            attention_options=attention_options or {},
        )
        self.groups = nn.ModuleList(groups)
        self.leaving = entering = groups[-1].windows
        self.head = create_projected_head(
            in_channels=max(entering),
            channels=space.head.channels,
            hidden=space.head.hidden,
            num_classes=model_num_class,
            dropout_rate=dropout_rate,
            norm_eps=norm_eps,
            norm_momentum=norm_momentum,
        )
        # The head's first convolution alone depends on the choice: it stands outside, in its elastic form.
        self.head.pool.pre_conv = nn.Identity()
        self.head_conv = ElasticConv3d(max(entering), space.head.channels, kernel_size=1, bias=False)
        init_net_weights(self)

    def forward(
        self, clip_BCTHW: torch.Tensor, architecture: Architecture, shared: SharedMaps | None = None
    ) -> torch.Tensor:
        """Logits (B, K) of `architecture` for a float clip (B, 3, T, H, W).

        Args:
            clip_BCTHW: the clips.
            architecture: which network runs.
            shared: what architectures that ran before on the same clips have in common with this one.
        Raises:
            ModelError: the clip has another shape.
            SpaceError: the architecture is of another space.
        """
        self._check(clip_BCTHW, architecture)
        done, features = (0, self.stem(clip_BCTHW)) if shared is None else shared.start(architecture.groups)
        for group, choice in zip(self.groups[done:], architecture.groups[done:], strict=True):
            features = group(features, choice)
            if shared is not None:
                shared.keep(choice, features)
        window = self.leaving[features.shape[1]]
        return self.head(self.head_conv(features, whole(self.head_conv.out_channels), window))

    def _check(self, clip_BCTHW: torch.Tensor, architecture: Architecture) -> None:
        """Raise `ModelError` for a clip of another shape, `SpaceError` for an architecture of another space."""
        if clip_BCTHW.ndim != 5 or clip_BCTHW.shape[1] != 3:
            raise ModelError(f"expected a clip of shape (B, 3, T, H, W), got {tuple(clip_BCTHW.shape)}")
        if architecture.space != self.space:
            raise SpaceError(
                f"the architecture is of space {architecture.space.name!r}, the supernet of {self.space.name!r}"
            )


def _create_groups(space: SearchSpace, **options: Any) -> list[ElasticGroup]:
    """The groups in order, each for all widths that the one before can give; `options` are those of `ElasticGroup`."""
    entering = {space.stem.channels: whole(space.stem.channels)}
    groups = []
    for spec, plan in zip(space.groups, block_plan(space), strict=True):
        groups.append(ElasticGroup(entering, spec, plan, **options))
        entering = groups[-1].windows
    return groups


def inherit(supernet: Supernet, architecture: Architecture) -> AutoX3DNet:
    """Build the plain static network of one architecture, with the supernet's weights and running statistics.

    Its logits equal `supernet(clip, architecture)` in the same mode. The running statistics mix all architectures that
    trained a channel: recompute them (`search.recalibrate`) before the network is used in evaluation.

    Args:
        supernet: where the weights come from; it keeps its own.
        architecture: of the supernet's space.
    Returns:
        The network, in the supernet's mode (training or eval), on its device.
    Raises:
        SpaceError: the architecture is of another space.
    """
    if architecture.space != supernet.space:
        raise SpaceError(
            f"the architecture is of space {architecture.space.name!r}, the supernet of {supernet.space.name!r}"
        )
    # Building draws initial weights that are overwritten; the caller's generators stay where they are.
    with torch.random.fork_rng(devices=[]):
        net = create_autox3d(architecture, **supernet.model_options)
    parameter = next(supernet.parameters())
    net.to(parameter.device, parameter.dtype)
    stem, *groups, head = net.blocks
    stem.load_state_dict(supernet.stem.state_dict())
    width = supernet.space.stem.channels
    for elastic, plain, choice in zip(supernet.groups, groups, architecture.groups, strict=True):
        assert isinstance(elastic, ElasticGroup)
        elastic.copy_to(plain, choice, width)
        width = choice.channels
    # The one key that the supernet's head lacks is the convolution that stands outside of it.
    head.load_state_dict(supernet.head.state_dict(), strict=False)
    conv = supernet.head_conv
    copy_conv(conv, head.get_submodule("pool.pre_conv"), whole(conv.out_channels), supernet.leaving[width])
    return net.train(supernet.training)
