"""Camera motions over photographs: what the demo data's videos show.

There are eight classes, which only motion tells apart. For every video a pose and one motion of each kind (a pan, a
zoom, a rotation) are drawn. The kind of the video's class runs over time; each other kind stays at a random moment of
its run. So the place, size and angle of a frame taken at a random time have the same distribution for all eight
classes, and a single frame does not give its class away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pytorchvideo_autox3d.errors import DataError

CLASSES = (
    "pan_left", "pan_right", "pan_up", "pan_down", "zoom_in", "zoom_out", "rotate_clockwise", "rotate_anticlockwise",
)  # fmt: skip
"""The camera's motion; the picture moves the other way."""

PHOTOGRAPHS: dict[str, tuple[str, ...]] = {
    "train": (
        "skimage/data/astronaut.png", "skimage/data/brick.png", "skimage/data/camera.png", "skimage/data/coffee.png",
        "skimage/data/grass.png", "skimage/data/ihc.png", "skimage/data/motorcycle_left.png", "skimage/data/text.png",
        "skimage/data/hubble_deep_field.jpg",
    ),
    "val": ("matplotlib/mpl-data/sample_data/grace_hopper.jpg", "sklearn/datasets/images/flower.jpg"),
    "test": (
        "sklearn/datasets/images/china.jpg", "skimage/data/chelsea.png", "skimage/data/coins.png",
        "skimage/data/gravel.png",
    ),
}  # fmt: skip
"""Photographs inside the wheels of scikit-image, scikit-learn and matplotlib; no two splits share one."""

_PHOTO_SIDE = 220  # pixels of the shorter side that a photograph is brought to; a view of scale 1 shows its pixels 1:1
_PADDING = 200  # mirrored around it, so that no view shows a border
_SCALE = (0.7, 1.2)
_PAN, _ZOOM, _TURN = 0.6, 0.7, math.radians(60)  # mean travel over a video: short sides, log scale, radians
_VARIATION = 0.25
_MIN_CONTRAST = 20.0  # standard deviation of grey values, below which a view shows too little to move
_PAN_DIRECTIONS = {"pan_left": (-1, 0), "pan_right": (1, 0), "pan_up": (0, -1), "pan_down": (0, 1)}

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pose:
    """Where the camera looks.

    Attributes:
        x, y: the centre, in pixels of the photograph.
        scale: pixels of the photograph for one pixel of the view.
        angle: in radians.
    """

    x: float
    y: float
    scale: float
    angle: float


@dataclass(frozen=True)
class Motion:
    """One video's camera.

    Attributes:
        base: the pose in the middle of every motion.
        pan: how far a pan goes over the whole video along the view's own axes, in short sides of the view.
        zoom: how far a zoom goes, as the logarithm of the scale.
        turn: how far a rotation goes, in radians.
        still: the moments in [0, 1] of pan, zoom and turn at which those that are not the class's kind stay.
    """

    base: Pose
    pan: tuple[float, float]
    zoom: float
    turn: float
    still: tuple[float, float, float]

    def pose(self, kind: str | None, time: float, short_side: int) -> Pose:
        """The camera at `time` in [0, 1] while the kind "pan", "zoom" or "rotate" runs; None: all stand still."""
        pan_time, zoom_time, turn_time = (
            time if kind == name else still for name, still in zip(("pan", "zoom", "rotate"), self.still, strict=True)
        )
        angle = self.base.angle + self.turn * (self.still[2] - 0.5)
        scale = self.base.scale * math.exp(self.zoom * (self.still[1] - 0.5))
        along_x, along_y = (travel * (pan_time - 0.5) * short_side * scale for travel in self.pan)
        return Pose(
            x=self.base.x + along_x * math.cos(angle) - along_y * math.sin(angle),
            y=self.base.y + along_x * math.sin(angle) + along_y * math.cos(angle),
            scale=self.base.scale * math.exp(self.zoom * (zoom_time - 0.5)),
            angle=self.base.angle + self.turn * (turn_time - 0.5),
        )


def load_photographs(split: str) -> list[Image.Image]:
    """The photographs of a split, brought to one shorter side and continued by mirroring at the borders.

    Raises:
        DataError: the package of a photograph is not installed.
    """
    return [_prepared(_locate(name)) for name in PHOTOGRAPHS[split]]


