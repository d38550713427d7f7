"""Augmentation of uint8 clips on the CPU, and normalisation of whole batches wherever the model is.

T frames, C channels (RGB), H, W; B clips. torchvision's v2 transforms take every leading dimension as a batch and draw
once for all of it, so that one draw serves the whole clip: the frames of a clip must move alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torchvision.transforms import v2

from pytorchvideo_autox3d.data.augment import Erasing, steps_of
from pytorchvideo_autox3d.data.views import View, crop_offset
from pytorchvideo_autox3d.errors import DataError


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Within the `with` block torch's global CPU generator is seeded from `generator`; afterwards it is as before.

    torchvision's transforms can draw from no other generator. Those of CUDA devices are neither read nor written.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def jittered_scale(scales: Sequence[int], generator: torch.Generator) -> int:
    """A short side drawn uniformly from [scales[0], scales[1]], rounded (X3D's jitter)."""
    low, high = scales
    return round(low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64)))


class TrainTransform:
    """Random square crop, horizontal flip, and AutoAugment with one policy for the whole clip (paper, supplement 3).

    The clip arrives at the jittered size: the reader scales while it converts. AutoAugment comes after the crop, where
    it costs least.

    Args:
        crop_size: side of the crop; the clip's sides are at least that.
        horizontal_flip: mirror a clip with probability 1/2. Where labels tell left from right (Something-Something),
            either switch it off or change the label with it.
        auto_augment: "" for none, an AutoAugment policy or a RandAugment recipe; see `policy_transform`.
        interpolation: used where these turn and shift.
        erasing: random erasing, as the last step.

    Raises:
        DataError: there is no such policy.
    """

    def __init__(
        self,
        *,
        crop_size: int,
        horizontal_flip: bool = True,
        auto_augment: str = "",
        interpolation: str = "nearest",
        erasing: Erasing | None = None,
    ) -> None:
        self._flip = horizontal_flip
        steps = steps_of(auto_augment, interpolation, erasing)
        self._transform = v2.Compose([v2.RandomCrop(crop_size), *steps])

    def __call__(self, frames_TCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Augment one clip: from uint8 frames_TCHW to uint8 frames_TCHW with H = W = crop_size."""
        return self.with_flip(frames_TCHW, generator)[0]

    def with_flip(self, frames_TCHW: Tensor, generator: torch.Generator) -> tuple[Tensor, bool]:
        """The augmented clip, and whether it is mirrored, as some labels then mean another class."""
        flipped = self._flip and bool(torch.rand((), generator=generator) < 0.5)
        with drawing_from(generator):
            augmented: Tensor = self._transform(frames_TCHW.flip(-1) if flipped else frames_TCHW)
        return augmented, flipped


def cropped(frames_TCHW: Tensor, view: View, size: int) -> Tensor:
    """The square of a test view (LeftCenterRight along the longer side), without copying."""
    height, width = frames_TCHW.shape[-2:]
    top, left = crop_offset(height, width, size, view.crop)
    return frames_TCHW[..., top : top + size, left : left + size]


class ClipNormalize:
    """Turns uint8 clip_BCTHW in 0..255 into float (clip / 255 - mean) / std, channels last, on the clip's own device.

    Args:
        mean, std: one number for each channel, for values in 0..1.
        dtype: of the result.

    Raises:
        DataError: they differ in length, or a std is not above 0.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0.45,) * 3,
        std: Sequence[float] = (0.225,) * 3,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.mean, self.std, self.dtype = tuple(mean), tuple(std), dtype
        if len(self.mean) != len(self.std) or min(self.std, default=0.0) <= 0:
            raise DataError(f"mean {list(mean)} and std {list(std)} must be as long as each other, and std positive")

    def __call__(self, clip_BCTHW: Tensor) -> Tensor:
        """Normalise clips with any number of dimensions before CTHW; with one, the result is channels_last_3d."""
        memory_format = torch.channels_last_3d if clip_BCTHW.ndim == 5 else torch.preserve_format
        clip = clip_BCTHW.to(self.dtype, memory_format=memory_format, copy=True)
        if len(set(self.mean)) == len(set(self.std)) == 1:  # as in every recipe here: no tensors to move
            return clip.sub_(255 * self.mean[0]).mul_(1 / (255 * self.std[0]))
        shape = (-1, 1, 1, 1)
        mean = torch.tensor(self.mean, dtype=self.dtype, device=clip.device).view(shape)
        std = torch.tensor(self.std, dtype=self.dtype, device=clip.device).view(shape)
        return clip.sub_(255 * mean).div_(255 * std)
