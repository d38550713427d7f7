"""Augmentations beyond crop and flip, all torchvision's, under PySlowFast's names; one draw serves a whole clip.

B clips, C channels (RGB), T frames, H, W; K classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.tv_tensors import Video

from pytorchvideo_autox3d.errors import DataError

_BINS, _LEVELS = 31, 10  # torchvision counts magnitudes 0..30, the recipes' names 0..10
# Colours of erased parts, in 0..255, as if drawn after normalisation by the mean 0.45 and deviation 0.225 in use.
_MEAN, _STD = 255 * 0.45, 255 * 0.225
ERASE_MODES = ("const", "rand", "pixel")


def policy_transform(name: str, interpolation: str = "bilinear") -> v2.Transform:
    """The transform of an AutoAugment policy or a RandAugment recipe.

    Args:
        name: "imagenet", "cifar10" or "svhn" (AutoAugment); or a recipe such as "rand-m9-n2", with magnitude 9 of 10
            and 2 operations for each clip. "mstd0.5" and "inc1" in it are accepted and change nothing: torchvision
            draws no noise on the magnitude, and its operations always get stronger with the magnitude.
        interpolation: "nearest" or "bilinear"; "bicubic" is bilinear, as clips are turned and shifted as tensors.

    Raises:
        DataError: there is no such policy, or the recipe can't be read.
    """
    mode = InterpolationMode.NEAREST if interpolation == "nearest" else InterpolationMode.BILINEAR
    if name.startswith("rand-"):
        operations, magnitude = _rand_augment(name)
        return v2.RandAugment(operations, magnitude, num_magnitude_bins=_BINS, interpolation=mode)
    known = [policy.value for policy in v2.AutoAugmentPolicy]
    if name not in known:
        raise DataError(f"auto_augment is {name!r}, expected one of {', '.join(known)}, rand-m9-n2, or nothing")
    return v2.AutoAugment(v2.AutoAugmentPolicy(name))


def _rand_augment(name: str) -> tuple[int, int]:
    """(operations, magnitude in torchvision's bins) of a name such as "rand-m9-n2-mstd0.5-inc1".

    Raises:
        DataError: a part of the name is unknown, or the magnitude is out of range.
    """
    operations, magnitude = 2, 9.0
    for part in name.split("-")[1:]:
        found = re.fullmatch(r"(mstd|inc|m)(\d+(?:\.\d+)?)|(n)(\d+)", part)
        if not found:
            raise DataError(f"auto_augment is {name!r}: {part!r} is none of m9, n2, mstd0.5 and inc1")
        if found[1] == "m":
            magnitude = float(found[2])
        elif found[3] == "n":
            operations = int(found[4])
    if not 0 <= magnitude <= _LEVELS:
        raise DataError(f"auto_augment is {name!r}: the magnitude must be 0 to {_LEVELS}")
    return operations, round(magnitude / _LEVELS * (_BINS - 1))


@dataclass(frozen=True)
class Erasing:
    """Random erasing (arXiv 1708.04896): the same box of every frame.

    Attributes:
        prob: probability that a clip is erased at all.
        mode: what the boxes are filled with: "const", the mean colour; "rand", a random colour; "pixel", noise.
        count: how many boxes; the erased area is divided among them.

    Raises:
        DataError: a value is out of range.
    """

    prob: float = 0.25
    mode: str = "pixel"
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.prob <= 1 or self.mode not in ERASE_MODES or self.count < 1:
            raise DataError(f"{self}: expected a probability, a mode of {', '.join(ERASE_MODES)}, and a count from 1")

    def transform(self) -> v2.Transform:
        """The erasing as a transform of uint8 clips."""
        return v2.RandomApply([_Box(self.mode, self.count) for _ in range(self.count)], p=self.prob)


class _Box(v2.RandomErasing):
    """torchvision's erasing of one box, with fillings for uint8 clips; its own are for floats."""

    def __init__(self, mode: str, count: int) -> None:
        super().__init__(p=1.0, scale=(0.02 / count, 1 / 3 / count))
        self._mode = mode

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the box as torchvision does, and its filling as uint8."""
        params: dict[str, Any] = super().make_params(flat_inputs)
        if params["v"] is not None:
            size = {"const": (3, 1, 1), "rand": (3, 1, 1), "pixel": (3, params["h"], params["w"])}[self._mode]
            noise = torch.zeros(size) if self._mode == "const" else torch.randn(size)
            params["v"] = (_MEAN + _STD * noise).round().clamp(0, 255).to(torch.uint8)
        return params


class ClipMix:
    """Mixup (arXiv 1710.09412) or CutMix (1905.04899), which mixes each clip of a batch with the one before it.

    It works on the clips' own device, and draws from torch's global generator, as dropout does, whose state is in
    checkpoints.

    Args:
        num_classes: K.
        mixup_alpha, cutmix_alpha: parameters of the Beta distributions; 0 switches that kind of mixing off.
        prob: probability that a batch is mixed at all.
        switch_prob: probability of CutMix where both are on.
        label_smoothing: s; targets become (1 - s) * target + s / K, whether mixed or not.

    Raises:
        DataError: a value is out of range, or both kinds are off.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        mixup_alpha: float = 0.8,
        cutmix_alpha: float = 1.0,
        prob: float = 1.0,
        switch_prob: float = 0.5,
        label_smoothing: float = 0.1,
    ) -> None:
        shares = {"prob": prob, "switch_prob": switch_prob, "label_smoothing": label_smoothing}
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise DataError(f"mixup: {name} is {value}, expected 0 to 1")
        if min(mixup_alpha, cutmix_alpha) < 0 or max(mixup_alpha, cutmix_alpha) == 0:
            raise DataError(f"mixup: alphas {mixup_alpha} and {cutmix_alpha}, expected one above 0 and none below")
        self.num_classes, self.prob, self.label_smoothing = num_classes, prob, label_smoothing
        self._mixup = v2.MixUp(alpha=mixup_alpha, num_classes=num_classes) if mixup_alpha else None
        self._cutmix = v2.CutMix(alpha=cutmix_alpha, num_classes=num_classes) if cutmix_alpha else None
        self._cutmix_share = switch_prob if self._mixup and self._cutmix else float(self._cutmix is not None)

    def __call__(self, clip_BCTHW: Tensor, label_B: Tensor) -> tuple[Tensor, Tensor]:
        """Mix a batch of float clips; returns the clips and target_BK, each a distribution over the classes."""
        target_BK = torch.nn.functional.one_hot(label_B, self.num_classes).float()
        if float(torch.rand(())) < self.prob:
            mix = self._cutmix if float(torch.rand(())) < self._cutmix_share else self._mixup
            assert mix is not None
            mixed, target_BK = mix(Video(clip_BCTHW), target_BK)
            clip_BCTHW = mixed.as_subclass(Tensor)
        return clip_BCTHW, (1 - self.label_smoothing) * target_BK + self.label_smoothing / self.num_classes


def steps_of(auto_augment: str, interpolation: str, erasing: Erasing | None) -> Sequence[v2.Transform]:
    """The transforms that come after the crop, in their order; an empty sequence where nothing is asked for.

    Args:
        auto_augment, interpolation: see `policy_transform`; "" is no policy.
        erasing: None is none.

    Raises:
        DataError: there is no such policy.
    """
    policy = [policy_transform(auto_augment, interpolation)] if auto_augment else []
    return [*policy, *([erasing.transform()] if erasing and erasing.prob > 0 else [])]
