"""Checks that the arguments of a `VideoDataset` are in range and fit one another."""

from __future__ import annotations

from collections.abc import Sequence

from pytorchvideo_autox3d.data.flow import MODALITIES, check_flow
from pytorchvideo_autox3d.data.frames import FrameManifest
from pytorchvideo_autox3d.data.manifest import Manifest
from pytorchvideo_autox3d.data.views import crops
from pytorchvideo_autox3d.errors import DataError

MODES = ("train", "val", "test")


def check_modality(modality: str, manifest: Manifest, auto_augment: str) -> None:
    """Check that a modality exists, and that the list and the augmentation go with it.

    Raises:
        DataError: they don't, or a video has no flow.
    """
    if modality not in MODALITIES:
        raise DataError(f"modality is {modality!r}, expected one of {', '.join(MODALITIES)}")
    if modality == "rgb":
        return
    if auto_augment:
        raise DataError(f"auto_augment is {auto_augment!r}, but modality is {modality!r}: flow has no colours")
    if isinstance(manifest, FrameManifest):
        raise DataError(f"{manifest.name}: lists extracted frames; optical flow is made of videos")
    check_flow(manifest)


def check_copies(manifest: Manifest) -> None:
    """Check that a list's videos can have decoded copies.

    Raises:
        DataError: it lists extracted frames.
    """
    if isinstance(manifest, FrameManifest):
        raise DataError(f"{manifest.name}: lists extracted frames; decoded copies (decoded_dir) are made of videos")


def check_arguments(
    mode: str,
    num_frames: int,
    sampling_rate: int,
    target_fps: float,
    crop_size: int,
    jitter_scales: Sequence[int],
    num_clips: int,
    num_crops: int,
    test_short_side: int,
) -> None:
    """Check arguments of `VideoDataset`, which says what they mean.

    Raises:
        DataError: one is out of range; names the first that is.
    """
    if mode not in MODES:
        raise DataError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
    for name, value in (
        ("num_frames", num_frames), ("sampling_rate", sampling_rate), ("target_fps", target_fps),
        ("crop_size", crop_size), ("num_clips", num_clips),
    ):  # fmt: skip
        if value <= 0:
            raise DataError(f"{name} is {value}, expected a positive number")
    # A test is cut from test_short_side, whatever training jitters over.
    smallest, least = (1, "1") if mode == "test" else (crop_size, f"the crop size {crop_size}")
    if len(jitter_scales) != 2 or not smallest <= jitter_scales[0] <= jitter_scales[1]:
        raise DataError(f"jitter_scales are {list(jitter_scales)}, expected [low, high] from {least} up")
    if test_short_side < crop_size:
        raise DataError(f"test_short_side is {test_short_side}, expected the crop size {crop_size} or more")
    try:
        crops(num_crops)
    except ValueError as error:
        raise DataError(str(error)) from None
