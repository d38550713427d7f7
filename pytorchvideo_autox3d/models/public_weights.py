"""Public checkpoints of the baselines and systems under our key names; pure functions of keys and shapes.

Which layout a state dict has is found by trying each: it is the one whose every key names a tensor of the network.

    pytorchvideo         PyTorchVideo's hub, and ours
    slowfast             PySlowFast's model zoo: Slow, C2D, I3D, SlowFast
    torchvision          its VideoResNet, S3D, and the 2-D ResNet and MobileNetV2 with ImageNet's weights
    tsm                  the TSM authors' ResNet and MobileNetV2

2-D kernels are inflated as I3D does (Carreira and Zisserman, CVPR 2017, section 2.4): repeated over time and divided by
the number of repetitions, so that a video that repeats one picture gives what the picture gave. The first layer of a
flow network takes the mean over the colours. What a system adds to its 2-D network starts afresh, and is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pytorchvideo_autox3d.checkpoint_files import checkpoint_model_state, read_checkpoint
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.files import atomic_write
from pytorchvideo_autox3d.models.net import ClipNet
from pytorchvideo_autox3d.models.systems.inception import STAGE_STARTS
from pytorchvideo_autox3d.models.x3d_checkpoints import State

Rename = Callable[[str], str | None]
Build = Callable[..., ClipNet]

# Layers that a system adds to its 2-D network.
_ADDED = re.compile(r"\.(big_norm|temporal|reduce|moved|expand)\.|\.2\.fc\.")
_BLOCK = {"a": "conv_a", "a_bn": "norm_a", "b": "conv_b", "b_bn": "norm_b", "c": "conv_c", "c_bn": "norm_c"}
_FRAME_BLOCK = {
    "conv1": "branch2.conv_a", "bn1": "branch2.norm_a", "conv2": "branch2.conv_b", "bn2": "branch2.norm_b",
    "conv3": "branch2.conv_c", "bn3": "branch2.norm_c", "downsample.0": "branch1_conv", "downsample.1": "branch1_norm",
}  # fmt: skip
# The TSM authors' flat list of layers in an expanding and in the first block -> torchvision's nested one.
_TSM_EXPANDING = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}
_TSM_FIRST = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}


@dataclass(frozen=True)
class PublicWeights:
    """A state dict under our names.

    Args:
        state: every tensor of the network, in its order.
        layout: where it came from, a name of the module's table.
        num_classes: of the source's classifier.
        fresh: keys of tensors that the source lacks; they are as they were initialised.
    """

    state: State
    layout: str
    num_classes: int
    fresh: tuple[str, ...]


def convert_public(state: Mapping[str, Tensor], build: Build) -> PublicWeights:
    """Convert a public checkpoint's tensors for one of our networks.

    Args:
        state: the checkpoint's state dict.
        build: makes the network, called as `build(num_classes=...)`.
    Raises:
        CheckpointError: no layout fits, or tensors are missing or of another shape; names the first keys at fault.
    """
    state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    with torch.device("meta"):
        model = build(num_classes=1)
    own = set(model.state_dict())
    layout, renamed = _recognised(state, own)
    head = _head_of(own)
    if f"{head}.weight" not in renamed:
        raise CheckpointError(f"no classifier under the names of {layout}: expected what {head}.weight is called there")
    num_classes = len(renamed[f"{head}.weight"])
    complete = build(num_classes=num_classes).state_dict()
    fresh = tuple(key for key in complete if key not in renamed)
    lacking = [key for key in fresh if not _ADDED.search(key) and not key.endswith("num_batches_tracked")]
    if lacking:
        raise CheckpointError(f"{layout}: {len(lacking)} tensors are missing: {', '.join(lacking[:3])}")
    for key, tensor in renamed.items():
        complete[key] = fitted(tensor, complete[key], key)
    return PublicWeights(complete, layout, num_classes, fresh)


def convert_public_checkpoint(source: str | Path, destination: str | Path, build: Build) -> PublicWeights:
    """Read a public checkpoint and write its network in our layout, {"model_state": ...}.

    Args:
        source: the checkpoint.
        destination: the file to write.
        build: makes the network, called as `build(num_classes=...)`.
    Raises:
        CheckpointError: the file is missing, damaged, or fits the network under no known layout.
    """
    try:
        done = convert_public(checkpoint_model_state(read_checkpoint(source), source), build)
    except CheckpointError as error:
        raise CheckpointError(str(error) if str(source) in str(error) else f"{source}: {error}") from None
    with atomic_write(destination) as beside:
        torch.save({"model_state": done.state}, beside)
    return done


def fitted(tensor: Tensor, like: Tensor, key: str) -> Tensor:
    """Bring a tensor into another's shape and type.

    Kernels are inflated over time, colours averaged for a flow network, and slices taken for GST's groups.

    Args:
        tensor: the checkpoint's.
        like: the network's tensor of the same key.
        key: ours; says which of these may happen.
    Raises:
        CheckpointError: the shapes differ in another way; names the key and both shapes.
    """
    given = tensor
    if tensor.ndim == 4 and like.ndim == 5:
        frames = like.shape[2]
        tensor = (tensor / frames).unsqueeze(2).expand(-1, -1, frames, -1, -1)
    if tensor.ndim == 5 and like.ndim == 2:
        tensor = tensor.flatten(1)
    if key.startswith("blocks.0.") and tensor.ndim == like.ndim == 5 and tensor.shape[1] == 3 != like.shape[1]:
        tensor = tensor.mean(dim=1, keepdim=True).expand(-1, like.shape[1], -1, -1, -1)
    if ".conv2.spatial." in key and tensor.ndim == like.ndim:
        tensor = tensor[: like.shape[0], : like.shape[1]]
    if tensor.shape != like.shape:
        raise CheckpointError(f"{key}: shape {tuple(given.shape)} can't become {tuple(like.shape)}")
    return tensor.contiguous().to(like.dtype)


def _recognised(state: Mapping[str, Tensor], own: set[str]) -> tuple[str, State]:
    """The layout whose every key is one of `own`, and the tensors under our names.

    Raises:
        CheckpointError: no layout is; names the first keys without a place under the nearest one.
    """
    tried = {name: {key: _in_system(rename(key), own) for key in state} for name, rename in _layouts(own)}
    unknown = {name: [key for key, other in names.items() if other is None] for name, names in tried.items()}
    name = min(unknown, key=lambda one: len(unknown[one]))
    if unknown[name]:
        first = ", ".join(unknown[name][:3])
        raise CheckpointError(f"fits the network under no known layout; under {name} it lacks a place for {first}")
    return name.split()[0], {str(other): state[key] for key, other in tried[name].items()}


def _in_system(key: str | None, own: set[str]) -> str | None:
    """Our key, or the one that STM, GST or SmallBigNet has for what its 2-D network calls so; None for no such key."""
    if key is None or key in own:
        return key
    inner = re.sub(r"\.(conv[123])\.weight$", r".\1.conv.weight", key)
    spatial = re.sub(r"\.conv2\.weight$", ".conv2.spatial.weight", key)
    norm = re.sub(r"\.bn([123])\.", r".conv\1.small_norm.", key)
    return next((other for other in (inner, spatial, norm) if other in own), None)


def _layouts(own: set[str]) -> list[tuple[str, Rename]]:
    """Every layout's renaming, by a name that begins with the layout's."""
    head = _head_of(own)
    stages = sorted({int(key.split(".")[1]) for key in own if ".res_blocks." in key})
    pathways = any(".multipathway_blocks." in key for key in own)
    return [
        ("pytorchvideo", lambda key: key),
        ("slowfast", lambda key: _from_slowfast(key, stages, head, pathways)),
        ("torchvision ResNet", lambda key: _from_resnet(key, head)),
        ("torchvision ResNet, inflated", lambda key: _from_resnet_to_pytorchvideo(key, stages, head)),
        ("torchvision MobileNetV2", lambda key: _from_mobilenet(key, head)),
        ("torchvision S3D", lambda key: _from_s3d(key, head)),
        ("tsm ResNet", lambda key: _from_resnet(_without_tsm(key), head)),
        ("tsm MobileNetV2", lambda key: _from_mobilenet(_nested(_without_tsm(key)), head)),
    ]


def _head_of(own: set[str]) -> str:
    return next(key for key in own if key.endswith(".proj.weight")).removesuffix(".weight")


def _from_slowfast(key: str, stages: list[int], head: str, pathways: bool) -> str | None:
    key = re.sub(r"^head\.projection", head, key)
    fused = re.sub(r"^s(\d)_fuse\.(conv_f2s|bn)\.", _fusion, key)
    if fused != key:
        return fused
    found = re.match(r"s(\d)\.pathway(\d)_(stem|res)(\d*)\.(.+)\.(\w+)$", key)
    if not found:
        return key
    stage, pathway, kind, number, layer, leaf = found.groups()
    at = 0 if kind == "stem" else stages[int(stage) - 2] if int(stage) - 2 < len(stages) else -1
    within = f"blocks.{at}.multipathway_blocks.{pathway}" if pathways else f"blocks.{at}"
    if kind == "stem":
        return f"{within}.{ {'conv': 'conv', 'bn': 'norm'}.get(layer, layer) }.{leaf}"
    layer = {"branch1": "branch1_conv", "branch1_bn": "branch1_norm"}.get(layer, layer)
    layer = re.sub(r"^branch2\.(\w+)$", lambda one: f"branch2.{_BLOCK.get(one[1], one[1])}", layer)
    return f"{within}.res_blocks.{number}.{layer}.{leaf}"


def _fusion(found: re.Match[str]) -> str:
    layer = "conv_fast_to_slow" if found[2] == "conv_f2s" else "norm"
    return f"blocks.{int(found[1]) - 1}.multipathway_fusion.{layer}."


def _from_resnet(key: str, head: str) -> str:
    """torchvision's ResNet or VideoResNet to a network of the same layers in five blocks."""
    key = re.sub(r"^(conv1|bn1)\.", r"blocks.0.\1.", key)
    key = re.sub(r"^stem\.", "blocks.0.", key)
    key = re.sub(r"^layer(\d)\.", r"blocks.\1.", key)
    return re.sub(r"^fc\.", f"{head}.", key)


