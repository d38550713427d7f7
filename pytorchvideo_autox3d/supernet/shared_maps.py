"""Maps that several architectures have in common: the stem's, and those behind equal choices for the first groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pytorchvideo_autox3d.space import GroupChoice


class SharedMaps:
    """The maps of one batch of clips that architectures run one after another share.

    With gradients that is the stem's map alone. Without, the maps of the groups that the architecture before and the
    next one begin with are kept too: run architectures in the order of their choices, so that these are many.

    Args:
        stem_BCTHW: the stem's map.
        dtype: what the groups take it as; by default its own type.
    """

    def __init__(self, stem_BCTHW: Tensor, dtype: torch.dtype | None = None) -> None:
        self._dtype = dtype or stem_BCTHW.dtype
        self._maps = [stem_BCTHW]
        self._choices: list[GroupChoice] = []

    def start(self, choices: Sequence[GroupChoice]) -> tuple[int, Tensor]:
        """How many of the groups need not run for these choices, and the map that the next of them takes."""
        number = 0
        while number < len(self._choices) and self._choices[number] == choices[number]:
            number += 1
        del self._choices[number:], self._maps[number + 1 :]
        return number, self._maps[-1] if number else self._maps[0].to(self._dtype)

    def keep(self, choice: GroupChoice, map_BCTHW: Tensor) -> None:
        """Keep the map behind the next group, which made this choice; nothing where gradients are computed."""
        if not torch.is_grad_enabled():
            self._choices.append(choice)
            self._maps.append(map_BCTHW)
