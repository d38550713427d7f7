"""Loads a model's weights: all of them, or all but a classifier for another number of classes, which starts afresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.checkpoint_files import checkpoint_model_state, read_checkpoint
from pytorchvideo_autox3d.errors import CheckpointError


@dataclass(frozen=True)
class LoadSummary:
    """What `load_weights` did; `str()` gives one line for the log.

    Attributes:
        path: the file.
        loaded: how many tensors were loaded.
        fresh: the names of those that keep their fresh initialisation.
        classes_in_file, classes_in_model: where these differ; else None.
    """

    path: str
    loaded: int
    fresh: tuple[str, ...] = ()
    classes_in_file: int | None = None
    classes_in_model: int | None = None

    def __str__(self) -> str:
        if not self.fresh:
            return f"{self.path}: loaded all {self.loaded} tensors"
        return (
            f"{self.path}: loaded {self.loaded} tensors; the classifier starts afresh ({', '.join(self.fresh)}), as "
            f"the file has {self.classes_in_file} classes and the model {self.classes_in_model}"
        )


def unwrapped(model: nn.Module) -> nn.Module:
    """The model without the wrappers of DistributedDataParallel and torch.compile."""
    while True:
        inner = getattr(model, "_orig_mod", None) or (
            model.module if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)) else None
        )
        if inner is None:
            return model
        model = inner


def load_weights(model: nn.Module, path: str, *, num_classes_may_differ: bool = True) -> LoadSummary:
    """Load a checkpoint (ours, PySlowFast's, pytorchvideo's) or a bare state dict into `model`.

    Args:
        model: what the weights are loaded into.
        path: of the file.
        num_classes_may_differ: where the last layer alone differs, and only in its number of classes, let it keep its
            fresh initialisation; the summary says so.

    Raises:
        CheckpointError: the file can't be read, or differs from the model in another way; names the first keys.
    """
    state = checkpoint_model_state(read_checkpoint(path), path)
    return load_model_state(model, state, path, num_classes_may_differ=num_classes_may_differ)


def load_model_state(
    model: nn.Module, state: Mapping[str, Tensor], path: str, *, num_classes_may_differ: bool = False
) -> LoadSummary:
    """Load weights as `load_weights` does, from tensors that are already read.

    Args:
        model: what the tensors are loaded into.
        state: tensors by name.
        path: the file that they are from, for messages.
        num_classes_may_differ: as in `load_weights`.

    Raises:
        CheckpointError: the tensors don't fit the model.
    """
    wanted, reshaped, classes = check_fits(model, state, path, num_classes_may_differ=num_classes_may_differ)
    unwrapped(model).load_state_dict(wanted, strict=False)
    return LoadSummary(path, len(wanted), reshaped, *classes)


def check_fits(
    model: nn.Module, state: Mapping[str, Tensor], path: str, *, num_classes_may_differ: bool = False
) -> tuple[dict[str, Tensor], tuple[str, ...], tuple[int | None, int | None]]:
    """Check that tensors fit a model, which may be on "meta"; arguments as in `load_model_state`.

    Returns:
        The tensors to load, the names of those that stay fresh, and the numbers of classes in the file and the model
        where they differ.

    Raises:
        CheckpointError: they don't fit; names the file and the first keys that differ.
    """
    target = unwrapped(model)
    own = target.state_dict()
    reshaped = [key for key in own if key in state and own[key].shape != state[key].shape]
    other_classes = bool(reshaped) and _is_classifier_alone(target, reshaped, own, state)
    if other_classes and not num_classes_may_differ:
        counts = f"{len(state[reshaped[0]])} classes, and the model has {len(own[reshaped[0]])} (MODEL.NUM_CLASSES)"
        raise CheckpointError(f"{path}: does not fit the model: the file has {counts}")
    if other_classes:
        wanted = {key: tensor for key, tensor in state.items() if key not in reshaped}
    else:
        wanted, reshaped = dict(state), []
    _check_same_keys(own, {**wanted, **{key: own[key] for key in reshaped}}, path)
    if not reshaped:
        return wanted, (), (None, None)
    return wanted, tuple(reshaped), (len(state[reshaped[0]]), len(own[reshaped[0]]))


def _is_classifier_alone(
    model: nn.Module, keys: list[str], own: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> bool:
    """Whether the keys are the last layer's, all with the same other number of rows and otherwise the same shape."""
    last_layer = [name for name, _ in model.named_parameters()][-1].rpartition(".")[0]
    rows = {(len(own[key]), len(state[key])) for key in keys if own[key].ndim and state[key].ndim}
    return (
        all(key.rpartition(".")[0] == last_layer and own[key].shape[1:] == state[key].shape[1:] for key in keys)
        and set(keys) == {f"{last_layer}.{name}" for name in ("weight", "bias") if f"{last_layer}.{name}" in own}
        and len(rows) == 1
    )


def _check_same_keys(own: Mapping[str, Tensor], state: Mapping[str, Tensor], path: str) -> None:
    for key in own:
        if key in state and _kind(own[key]) != _kind(state[key]):
            raise CheckpointError(
                f"{path}: does not fit the model: {key} holds {state[key].dtype} ({state[key].layout}), expected "
                f"{own[key].dtype}"
            )
    missing = [key for key in own if key not in state]
    unknown = [key for key in state if key not in own]
    reshaped = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and own[key].shape != state[key].shape
    ]
    parts = (("missing", missing), ("unknown", unknown), ("of another shape", reshaped))
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})" for what, keys in parts if keys
    ]
    if faults:
        raise CheckpointError(f"{path}: does not fit the model: {'; '.join(faults)}")


def _kind(tensor: Tensor) -> tuple[bool, bool, bool]:
    """What loading would convert without a word: the kind of numbers (floating, complex or bool), dense or not."""
    return tensor.is_floating_point(), tensor.is_complex() or tensor.dtype == torch.bool, tensor.layout == torch.strided
