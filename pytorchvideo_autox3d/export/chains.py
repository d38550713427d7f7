"""Which convolutions of a network are followed by a normalisation and an activation, read off one forward pass.

The pass runs on the `meta` device: no value is computed, so it costs milliseconds at any clip size.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pytorchvideo_autox3d.errors import ExportError
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels


@dataclass(frozen=True)
class Chain:
    """A convolution and what comes directly behind it, each by its module name.

    Args:
        conv: the convolution.
        norm: the BN that alone reads the convolution's output; None without one.
        activation: the activation that alone reads what comes before it; None without one.
    """

    conv: str
    norm: str | None
    activation: str | None


@dataclass(frozen=True)
class _Call:
    """One call of a module without children: its name, and the identities of the tensors that it takes and gives."""

    name: str
    input: int
    output: int


class _Uses(TorchDispatchMode):
    """Counts how many operators read each tensor; it keeps every tensor, so that no identity is given out twice."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[int] = Counter()
        self.kept: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        inputs = [value for value in tree_leaves((args, kwargs or {})) if isinstance(value, torch.Tensor)]
        self.count.update({id(value) for value in inputs})
        out = func(*args, **(kwargs or {}))
        self.kept += [*inputs, out]
        return out


def find_chains(
    model: nn.Module, clip_shape: Sequence[int], *, norms: tuple[type, ...], activations: tuple[type, ...]
) -> list[Chain]:
    """List every `nn.Conv3d` that runs once, with the BN and the activation directly behind it.

    A BN or an activation counts only if nothing else reads its input, and if it runs once itself.

    Args:
        model: takes a clip (B, C, T, H, W). A copy of it runs, on the `meta` device.
        clip_shape: (B, C, T, H, W) of a clip that it takes.
        norms: classes of normalisations to look for.
        activations: classes of activations to look for.
    Raises:
        ExportError: the model can't run on such a clip.
    """
    model = _on_meta(model)
    calls, uses = _record(model, clip_shape)
    runs = Counter(call.name for call in calls)
    readers = {call.input: call for call in calls}
    modules = dict(model.named_modules())

    def behind(output: int, kinds: tuple[type, ...]) -> _Call | None:
        reader = readers.get(output)
        if reader is None or uses[output] != 1 or runs[reader.name] != 1:
            return None
        return reader if isinstance(modules[reader.name], kinds) else None

    chains = []
    for call in calls:
        if not isinstance(modules[call.name], nn.Conv3d) or runs[call.name] != 1:
            continue
        norm = behind(call.output, norms)
        activation = behind(norm.output if norm else call.output, activations)
        chains.append(Chain(call.name, norm.name if norm else None, activation.name if activation else None))
    return chains


def _on_meta(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model).to("meta", torch.float32).eval()
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return model


def _record(model: nn.Module, clip_shape: Sequence[int]) -> tuple[list[_Call], Counter[int]]:
    """Run the model once; returns its modules' calls in order, and how often each tensor was read.

    Raises:
        ExportError: the model can't run on such a clip.
    """
    calls: list[_Call] = []
    handles = []
    for name, module in model.named_modules():
        if next(module.children(), None) is None:
            handles.append(module.register_forward_hook(_recorder(name, calls)))
    try:
        with torch.no_grad(), depthwise_kernels(False), _Uses() as uses:
            model(torch.empty(tuple(clip_shape), device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ExportError(f"the model does not run on a clip {tuple(clip_shape)}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return calls, uses.count


def _recorder(name: str, calls: list[_Call]) -> Any:
    def record(module: nn.Module, inputs: tuple, output: Any) -> None:
        if len(inputs) == 1 and isinstance(inputs[0], torch.Tensor) and isinstance(output, torch.Tensor):
            calls.append(_Call(name, id(inputs[0]), id(output)))

    return record
