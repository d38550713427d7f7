import dataclasses
import json
import subprocess
import sys

import av
import numpy as np
import pytest

from pytorchvideo_autox3d.data.frame_stream import FrameStream
from pytorchvideo_autox3d.errors import ConfigError, DecodeError
from pytorchvideo_autox3d.models import Calibration
from pytorchvideo_autox3d.predict import Recognizer, read_timeline
from pytorchvideo_autox3d.predict.annotate import annotate_video, write_video
from pytorchvideo_autox3d.predict.records import caption_of, unique_names
from pytorchvideo_autox3d.predict.timeline_picture import draw_timeline
from pytorchvideo_autox3d.report import figure_to_png
from tests.predict.conftest import CARD, by_brightness, grey_frames, write_grey


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """4 seconds dark, 4 grey, 4 bright, at 10 frames a second."""
    return write_grey(tmp_path_factory.mktemp("film") / "film.mp4", [5] * 40 + [128] * 40 + [250] * 40)


def test_segments_where_the_film_changes(recognizer, film):
    told = []
    timeline = read_timeline(recognizer, film, progress=lambda *done: told.append(done))
    assert [one.label for one in timeline.segments] == ["dark", "grey", "bright"]
    # Windows start every 0.4 s and last 0.8 s, so that a change is found to within half of that.
    bounds = [one.end for one in timeline.segments]
    assert bounds == pytest.approx([4.0, 8.0, 12.0], abs=0.4)
    assert timeline.segments[0].start == 0.0
    assert all(a.end == b.start for a, b in zip(timeline.segments, timeline.segments[1:], strict=False))
    assert told[-1] == (29, 29)  # (120 - 8) / 4 + 1
    content = json.loads(json.dumps(timeline.to_dict()))
    assert content["segments"][2]["label"] == "bright"
    assert content["duration"] == 12.0
    assert {label for label, _ in content["top"]} == {"dark", "grey", "bright"}


def test_an_array_has_a_timeline_too(recognizer, film, tmp_path):
    frames = grey_frames([5] * 40 + [128] * 40 + [250] * 40)
    np.save(tmp_path / "film.npy", frames)
    expected = read_timeline(recognizer, film).to_dict()["segments"]
    for video in (frames, tmp_path / "film.npy"):
        found = read_timeline(recognizer, video).to_dict()["segments"]
        assert [(one["start"], one["end"], one["label"]) for one in found] == [
            (one["start"], one["end"], one["label"]) for one in expected
        ]


def test_what_is_not_believed_is_none_of_these(film):
    # At level 128 "grey" has nearly the full score; a temperature of 20 makes all scores alike.
    card = dataclasses.replace(CARD, calibration=Calibration(20.0, 0.9, 0.0, 0.0))
    timeline = read_timeline(Recognizer(by_brightness, card, device="cpu"), film)
    assert [one.label for one in timeline.segments] == ["none of these"]


def test_the_picture_has_a_bar_for_every_segment_and_a_curve_for_every_class(recognizer, film):
    figure = draw_timeline(read_timeline(recognizer, film))
    bars, curves = figure.axes
    assert [text.get_text().split("\n")[0] for text in bars.texts] == ["dark", "grey", "bright"]
    assert {line.get_label() for line in curves.lines} == {"dark", "grey", "bright"}
    assert figure_to_png(figure).startswith(b"\x89PNG")


def test_the_annotated_film_shows_each_segments_score(recognizer, film, tmp_path):
    timeline = read_timeline(recognizer, film)
    caption = caption_of(timeline)
    assert [caption(time)[0] for time in (0.0, 6.0, 11.9, 99.0)] == ["dark", "grey", "bright", "bright"]
    annotate_video(FrameStream(str(film)), tmp_path / "a.mp4", lambda time: ("x", 0.5 if time < 6 else 1.0))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == 10
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 120
    assert frames[0].shape == (240, 240, 3)  # enlarged, to be legible
    blue = [int((frame[..., 2].astype(int) - frame[..., 0] > 60).any(axis=0).sum()) for frame in frames]
    assert blue[30] == pytest.approx(120, abs=4)  # the bar: half the width, then all of it
    assert blue[90] == pytest.approx(240, abs=4)
    assert abs(int(frames[30][200].mean()) - 5) < 4


def test_bad_input_leaves_nothing(recognizer, film, broken, tmp_path):
    with pytest.raises(ConfigError, match="min_seconds"):
        read_timeline(recognizer, film, min_seconds=-1)
    with pytest.raises(DecodeError, match=r"broken\.mp4"):
        read_timeline(recognizer, broken)
    with pytest.raises(DecodeError, match=r"broken\.mp4"):
        annotate_video(FrameStream(str(broken)), tmp_path / "out.mp4", lambda time: ("x", 1.0))
    assert not (tmp_path / "out.mp4").exists()


def test_names_of_films_and_pictures_do_not_collide():
    names = unique_names(["a/x.mp4", "b/x.webm", "x-2.mp4", "y.mp4"])
    assert list(names.values())[:2] == ["x", "x-2"]
    assert len(set(names.values())) == 4


_MEMORY = """
import dataclasses, resource, sys
from tests.predict.conftest import CARD, CLIP, by_brightness
from pytorchvideo_autox3d.predict import Recognizer, read_timeline
clip = dataclasses.replace(CLIP, fps=1, sampling_rate=1, crop_size=64, short_side=64)
recognizer = Recognizer(by_brightness, dataclasses.replace(CARD, preprocessing=clip), device="cpu")
read_timeline(recognizer, sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
timeline = read_timeline(recognizer, sys.argv[2])
print(timeline.duration, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
    """3,600 frames of 64 x 64, which would fill 44 MB."""
    noise = np.random.default_rng(0).integers(0, 255, 3600)
    paths = [tmp_path / "minute.mp4", tmp_path / "hour.mp4"]
    for path, levels in zip(paths, (noise[:60], noise), strict=True):
        write_video(path, (frame for level in levels for frame in grey_frames([level], (64, 64))), 1)
    run = subprocess.run([sys.executable, "-c", _MEMORY, *paths], capture_output=True, text=True, check=True)
    duration, megabytes = map(float, run.stdout.split())
    assert duration == 3600
    assert megabytes < 10