def _locate(name: str) -> Path:
    package, rest = name.split("/", 1)
    spec = find_spec(package)
    path = Path(next(iter(spec.submodule_search_locations)), rest) if spec and spec.submodule_search_locations else None
    if path is None or not path.is_file():
        advice = "pip install 'pytorchvideo_autox3d[demo]'"
        raise DataError(f"demo data need the photograph {name} of the {package} package: {advice}")
    return path


@cache  # a process makes thousands of videos from each
def _prepared(path: Path) -> Image.Image:
    photo = Image.open(path).convert("RGB")
    factor = _PHOTO_SIDE / min(photo.size)
    photo = photo.resize((round(photo.width * factor), round(photo.height * factor)), Image.Resampling.LANCZOS)
    around = (_PADDING, _PADDING)
    return Image.fromarray(np.pad(np.asarray(photo), (around, around, (0, 0)), mode="symmetric"))


def draw_motion(label: int, photo: Image.Image, size: tuple[int, int], random: np.random.Generator) -> Motion:
    """Draw a camera for class `label` over a photograph; up to 20 times, until its view has contrast.

    Args:
        label: the class, which fixes the kind of motion.
        photo: what the camera looks at.
        size: (height, width) of the video.
        random: draws all that the class leaves open.
    """
    for _ in range(20):
        motion = _draw(label, photo, random)
        if np.asarray(render(photo, motion.pose(None, 0.0, min(size)), size)).mean(-1).std() >= _MIN_CONTRAST:
            break
    return motion


def _draw(label: int, photo: Image.Image, random: np.random.Generator) -> Motion:
    name = CLASSES[label]
    # The class fixes the direction of its own kind of motion; the directions of the others are drawn.
    pan = _PAN_DIRECTIONS.get(name) or list(_PAN_DIRECTIONS.values())[random.integers(4)]
    zoom = {"zoom_in": -1, "zoom_out": 1}.get(name) or random.choice((-1, 1))
    turn = {"rotate_clockwise": 1, "rotate_anticlockwise": -1}.get(name) or random.choice((-1, 1))
    speed = random.uniform(1 - _VARIATION, 1 + _VARIATION, 3)
    place = random.uniform(0.2, 0.8, 2)
    low, high = np.log(_SCALE)
    return Motion(
        base=Pose(
            x=_PADDING + place[0] * (photo.width - 2 * _PADDING),
            y=_PADDING + place[1] * (photo.height - 2 * _PADDING),
            scale=math.exp(random.uniform(low, high)),
            angle=random.uniform(0, 2 * math.pi),
        ),
        pan=(pan[0] * _PAN * speed[0], pan[1] * _PAN * speed[0]),
        zoom=float(zoom * _ZOOM * speed[1]),
        turn=float(turn * _TURN * speed[2]),
        still=tuple(random.uniform(0, 1, 3)),
    )


def render(photo: Image.Image, pose: Pose, size: tuple[int, int]) -> Image.Image:
    """The photograph as seen from `pose`, size (width, height); drawn at twice the size and averaged."""
    width, height = size
    step = pose.scale / 2
    cos, sin = step * math.cos(pose.angle), step * math.sin(pose.angle)
    # Pixel (u, v) of the drawn view shows the point pose + rotation * scale * ((u, v) - centre) of the photograph.
    matrix = (
        cos, -sin, pose.x - cos * width + sin * height,
        sin, cos, pose.y - sin * width - cos * height,
    )  # fmt: skip
    drawn = photo.transform((2 * width, 2 * height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return drawn.reduce(2)


def render_video(
    label: int, photo: Image.Image, size: tuple[int, int], num_frames: int, random: np.random.Generator
) -> list[Picture]:
    """One video of class `label`: `num_frames` RGB pictures of `size` (width, height)."""
    motion = draw_motion(label, photo, size, random)
    kind = CLASSES[label].split("_")[0]
    times = np.linspace(0, 1, num_frames)
    return [np.asarray(render(photo, motion.pose(kind, float(time), min(size)), size)) for time in times]
