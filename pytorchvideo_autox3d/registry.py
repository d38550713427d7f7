"""Registries of the components that a config names; one registry feeds the harness, the hub and the tools.

Entries take real keyword arguments, never a config: `jobs.build` alone translates a config into arguments.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fvcore.common.registry import Registry as _FvcoreRegistry

from pytorchvideo_autox3d.errors import RegistryError


class Registry(_FvcoreRegistry):
    """fvcore's registry, extended: entries can be given a name, keep former names, and unknown names get a hint."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._renamed: dict[str, str] = {}

    def register(self, obj: Any = None, *, name: str | None = None) -> Any:
        """Register an object; without `obj`, return a decorator that does.

        Args:
            obj: a class or function.
            name: by which it is looked up; by default its `__name__`.
        """
        if obj is None:
            return lambda decorated: self.register(decorated, name=name)
        self._do_register(name or obj.__name__, obj)
        return obj

    def rename(self, old: str, new: str) -> None:
        """Keep `old` as a former name of the entry `new`; `get` still accepts it, with a warning."""
        self._renamed[old] = new

    def names(self) -> Iterator[str]:
        """Every name that `get` accepts, former ones last."""
        yield from (name for name, _ in self)
        yield from self._renamed

    def __contains__(self, name: str) -> bool:
        return name in self._renamed or super().__contains__(name)

    def present_name(self, name: str) -> str:
        """The present name of an entry, from its present or a former one; an unknown name is returned as it is."""
        return self._renamed.get(name, name)

    def get(self, name: str, *, key: str = "") -> Any:
        """The object registered as `name`; a former name gives a FutureWarning that says the present one.

        Args:
            name: present or former.
            key: the config key that has the name, for messages; by default the registry is named.

        Raises:
            RegistryError: there is no such entry; names the nearest one and all that there are.
        """
        if name in self._renamed:
            new = self._renamed[name]
            warnings.warn(f"{key or self._name}: {name!r} is now called {new!r}", FutureWarning, stacklevel=2)
            return super().get(new)
        if name in self:
            return super().get(name)
        raise RegistryError(f"{key or self._name}: no entry named {name!r}; {self.hint(name)}")

    def hint(self, name: str) -> str:
        """The part of an error message that gives the name nearest to an unknown one, and all that there are."""
        known = sorted(key for key, _ in self)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        meant = f"did you mean {near[0]!r}? " if near else ""
        return f"{meant}known: {', '.join(known) or 'none'}"


MODEL_REGISTRY = Registry("MODEL")
HEAD_REGISTRY = Registry("HEAD")
ATTENTION_REGISTRY = Registry("ATTENTION")
# What a search and a count need of an attention, by its name in ATTENTION; see `register_attention`.
ELASTIC_ATTENTION_REGISTRY = Registry("ELASTIC_ATTENTION")
ATTENTION_COST_REGISTRY = Registry("ATTENTION_COST")
CHANNEL_SELECTION_REGISTRY = Registry("CHANNEL_SELECTION")
SEARCH_REGISTRY = Registry("SEARCH")
DATASET_REGISTRY = Registry("DATASET")
READER_REGISTRY = Registry("READER")

# The keys of a config that a model registered with `register_model` has for itself, by the model's name.
MODEL_KEYS: dict[str, Mapping[str, Any]] = {}


def register_attention(
    name: str, plain: Callable[..., Any], *, elastic: Callable[..., Any] | None = None, cost: Any = None
) -> None:
    """Register an attention, a block that a group may end with, for spaces, networks, supernets and cost counts.

    Args:
        name: by which spaces name it.
        plain: called with (channels, norm=..., **options); returns a module from (B, C, T, H, W) to the same shape.
        elastic: its form in a supernet, called with (candidate channels, selection=..., norm=..., **options); returns
            a module with the methods of `supernet.ElasticAttention`. Without it the supernet holds one plain block for
            each width.
        cost: called with (channels, positions, **options), where channels may be an integer array; returns
            `analysis.formulas.Cost`. Without it a plain block is counted at each width.
    """
    ATTENTION_REGISTRY.register(plain, name=name)
    if elastic is not None:
        ELASTIC_ATTENTION_REGISTRY.register(elastic, name=name)
    if cost is not None:
        ATTENTION_COST_REGISTRY.register(cost, name=name)


def register_model(name: str, builder: Callable[..., Any], *, keys: Mapping[str, Any] | None = None) -> None:
    """Register a model for MODEL.MODEL_NAME, with a node of its own in the config.

    Args:
        name: of the model; its node of the config is the name in capitals.
        builder: called with model_num_class, input_clip_length, input_crop_size, dropout_rate and, in lower case, the
            keys of the node; returns a module from clips (B, C, T, H, W) to logits (B, K).
        keys: the node's keys in capitals, with their defaults.

    Raises:
        RegistryError: a key is not in capitals.
    """
    for key in keys or {}:
        if key != key.upper():
            raise RegistryError(f"MODEL: {name}: key {key!r} is not in capitals")
    MODEL_REGISTRY.register(builder, name=name)
    MODEL_KEYS[name] = dict(keys or {})
