"""An `Architecture` as a plain static network, in the manner of pytorchvideo's `create_x3d`."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from pytorchvideo_autox3d.errors import ModelError, SpaceError
from pytorchvideo_autox3d.kernels.fused_layers import FusedSequential
from pytorchvideo_autox3d.layers.attention import check_keeps_shape
from pytorchvideo_autox3d.layers.mbconv import SE_RATIO, MBConv3D, depthwise_conv
from pytorchvideo_autox3d.models import heads  # noqa: F401  (registers them)
from pytorchvideo_autox3d.models.net import ClipNet, check_dropout, check_positive
from pytorchvideo_autox3d.models.package import load_package
from pytorchvideo_autox3d.models.reference import REFERENCE_MODELS, reference_architecture
from pytorchvideo_autox3d.registry import ATTENTION_REGISTRY, HEAD_REGISTRY, MODEL_REGISTRY
from pytorchvideo_autox3d.space import (
    STEM_STRIDE,
    Architecture,
    BlockPlan,
    GroupChoice,
    SearchSpace,
    block_plan,
    inner_width,
)

# Length of the stem's temporal convolution: Table 2 of the paper has none, X3D one of 5 frames.
STEM_TEMPORAL_KERNEL = {"table2": 1, "x3d": 5}

Norm = Callable[[int], nn.Module]


def check_attentions(space: SearchSpace, *, source: str) -> None:
    """Check that every attention that a group may choose is registered.

    A space is data and knows no layers, so whoever reads one to build from it calls this.

    Args:
        space: what was read.
        source: where it was read, for the error.
    Raises:
        SpaceError: one is not registered; names `source`, the group (counted from 1) and the attention.
    """
    for number, group in enumerate(space.groups, 1):
        for name in group.attentions:
            if name not in ATTENTION_REGISTRY:
                hint = ATTENTION_REGISTRY.hint(name)
                raise SpaceError(f"{source}: group {number}: attentions: no attention named {name!r}; {hint}")


def read_architecture(path: str | Path) -> Architecture:
    """The architecture of a .json file.

    Raises:
        SpaceError: the file is missing, no JSON, not an architecture of its space, or names an attention that is not
            registered; names the file.
    """
    architecture = Architecture.from_json(path)
    check_attentions(architecture.space, source=f"{path}: space")
    return architecture


def find_architecture(name_or_path: str | Path) -> Architecture:
    """The reference architecture of this name, or the one in this .json file.

    Raises:
        ModelError: it is neither.
        SpaceError: the file is missing, no JSON, not an architecture of its space, or names an attention that is not
            registered; names the file.
    """
    if str(name_or_path) in REFERENCE_MODELS:
        return reference_architecture(str(name_or_path))
    if not str(name_or_path).endswith(".json"):
        known = ", ".join(REFERENCE_MODELS)
        raise ModelError(f"{str(name_or_path)!r} is neither a reference architecture ({known}) nor a .json file")
    return read_architecture(name_or_path)


class AutoX3DNet(ClipNet):
    """Stem, one block for each group, head; `.architecture` is what it was built from."""

    architecture: Architecture


@MODEL_REGISTRY.register(name="AutoX3D")
def create_autox3d(
    architecture: Architecture | str | Path | None = None,
    *,
    # Input clip.
    input_channel: int = 3,
    input_clip_length: int = 13,
    input_crop_size: int = 160,
    # Model.
    model_num_class: int | None = None,
    dropout_rate: float = 0.5,
    depth_factor: float = 1.0,
    stem: str | None = None,
    head: str = "x3d",
    # Blocks.
    se_ratio: float = SE_RATIO,
    attention_options: Mapping[str, Mapping[str, Any]] | None = None,
    activation: Callable[[], nn.Module] = nn.ReLU,
    inner_act: Callable[[], nn.Module] = nn.SiLU,
    # Normalisation.
    norm: Callable[..., nn.Module] = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
) -> AutoX3DNet:
    """Build AutoX3D (paper, Table 2 and Figure 2) for one architecture.

    ::

        clip -> stem -> group 1 (blocks, attention) -> ... -> group N -> head -> logits

    Args:
        architecture: the choices, or the path of their JSON; default the reference architecture S. A package's folder
            or name ("demo") gives its network with its weights; every other argument but the number of classes then
            stays as it is here, since the package has them.
        input_channel: channels of a clip.
        input_clip_length: frames of the clips it is meant for; pooling is adaptive, so any number runs.
        input_crop_size: height and width of the clips it is meant for; any size runs.
        model_num_class: number of classes; by default 400, or a package's own. Another number than a package's makes
            the classifier afresh.
        dropout_rate: before the classifier.
        depth_factor: multiplies the blocks of every group, rounded up; AutoX3D-L is M with 2 (paper, Table 5).
        stem: "table2" (a 1x3x3 convolution), "x3d" (and a depthwise 5x1x1 after it), or None for the space's own.
        head: a name in HEAD: "x3d", with the sizes of the space, or "linear", or one of yours.
        se_ratio: squeeze-excitation of every other block, as X3D; 0 for none.
        attention_options: arguments by attention name, for example {"glore": {"node_ratio": 1.0}}.
        activation: after the stem's and the expanding convolutions.
        inner_act: after the depthwise convolutions.
        norm: makes a normalisation from num_features, eps and momentum.
        norm_eps: its epsilon.
        norm_momentum: its momentum.
    Raises:
        ModelError: an argument is out of range, or stands beside a package; there is no such package.
        SpaceError: the file is no architecture.
        RegistryError: no such head, or the architecture names an attention that is not registered.
    """
    if isinstance(architecture, str | Path) and not str(architecture).endswith(".json"):
        return _from_package(locals())
    if isinstance(architecture, str | Path):
        architecture = read_architecture(architecture)
    architecture = architecture or reference_architecture("S")
    model_num_class = 400 if model_num_class is None else model_num_class
    check_positive(
        model_num_class=model_num_class, input_clip_length=input_clip_length, input_crop_size=input_crop_size
    )
    check_dropout(dropout_rate)
    space = architecture.space
    make_norm = partial(norm, eps=norm_eps, momentum=norm_momentum)
    temporal_kernel = stem_temporal_kernel(space, stem)
    width = space.stem.channels
    blocks = [create_stem(input_channel, width, temporal_kernel, norm=make_norm, activation=activation)]
    make_block = partial(MBConv3D, norm=make_norm, activation=activation, inner_activation=inner_act)
    for choice, plan in zip(architecture.groups, block_plan(space, depth_factor), strict=True):
        group = _create_blocks(width, choice, plan, se_ratio=se_ratio, make_block=make_block)
        options = dict((attention_options or {}).get(choice.attention, {}))
        attention = ATTENTION_REGISTRY.get(choice.attention)(choice.channels, norm=make_norm, **options)
        check_keeps_shape(choice.attention, attention, choice.channels)
        blocks.append(nn.Sequential(OrderedDict([*group.items(), ("attention", attention)])))
        width = choice.channels
    of_x3d = {
        "channels": space.head.channels,
        "hidden": space.head.hidden,
        "norm": norm,
        "norm_eps": norm_eps,
        "norm_momentum": norm_momentum,
    }
    model_head = HEAD_REGISTRY.get(head)(
        in_channels=width,
        num_classes=model_num_class,
        dropout_rate=dropout_rate,
        **(of_x3d if head == "x3d" else {}),
    )
    model = AutoX3DNet(
        [*blocks, model_head],
        num_features=width,
        input_clip_length=input_clip_length,
        input_crop_size=input_crop_size,
        in_channels=input_channel,
    )
    model.architecture = architecture
    return model


def _from_package(given: Mapping[str, Any]) -> AutoX3DNet:
    """The network of a package that `create_autox3d` was given in place of an architecture.

    Args:
        given: the arguments of `create_autox3d`, by name.
    Raises:
        ModelError: an argument that the package decides is given too, or the network is no AutoX3D.
    """
    source = given["architecture"]
    defaults = {name: one.default for name, one in inspect.signature(create_autox3d).parameters.items()}
    for name, value in given.items():
        if name not in ("architecture", "model_num_class") and value != defaults[name]:
            raise ModelError(f"{source}: {name} comes with the package: leave it out")
    network = load_package(source, num_classes=given["model_num_class"])
    if not isinstance(network, AutoX3DNet):
        raise ModelError(f"{source}: holds a {type(network).__name__}, not an AutoX3D: use load_package")
    return network


def stem_temporal_kernel(space: SearchSpace, stem: str | None) -> int:
    """The length in frames of the stem's temporal convolution; 1 means that there is none.

    Args:
        space: whose stem is taken where `stem` is None.
        stem: "table2" (1 frame), "x3d" (5 frames), or None.
    Raises:
        ModelError: `stem` is none of these.
    """
    if stem is None:
        return space.stem.temporal_kernel
    if stem not in STEM_TEMPORAL_KERNEL:
        raise ModelError(f"stem {stem!r} is not one of {', '.join(STEM_TEMPORAL_KERNEL)}")
    return STEM_TEMPORAL_KERNEL[stem]


def create_stem(
    in_channels: int, channels: int, temporal_kernel: int, *, norm: Norm, activation: Callable[[], nn.Module]
) -> nn.Sequential:
    """A 1x3x3 convolution of spatial stride 2, a depthwise one over time where its kernel exceeds 1, BN, activation.

    Args:
        in_channels: channels of a clip.
        channels: channels of the stem.
        temporal_kernel: frames that the depthwise convolution spans.
        norm: makes a normalisation from a number of channels.
        activation: makes an activation.
    """
    stride = (1, STEM_STRIDE, STEM_STRIDE)
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv3d(in_channels, channels, (1, 3, 3), stride=stride, padding=(0, 1, 1), bias=False))
    ]
    if temporal_kernel > 1:
        layers.append(("temporal_conv", depthwise_conv(channels, (temporal_kernel, 1, 1), (1, 1, 1))))
    return FusedSequential(OrderedDict([*layers, ("norm", norm(channels)), ("activation", activation())]))


def _create_blocks(
    in_channels: int,
    choice: GroupChoice,
    plan: tuple[BlockPlan, ...],
    *,
    se_ratio: float,
    make_block: Callable[..., nn.Module],
) -> OrderedDict[str, nn.Module]:
    """The blocks of one group by name: block1, block2, ..."""
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for number, block in enumerate(plan, start=1):
        blocks[f"block{number}"] = make_block(
            in_channels,
            choice.channels,
            inner_channels=inner_width(in_channels, choice.expansion),
            kernel=choice.kernel,
            stride=block.stride,
            se_ratio=se_ratio if block.squeeze_excite else 0.0,
        )
        in_channels = choice.channels
    return blocks
