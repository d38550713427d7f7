import numpy as np
import pytest
from PIL import Image

from pytorchvideo_autox3d.data.tools import demo_motion
from pytorchvideo_autox3d.data.tools.demo_motion import (
    CLASSES,
    PHOTOGRAPHS,
    Pose,
    draw_motion,
    load_photographs,
    render,
)
from pytorchvideo_autox3d.errors import DataError

SIZE = (96, 72)
SHORT = 72


@pytest.fixture(scope="module")
def photo():
    return load_photographs("test")[0]


@pytest.mark.parametrize("label", range(8), ids=CLASSES)
def test_the_class_and_only_the_class_moves(photo, label):
    kind, direction = CLASSES[label].split("_")
    for seed in range(10):
        motion = draw_motion(label, photo, SIZE, np.random.default_rng(seed))
        start, end = (motion.pose(kind, time, SHORT) for time in (0.0, 1.0))
        # The travel in the camera's own axes: x to its right, y down.
        cos, sin = np.cos(start.angle), np.sin(start.angle)
        right = ((end.x - start.x) * cos + (end.y - start.y) * sin) / start.scale
        down = ((end.y - start.y) * cos - (end.x - start.x) * sin) / start.scale
        zoom, turn = np.log(end.scale / start.scale), end.angle - start.angle
        measured = {"left": -right, "right": right, "up": -down, "down": down, "in": -zoom, "out": zoom,
                    "clockwise": turn, "anticlockwise": -turn}  # fmt: skip
        least = {"pan": 0.4 * SHORT, "zoom": 0.5, "rotate": 0.7}[kind]
        assert measured.pop(direction) > least
        opposite = {"left": "right", "right": "left", "up": "down", "down": "up", "in": "out", "out": "in",
                    "clockwise": "anticlockwise", "anticlockwise": "clockwise"}[direction]  # fmt: skip
        measured.pop(opposite)
        assert max(abs(value) for value in measured.values()) < 1e-9


def test_a_frame_at_a_random_time_tells_no_class(photo):
    """Scale, angle and place of single frames have the same quantiles in all eight classes."""
    random = np.random.default_rng(0)
    quantiles = []
    for label in range(8):
        poses = []
        for _ in range(1500):
            motion = demo_motion._draw(label, photo, random)
            poses.append(motion.pose(CLASSES[label].split("_")[0], random.uniform(), SHORT))
        values = [[np.log(p.scale) for p in poses], [p.angle % (2 * np.pi) / 6 for p in poses],
                  [p.x / photo.width for p in poses], [p.y / photo.height for p in poses]]  # fmt: skip
        quantiles.append(np.quantile(values, [0.1, 0.3, 0.5, 0.7, 0.9], axis=1))
    spread = np.ptp(np.array(quantiles), axis=0)
    assert spread.max() < 0.1


def test_no_border_is_ever_seen():
    white = Image.new("RGB", load_photographs("val")[0].size, "white")
    for label in range(8):
        for seed in range(10):
            motion = demo_motion._draw(label, white, np.random.default_rng(seed))
            for time in (0.0, 0.5, 1.0):
                view = render(white, motion.pose(CLASSES[label].split("_")[0], time, SHORT), SIZE)
                assert np.asarray(view).min() == 255


def test_render_shows_the_photograph_around_the_pose():
    ramp = np.zeros((200, 200, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(200)[None], np.arange(200)[:, None]
    view = np.asarray(render(Image.fromarray(ramp), Pose(100, 60, 1.0, 0.0), (40, 20)))
    assert view.shape == (20, 40, 3)
    assert abs(int(view[10, 20, 0]) - 100) <= 1
    assert abs(int(view[10, 20, 1]) - 60) <= 1
    assert abs(int(view[0, 0, 0]) - 80) <= 1
    # A quarter turn clockwise of the camera: its right looks along the photograph's downward axis.
    turned = np.asarray(render(Image.fromarray(ramp), Pose(100, 60, 1.0, np.pi / 2), (40, 20)))
    assert int(turned[10, 39, 1]) - int(turned[10, 0, 1]) == pytest.approx(39, abs=2)


def test_no_photograph_is_in_two_splits():
    names = [name for split in PHOTOGRAPHS.values() for name in split]
    assert len(names) == len(set(names)) == 15


def test_a_missing_photograph_says_what_to_install(monkeypatch):
    monkeypatch.setitem(PHOTOGRAPHS, "val", ("skimage/data/nothing.png",))
    with pytest.raises(DataError, match=r"photograph skimage/data/nothing\.png .* pip install"):
        load_photographs("val")
