"""X3D checkpoints between PySlowFast's key names and PyTorchVideo's, which are ours; pure functions of the keys.

Three formats hold the same network:

    slowfast      PySlowFast's own X3D, its model zoo:  s2.pathway0_res0.branch2.a.weight
    slowfast-ptv  PySlowFast's PTVX3D:                  model.blocks.1.res_blocks.0.branch2.conv_a.weight
    pytorchvideo  PyTorchVideo, its hub, and ours:      blocks.1.res_blocks.0.branch2.conv_a.weight

They differ in more than names in one place. A shortcut that changes the resolution but not the width (the first of
stage 2) has a normalisation in PySlowFast and none in PyTorchVideo. On the way to PyTorchVideo it is folded: its scale
goes into the shortcut's convolution, its shift into the normalisation that ends the other branch, since the two are
added up. On the way back the shortcut gets a normalisation that does nothing. The scores stay the same, to rounding.

An AutoX3D has the same keys in both harnesses and needs no conversion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pytorchvideo_autox3d.checkpoint_files import checkpoint_model_state, read_checkpoint
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.files import atomic_write

State = dict[str, Tensor]

FORMATS = ("pytorchvideo", "slowfast", "slowfast-ptv")
PTV_PREFIX = "model."  # PTVX3D keeps the network as its attribute `model`
SHOWN_KEYS = 5
NORM_LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
NORM_EPS = 1e-5  # of every X3D normalisation, in both code bases

# PySlowFast's name of a layer -> PyTorchVideo's. Its stem's `conv_t` is the spatial convolution: the names of the two
# steps are swapped in `create_x3d_stem`.
STEM_AND_HEAD = {
    "s1.pathway0_stem.conv_xy": "blocks.0.conv.conv_t",
    "s1.pathway0_stem.conv": "blocks.0.conv.conv_xy",
    "s1.pathway0_stem.bn": "blocks.0.norm",
    "head.conv_5": "blocks.5.pool.pre_conv",
    "head.conv_5_bn": "blocks.5.pool.pre_norm",
    "head.lin_5": "blocks.5.pool.post_conv",
    "head.lin_5_bn": "blocks.5.pool.post_norm",
    "head.projection": "blocks.5.proj",
}
# Within s{i + 1}.pathway0_res{j} and blocks.{i}.res_blocks.{j}, i from 1 to 4.
BLOCK = {
    "branch1": "branch1_conv",
    "branch1_bn": "branch1_norm",
    "branch2.a": "branch2.conv_a",
    "branch2.a_bn": "branch2.norm_a",
    "branch2.b": "branch2.conv_b",
    "branch2.b_bn": "branch2.norm_b.0",
    "branch2.se.fc1": "branch2.norm_b.1.block.0",
    "branch2.se.fc2": "branch2.norm_b.1.block.2",
    "branch2.c": "branch2.conv_c",
    "branch2.c_bn": "branch2.norm_c",
}

_STEM_AND_HEAD_BACK = {ours: theirs for theirs, ours in STEM_AND_HEAD.items()}
_BLOCK_BACK = {ours: theirs for theirs, ours in BLOCK.items()}
_THEIR_BLOCK = re.compile(r"s([2-5])\.pathway0_res(\d+)\.(.+)")
_OUR_BLOCK = re.compile(r"blocks\.([1-4])\.res_blocks\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Conversion:
    """What was done.

    Args:
        source: the format that was read, one of `FORMATS`.
        target: the format that was written.
        tensors: how many were written.
    """

    source: str
    target: str
    tensors: int


def format_of(keys: Mapping[str, Any]) -> str:
    """Which of `FORMATS` the keys of a state dict are in.

    Raises:
        CheckpointError: no format fits all keys; names the first that don't fit.
    """
    prefixes = {"pytorchvideo": ("blocks.",), "slowfast-ptv": (f"{PTV_PREFIX}blocks.",),
                "slowfast": ("s1.", "s2.", "s3.", "s4.", "s5.", "head.")}  # fmt: skip
    fitting = {name: [key for key in keys if key.startswith(starts)] for name, starts in prefixes.items()}
    name = max(fitting, key=lambda one: len(fitting[one]))
    others = [key for key in keys if key not in set(fitting[name])]
    if others or not fitting[name]:
        raise CheckpointError(f"neither PySlowFast's nor PyTorchVideo's X3D keys: {_first(others) or 'no keys at all'}")
    return name


def convert_state(state: Mapping[str, Tensor], target: str) -> State:
    """Rename the tensors of an X3D state dict; the result shares their memory, but for folded shortcuts.

    Args:
        state: in any of `FORMATS`.
        target: one of `FORMATS`.
    Raises:
        CheckpointError: the target is unknown, or keys are no X3D's; names the first of them.
    """
    if target not in FORMATS:
        raise CheckpointError(f"no checkpoint format {target!r}; known: {', '.join(FORMATS)}")
    state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    source = format_of(state)
    if source == target:
        return state
    ours = _to_pytorchvideo(state, source)
    if target == "slowfast":
        return _renamed(_with_shortcut_norms(ours), _their_name)
    return {PTV_PREFIX + key: tensor for key, tensor in ours.items()} if target == "slowfast-ptv" else ours


def convert_checkpoint(source: str | Path, destination: str | Path, *, target: str) -> Conversion:
    """Read a checkpoint, convert its network, and write it in PySlowFast's layout ({"model_state": ..., "cfg": ...}).

    The optimiser's state and the epoch are left out: they belong to the order of the source's parameters.

    Args:
        source: the checkpoint, in any of `FORMATS`.
        destination: the file to write.
        target: one of `FORMATS`.
    Raises:
        CheckpointError: the file is missing, truncated, a caffe2 pickle, or not an X3D's.
    """
    checkpoint = read_checkpoint(source)
    state = checkpoint_model_state(checkpoint, source)
    try:
        converted = convert_state(state, target)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    result: dict[str, Any] = {"model_state": converted}
    if isinstance(checkpoint.get("cfg"), str):
        result["cfg"] = checkpoint["cfg"]
    with atomic_write(destination) as beside:
        torch.save(result, beside)
    return Conversion(format_of(state), target, len(converted))


def _to_pytorchvideo(state: State, source: str) -> State:
    if source == "slowfast-ptv":
        return {key.removeprefix(PTV_PREFIX): tensor for key, tensor in state.items()}
    return _folded_shortcuts(_renamed(state, _our_name)) if source == "slowfast" else state


def _our_name(layer: str) -> str | None:
    block = _THEIR_BLOCK.fullmatch(layer)
    if block and block[3] in BLOCK:
        return f"blocks.{int(block[1]) - 1}.res_blocks.{block[2]}.{BLOCK[block[3]]}"
    return STEM_AND_HEAD.get(layer)


def _their_name(layer: str) -> str | None:
    block = _OUR_BLOCK.fullmatch(layer)
    if block and block[3] in _BLOCK_BACK:
        return f"s{int(block[1]) + 1}.pathway0_res{block[2]}.{_BLOCK_BACK[block[3]]}"
    return _STEM_AND_HEAD_BACK.get(layer)


def _renamed(state: State, name: Callable[[str], str | None]) -> State:
    """Rename every layer; `CheckpointError` where `name` knows none for one of them."""
    renamed: State = {}
    unknown = []
    for key, tensor in state.items():
        layer, _, leaf = key.rpartition(".")
        other = name(layer)
        if other is None:
            unknown.append(key)
        else:
            renamed[f"{other}.{leaf}"] = tensor
    if unknown:
        raise CheckpointError(f"{len(unknown)} keys are not X3D's: {_first(unknown)}")
    return renamed


def _folded_shortcuts(state: State) -> State:
    """Fold the normalisation of each shortcut that keeps the width; the module's docstring says why.

    Raises:
        CheckpointError: a tensor of the normalisation is missing.
    """
    folded = dict(state)
    for key, weight in state.items():
        block = key.removesuffix(".branch1_conv.weight")
        if block == key or weight.shape[0] != weight.shape[1]:
            continue
        norm = f"{block}.branch1_norm"
        needed = [f"{norm}.{leaf}" for leaf in NORM_LEAVES[:4]] + [f"{block}.branch2.norm_c.bias"]
        missing = [name for name in needed if name not in state]
        if missing:
            raise CheckpointError(f"the shortcut of {block} (PyTorchVideo's names) lacks {_first(missing)}")
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + NORM_EPS)
        shift = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
        folded[key] = weight * scale.view(-1, 1, 1, 1, 1)
        folded[f"{block}.branch2.norm_c.bias"] = state[f"{block}.branch2.norm_c.bias"] + shift
        for leaf in NORM_LEAVES:
            folded.pop(f"{norm}.{leaf}", None)
    return folded


def _with_shortcut_norms(state: State) -> State:
    """Give each shortcut without a normalisation one that does nothing."""
    full = dict(state)
    for key, weight in state.items():
        block = key.removesuffix(".branch1_conv.weight")
        norm = f"{block}.branch1_norm"
        if block == key or f"{norm}.weight" in state:
            continue
        one = torch.ones(weight.shape[0], dtype=weight.dtype)
        full |= {
            f"{norm}.weight": one,
            f"{norm}.bias": torch.zeros_like(one),
            f"{norm}.running_mean": torch.zeros_like(one),
            f"{norm}.running_var": one - NORM_EPS,  # sqrt(variance + eps) is 1
            f"{norm}.num_batches_tracked": torch.tensor(0),
        }
    return full


def _first(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(map(str, keys[:SHOWN_KEYS])) + more