def _from_resnet_to_pytorchvideo(key: str, stages: list[int], head: str) -> str | None:
    """torchvision's 2-D ResNet to PyTorchVideo's names of its inflation."""
    found = re.match(r"layer(\d)\.(\d+)\.(.+)\.(\w+)$", key)
    if found:
        stage, number, layer, leaf = found.groups()
        if int(stage) > len(stages) or layer not in _FRAME_BLOCK:
            return None
        return f"blocks.{stages[int(stage) - 1]}.res_blocks.{number}.{_FRAME_BLOCK[layer]}.{leaf}"
    key = re.sub(r"^conv1\.", "blocks.0.conv.", key)
    key = re.sub(r"^bn1\.", "blocks.0.norm.", key)
    return re.sub(r"^fc\.", f"{head}.", key)


def _from_mobilenet(key: str, head: str) -> str:
    key = re.sub(r"^features\.", "blocks.", key)
    return re.sub(r"^(classifier\.1|fc)\.", f"{head}.", key)


def _from_s3d(key: str, head: str) -> str | None:
    """torchvision's list of layers to the same layers, by their numbers there, in five stages."""
    found = re.match(r"features\.(\d+)\.(.+)$", key)
    if not found:
        return re.sub(r"^classifier\.1\.", f"{head}.", key)
    layer = int(found[1])
    stage = max(number for number, start in enumerate(STAGE_STARTS) if start <= layer)
    return f"blocks.{stage}.{layer}.{found[2]}"


def _without_tsm(key: str) -> str:
    """Without what the TSM authors' wrappers add to their 2-D network's names."""
    key = re.sub(r"^new_fc\.", "fc.", key.removeprefix("base_model."))
    return key.replace(".net.", ".")


def _nested(key: str) -> str:
    """MobileNetV2's layers in torchvision's nested lists; only the first block has no expansion."""
    found = re.match(r"features\.(\d+)\.conv\.(\d)\.(.+)$", key)
    if not found:
        return key
    names = _TSM_FIRST if found[1] == "1" else _TSM_EXPANDING
    return f"features.{found[1]}.conv.{names.get(found[2], found[2])}.{found[3]}"
