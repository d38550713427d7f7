"""The state of every random generator that a run draws from, in a form that `torch.load(weights_only=True)` reads."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def rng_state() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's global generators, and of this process's CUDA device."""
    python_version, python_words, python_gauss = random.getstate()
    numpy_state: dict[str, Any] = np.random.get_state(legacy=False)
    state = {
        "python": [python_version, list(python_words), python_gauss],
        "numpy_key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
        "numpy_rest": [
            int(numpy_state["state"]["pos"]),
            int(numpy_state["has_gauss"]),
            float(numpy_state["gauss"]),
        ],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_rng_state(state: dict[str, Any]) -> None:
    """Restore the generators to what `rng_state` returned; a CUDA state is ignored where there is no GPU."""
    random.setstate(_python_state(state))
    np.random.set_state(_numpy_state(state))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


def check_rng_state(state: dict[str, Any]) -> None:
    """Check that `restore_rng_state` can take a state, without touching the global generators.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, RuntimeError: it can't.
    """
    random.Random().setstate(_python_state(state))
    np.random.RandomState().set_state(_numpy_state(state))
    torch.Generator().set_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.Generator("cuda").set_state(state["cuda"].cpu())


def _python_state(state: dict[str, Any]) -> tuple[Any, ...]:
    version, words, gauss = state["python"]
    return version, tuple(words), gauss


def _numpy_state(state: dict[str, Any]) -> tuple[Any, ...]:
    position, has_gauss, gauss = state["numpy_rest"]
    key = state["numpy_key"].cpu().numpy().astype(np.uint32)
    if not 0 <= position <= len(key):  # NumPy reads from there without looking
        raise ValueError(f"position {position} of {len(key)}")
    return "MT19937", key, position, has_gauss, gauss
