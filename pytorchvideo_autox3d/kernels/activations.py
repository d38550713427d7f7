"""The activations that the kernels know, by name, as torch computes them where no kernel applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor


def _identity(value: Tensor) -> Tensor:
    return value


ACTIVATION_FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"none": _identity, "relu": F.relu, "silu": F.silu}
