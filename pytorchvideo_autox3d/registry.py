"""Registries of the components that a config names; one registry feeds the harness, the hub and the tools.

Entries take real keyword arguments, never a config: `jobs.build` alone translates a config into arguments.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator
from typing import Any

from fvcore.common.registry import Registry as _FvcoreRegistry

from pytorchvideo_autox3d.errors import RegistryError


class Registry(_FvcoreRegistry):
    """fvcore's registry with names of choice, former names, and a one-line error that names the nearest name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._renamed: dict[str, str] = {}

    def register(self, obj: Any = None, *, name: str | None = None) -> Any:
        """Register `obj` under `name` (default: its `__name__`); without `obj`, act as a decorator."""
        if obj is None:
            return lambda decorated: self.register(decorated, name=name)
        self._do_register(name or obj.__name__, obj)
        return obj

    def rename(self, old: str, new: str) -> None:
        """Keep `old` as a former name of the entry `new`: `get` takes it, with a warning."""
        self._renamed[old] = new

    def names(self) -> Iterator[str]:
        """Every name that `get` takes, former ones last."""
        yield from (name for name, _ in self)
        yield from self._renamed

    def __contains__(self, name: str) -> bool:
        return name in self._renamed or super().__contains__(name)

    def get(self, name: str, *, key: str = "") -> Any:
        """Return the object registered as `name`; a former name gives a FutureWarning that says the present one.

        Raises:
            RegistryError: there is none; names `key`, the config's key that asked for it, or else the registry, and
                what there is.
        """
        if name in self._renamed:
            new = self._renamed[name]
            warnings.warn(f"{key or self._name}: {name!r} is now called {new!r}", FutureWarning, stacklevel=2)
            return super().get(new)
        if name in self:
            return super().get(name)
        raise RegistryError(f"{key or self._name}: no entry named {name!r}; {self.hint(name)}")

    def hint(self, name: str) -> str:
        """For messages about an unknown name: the nearest one, and all that there are."""
        known = sorted(key for key, _ in self)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        meant = f"did you mean {near[0]!r}? " if near else ""
        return f"{meant}known: {', '.join(known) or 'none'}"


MODEL_REGISTRY = Registry("MODEL")
HEAD_REGISTRY = Registry("HEAD")
ATTENTION_REGISTRY = Registry("ATTENTION")
SEARCH_REGISTRY = Registry("SEARCH")
DATASET_REGISTRY = Registry("DATASET")
