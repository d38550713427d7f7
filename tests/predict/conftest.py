"""Videos whose frame n is grey of level 4 * n, and networks that say what they see."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.data.tools.demo import encode_video
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.models import ModelCard, Preprocessing
from pytorchvideo_autox3d.predict import Recognizer

FPS = 10
CLIP = Preprocessing(num_frames=4, sampling_rate=2, fps=FPS, crop_size=16, short_side=16, mean=[0, 0, 0], std=[1, 1, 1])
CARD = ModelCard("AutoX3D", {}, 3, CLIP, classes=("dark", "grey", "bright"), num_clips=2, num_crops=1)
CENTRES = torch.tensor([0.0, 0.5, 1.0])


def grey_frames(levels, size=(16, 16)) -> np.ndarray:
    """(T, H, W, 3)."""
    return np.stack([np.full((*size, 3), level, np.uint8) for level in levels])


def by_brightness(clip_BCTHW: torch.Tensor) -> torch.Tensor:
    """Logits that fall with the distance of the clip's mean level from 0, 1/2 and 1."""
    return -40 * (clip_BCTHW.mean(dim=(1, 2, 3, 4))[:, None] - CENTRES).abs()


def write_grey(path: Path, levels) -> Path:
    encode_video(path, list(grey_frames(levels)), fps=FPS)
    return path


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):  # the fast ones take seconds to compile
        yield


@pytest.fixture
def recognizer():
    return Recognizer(by_brightness, CARD, device="cpu", workers=0)


@pytest.fixture(scope="session")
def ramp(tmp_path_factory) -> Path:
    """40 frames of rising level, 4 seconds."""
    return write_grey(tmp_path_factory.mktemp("grey") / "ramp.mp4", [6 * n for n in range(40)])


@pytest.fixture
def broken(tmp_path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video at all")
    return path
