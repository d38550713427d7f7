"""Reading checkpoints of any layout without running code from them: one reader for the whole package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from iopath.common.file_io import g_pathmgr
from torch import Tensor

from pytorchvideo_autox3d.errors import CheckpointError

WRAPPER_PREFIXES = ("module.", "_orig_mod.")  # of DistributedDataParallel and torch.compile
# Keys that only checkpoints of this package have, and so of one kind each.
_OWN_KINDS = {
    "model_card": dict, "loop_state": dict, "rng_states": list, "process_states": list, "process_buffers": list,
    "extra_states": dict, "scaler_state": dict,
}  # fmt: skip
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(d")
_OLDER_TORCH_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # torch's magic number, pickled


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint or a bare state dict onto the CPU; only tensors and plain values are loaded (weights_only).

    Args:
        path: of a file, or a location that iopath's path manager knows.

    Raises:
        CheckpointError: no such file, a caffe2 pickle, a damaged file, or one that is not a checkpoint; names it.
    """
    if not g_pathmgr.isfile(str(path)):
        raise CheckpointError(f"{path}: no such checkpoint")
    with g_pathmgr.open(str(path), "rb") as file:
        if _is_bare_pickle(file.read(16)):
            raise CheckpointError(
                f"{path}: a caffe2 pickle, refused, since unpickling runs whatever code is in it; "
                "load it in PySlowFast with TRAIN.CHECKPOINT_TYPE caffe2 and convert the checkpoint that it saves"
            )
        file.seek(0)
        try:
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle can raise anything at all; each means the same to the user
            # torch's own text advises to load the file with code execution allowed; it stays in the chained cause.
            raise CheckpointError(f"{path}: truncated, or no checkpoint of tensors and plain values") from error
    if not isinstance(checkpoint, dict) or not checkpoint:
        raise CheckpointError(f"{path}: holds a {type(checkpoint).__name__}, not a checkpoint")
    for key, kind in _OWN_KINDS.items():
        if key in checkpoint and not isinstance(checkpoint[key], kind):
            found = type(checkpoint[key]).__name__
            raise CheckpointError(f"{path}: its {key} is a {found}, expected a {kind.__name__}")
    return checkpoint


def epochs_done(checkpoint: Mapping[str, Any], path: str | Path) -> int:
    """The number of whole epochs that a checkpoint's training has behind it; 0 where it does not say.

    Raises:
        CheckpointError: what it says is no number of an epoch; names the file.
    """
    last = checkpoint.get("epoch", -1)
    if not isinstance(last, int) or last < -1:
        raise CheckpointError(f"{path}: its epoch is {str(last)[:40]!r}, expected a number from 0")
    return last + 1


def checkpoint_model_state(checkpoint: Mapping[str, Any], source: str | Path) -> dict[str, Tensor]:
    """The network's state dict in a checkpoint, without the key prefixes of wrappers.

    Args:
        checkpoint: has it under "model_state" or "state_dict", or is one itself.
        source: the file, for messages.

    Raises:
        CheckpointError: it holds none; names the file and what is there.
    """
    state = next((checkpoint[key] for key in ("model_state", "state_dict") if key in checkpoint), checkpoint)
    named = isinstance(state, Mapping) and all(isinstance(key, str) for key in state)
    if not named or not state or not all(isinstance(value, Tensor) for value in state.values()):
        there = ", ".join(map(str, list(state)[:5])) if isinstance(state, Mapping) else type(state).__name__
        raise CheckpointError(f"{source}: has no model_state, nor is it a state dict: it holds {there or 'nothing'}")
    return {plain_key(key): tensor for key, tensor in state.items()}


def plain_key(key: str) -> str:
    """A state dict's key without the prefixes of DistributedDataParallel and torch.compile."""
    while key.startswith(WRAPPER_PREFIXES):
        key = key.removeprefix("module.").removeprefix("_orig_mod.")
    return key


def _is_bare_pickle(start: bytes) -> bool:
    """Whether a file is a pickle that torch did not write: neither its zip nor its older form with a magic number."""
    return start.startswith(_PICKLE_STARTS) and not start.startswith(_OLDER_TORCH_START)
