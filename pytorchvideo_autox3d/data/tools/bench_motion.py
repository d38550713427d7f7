"""What the bench data's videos show: a textured shape and a scene behind it, of which one moves by a programme.

A class names who moves (the object alone, or the camera, so that object and scene move together), by which programme,
and whether the object is plain or striped. Each programme comes with its opposite, and the two show the same set of
pictures in another order or at another rate: a network that looks at single frames can't tell them apart. Direction,
length, place, shape and colour are drawn, and say nothing about the class. Nuisances: the scene drifts slowly, the
camera shakes, the light flickers, bars clutter the scene, pixels are noisy.

Shapes: T frames, H and W pixels, S pixels of a canvas, C colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image

from pytorchvideo_autox3d.data.tools.demo_motion import Picture, Pose, render

Floats = npt.NDArray[np.float64]

MOVERS = ("object", "camera")
PROGRAMMES = ("speeds_up", "slows_down", "swings_slowly", "swings_quickly", "across_then_along", "along_then_across")
"""In pairs of opposites; "across" is horizontal, "along" vertical, each of either sign."""
SURFACES = ("plain", "striped")
BENCH_CLASSES = tuple("_".join(parts) for parts in product(MOVERS, PROGRAMMES, SURFACES))

_SIDE = 28  # pixels of a view's side for which the lengths below are given
_TRAVEL = (8.0, 15.0)  # from one end of a programme's path to the other
_RADIUS = (5.0, 7.0)
_PERIOD = (4.5, 6.0)  # of the stripes
_DRIFT = 3.0  # of the scene behind a moving object, at most
# How hard a video is differs a lot, so that networks do: the worst draws of these hide the class from any network.
_CONTRAST = (30.0, 110.0)  # grey values between the object's mean and the scene's
_PATTERN = (50.0, 160.0)  # grey values between a stripe and the next
_SHAKE, _FLICKER, _NOISE = 0.4, 0.06, 6.0  # pixels, share of the light, grey values: standard deviations, at most
_SHAPES = ("disc", "square", "cross")
_SWINGS = {"swings_slowly": 1, "swings_quickly": 2}
_BARS = 3


@dataclass(frozen=True)
class BenchLabel:
    """The three parts of a class, as indices into MOVERS, PROGRAMMES and SURFACES."""

    mover: int
    programme: int
    surface: int

    @classmethod
    def of(cls, label: int) -> BenchLabel:
        """The three parts of class `label`, which is an index into BENCH_CLASSES."""
        rest, surface = divmod(label, len(SURFACES))
        mover, programme = divmod(rest, len(PROGRAMMES))
        return cls(mover, programme, surface)


def programme_path(programme: str, time_T: Floats, random: np.random.Generator) -> Floats:
    """The path of a programme, whose direction and phase are drawn.

    Args:
        programme: one of PROGRAMMES.
        time_T: times in [0, 1].
        random: of the draws.

    Returns:
        (T, 2): x and y in [-0.5, 0.5], in units of the distance from one end of the path to the other.
    """
    if programme in ("across_then_along", "along_then_across"):
        signs = random.choice((-1.0, 1.0), 2)
        first, second = np.clip(2 * time_T, 0, 1) - 0.5, np.clip(2 * time_T - 1, 0, 1) - 0.5
        across, along = (first, second) if programme == "across_then_along" else (second, first)
        return np.stack([signs[0] * across, signs[1] * along], axis=1)
    angle, phase = random.uniform(0, 2 * math.pi, 2)
    if programme in _SWINGS:
        along_T = 0.5 * np.sin(2 * math.pi * _SWINGS[programme] * time_T + phase)
    else:
        along_T = (time_T**2 if programme == "speeds_up" else 1 - (1 - time_T) ** 2) - 0.5
    return along_T[:, None] * np.array([math.cos(angle), math.sin(angle)])


def render_bench_video(
    label: int, photos: list[Image.Image], size: int, num_frames: int, random: np.random.Generator
) -> list[Picture]:
    """Render one video of a class.

    Args:
        label: an index into BENCH_CLASSES.
        photos: the photographs from which that of the scene is drawn.
        size: side of the square pictures, in pixels.
        num_frames: how many pictures.
        random: draws all that the class leaves open.

    Returns:
        RGB pictures, uint8 (size, size, 3).
    """
    parts = BenchLabel.of(label)
    unit = size / _SIDE
    time_T = np.linspace(0, 1, num_frames)
    travel, radius = random.uniform(*_TRAVEL) * unit, random.uniform(*_RADIUS) * unit
    path_T2 = travel * programme_path(PROGRAMMES[parts.programme], time_T, random)
    place = size / 2 + random.uniform(-1, 1, 2) * max(0.0, (size - travel) / 2 - 0.7 * radius)
    shake, noise = random.uniform(0, (_SHAKE * unit, _NOISE))
    drift_T2 = (time_T - 0.5)[:, None] * random.uniform(-_DRIFT, _DRIFT, 2) * unit
    shake_T2 = random.normal(0, shake, (num_frames, 2))
    # The object's path in the view is the same whoever moves; the scene's tells.
    object_T2 = place + path_T2 + shake_T2
    scene_T2 = shake_T2 + (path_T2 if MOVERS[parts.mover] == "camera" else drift_T2)

    margin = math.ceil((_TRAVEL[1] / 2 + _DRIFT) * unit + 5 * _SHAKE * unit) + 2
    scene_SSC = _clutter(_canvas(photos, size + 2 * margin, random), random)
    object_SSC = _surface(SURFACES[parts.surface], scene_SSC.mean((0, 1)), 2 * math.ceil(2 * radius) + 1, unit, random)
    mask = _mask_of(_SHAPES[random.integers(len(_SHAPES))], radius, random.uniform(0, math.pi / 2))
    light_T = np.exp(random.normal(0, random.uniform(0, _FLICKER), num_frames))
    pictures = []
    for scene_at, object_at, light in zip(scene_T2, object_T2, light_T, strict=True):
        view_HWC = _window(scene_SSC, margin - scene_at, size)
        view_HWC = _paste(view_HWC, object_SSC, object_at, mask)
        view_HWC = view_HWC * light + random.normal(0, noise, view_HWC.shape)
        pictures.append(np.clip(view_HWC + 0.5, 0, 255).astype(np.uint8))
    return pictures


def _canvas(photos: list[Image.Image], side: int, random: np.random.Generator) -> Floats:
    """A square of a random photograph, turned, mirrored and recoloured: (S, S, C) grey values."""
    photo = photos[random.integers(len(photos))]
    pose = Pose(
        x=photo.width * random.uniform(0.35, 0.65),
        y=photo.height * random.uniform(0.35, 0.65),
        scale=random.uniform(0.9, 1.8),
        angle=random.uniform(0, 2 * math.pi),
    )
    canvas = np.asarray(render(photo, pose, (side, side)), dtype=np.float64)[..., random.permutation(3)]
    canvas = canvas[:, ::-1] if random.integers(2) else canvas
    return (canvas - canvas.mean()) * random.uniform(0.6, 1.1) + random.uniform(80, 170)


def _clutter(scene_SSC: Floats, random: np.random.Generator) -> Floats:
    """The scene with bars of one colour across it, part of it wherever it moves."""
    side = len(scene_SSC)
    y, x = np.mgrid[:side, :side]
    for _ in range(_BARS):
        angle, (across, along) = random.uniform(0, math.pi), random.uniform(0.1, 0.9, 2) * side
        width, length = random.uniform(0.5, 1.5), random.uniform(4, 12)
        u = (x - across) * math.cos(angle) + (y - along) * math.sin(angle)
        v = (y - along) * math.cos(angle) - (x - across) * math.sin(angle)
        inside = (np.abs(u) < length) & (np.abs(v) < width)
        scene_SSC = np.where(inside[..., None], random.uniform(0, 255, 3), scene_SSC)
    return scene_SSC


def _surface(kind: str, around_C: Floats, side: int, unit: float, random: np.random.Generator) -> Floats:
    """The object's surface (S, S, C): a colour that stands out from the scene's mean, with a pattern of its kind."""
    colour = around_C + random.choice((-1, 1)) * random.uniform(*_CONTRAST) + random.uniform(-30, 30, 3)
    angle, phase = random.uniform(0, math.pi), random.uniform(0, 2 * math.pi)
    period, depth = random.uniform(*_PERIOD) * unit, random.uniform(*_PATTERN) / 2
    y, x = np.mgrid[:side, :side] * (2 * math.pi / period)
    across = np.sin(x * math.cos(angle) + y * math.sin(angle) + phase)
    pattern = across if kind == "striped" else 0.0 * across
    return colour + (math.sqrt(2) * depth * pattern)[..., None]


def _mask_of(shape: str, radius: float, angle: float) -> Callable[[Floats, Floats], Floats]:
    """Opacity in [0, 1] at offsets (x, y) from the centre: the shape, of about the same area, with a soft edge."""

    def mask(x: Floats, y: Floats) -> Floats:
        u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        if shape == "disc":
            outside = np.hypot(u, v) - 0.9 * radius
        elif shape == "square":
            outside = np.maximum(np.abs(u), np.abs(v)) - 0.8 * radius
        else:
            first = np.maximum(np.abs(u) - 1.15 * radius, np.abs(v) - 0.36 * radius)
            outside = np.minimum(first, np.maximum(np.abs(v) - 1.15 * radius, np.abs(u) - 0.36 * radius))
        return np.asarray(np.clip(0.5 - outside, 0, 1))

    return mask


def _window(canvas_SSC: Floats, corner: Floats, side: int) -> Floats:
    """`side` x `side` pixels of a canvas from a corner (x, y) that need not be whole; bilinear."""
    whole = np.floor(corner).astype(int)
    x, y = (int(value) for value in whole)
    right, down = corner - whole
    block = canvas_SSC[y : y + side + 1, x : x + side + 1]
    rows = (1 - down) * block[:-1] + down * block[1:]
    return np.asarray((1 - right) * rows[:, :-1] + right * rows[:, 1:])


def _paste(view_HWC: Floats, object_SSC: Floats, centre: Floats, mask: Callable[[Floats, Floats], Floats]) -> Floats:
    """The object at `centre` (x, y) over the view; its texture moves with it."""
    side, reach = len(view_HWC), len(object_SSC) // 2
    padded = np.pad(object_SSC, ((side, side + 1), (side, side + 1), (0, 0)), mode="edge")
    surface_HWC = _window(padded, side + reach - centre, side)
    y, x = np.mgrid[:side, :side]
    opacity = mask(x - centre[0], y - centre[1])[..., None]
    return (1 - opacity) * view_HWC + opacity * surface_HWC
