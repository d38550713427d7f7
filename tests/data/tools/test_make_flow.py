"""Computing flow: a picture that moves, an interrupted run, and videos that can't be read."""

import argparse

import av
import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.commands import make_flow as command
from pytorchvideo_autox3d.data import open_video, read_list
from pytorchvideo_autox3d.data.flow import flow_path
from pytorchvideo_autox3d.data.tools.make_flow import FlowSettings, make_flow, make_flow_of_list
from pytorchvideo_autox3d.errors import DataError
from tests.data.conftest import flow_pixels


def moving_video(path, frames=6, step=(3, 1)):
    """Smooth random texture, of which every frame shows a window `step` (right, down) pixels on."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 24, 24, generator=generator)
    big = torch.nn.functional.interpolate(coarse, size=(160, 160), mode="bicubic").clamp(0, 1)
    picture = (big[0] * 255).to(torch.uint8).permute(1, 2, 0).numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p"
        for number in range(frames):
            top, left = 40 - step[1] * number, 40 - step[0] * number
            window = np.ascontiguousarray(picture[top : top + 64, left : left + 80])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(window, format="rgb24")))
        container.mux(stream.encode(None))


def test_a_moving_picture_has_its_movement(tmp_path):
    video = tmp_path / "v.mp4"
    moving_video(video)
    make_flow(str(video), FlowSettings())
    with open_video(flow_path(str(video))) as reader, open_video(str(video)) as original:
        found = reader.metadata()
        assert (found.num_frames, found.height, found.width) == (6, 64, 80)
        assert found.fps == pytest.approx(original.metadata().fps)
        flow = flow_pixels(reader.read(range(6)))
    inner = flow[:, :2, 16:-16, 16:-16]
    assert inner[:, 0].median() == pytest.approx(3, abs=0.3)
    assert inner[:, 1].median() == pytest.approx(1, abs=0.3)
    # The last frame repeats the one before.
    assert (flow[5, :2] - flow[4, :2]).abs().mean() < 0.2
    assert flow[:, 2].abs().max() < 1


def test_a_single_frame_stands_still(tmp_path):
    moving_video(tmp_path / "v.mp4", frames=1)
    make_flow(str(tmp_path / "v.mp4"), FlowSettings(short_side=32))
    with open_video(flow_path(str(tmp_path / "v.mp4"))) as reader:
        assert (reader.metadata().num_frames, reader.metadata().height) == (1, 32)
        assert flow_pixels(reader.read([0])).abs().max() < 0.5


def test_an_interrupted_run_goes_on_and_faults_are_named(tmp_path, capsys):
    for name in ("a", "b"):
        moving_video(tmp_path / f"{name}.mp4", frames=3)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "train.csv").write_text("a.mp4 0\nb.mp4 1\nbroken.mp4 1\n")
    manifest = read_list(str(tmp_path / "train.csv"), path_prefix=str(tmp_path))
    done = tmp_path / "a.mp4.flow.mp4"
    done.write_bytes(b"kept")
    failed = make_flow_of_list(manifest, FlowSettings(), show_progress=False)
    assert done.read_bytes() == b"kept"
    assert (tmp_path / "b.mp4.flow.mp4").stat().st_size > 100
    assert list(failed) == [2]
    assert "broken.mp4" in failed[2]
    assert "train.csv:3" in failed[2]
    assert sorted(path.name for path in tmp_path.glob("*flow*")) == ["a.mp4.flow.mp4", "b.mp4.flow.mp4"]
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = [str(tmp_path / "train.csv"), "--prefix", str(tmp_path), "--workers", "0"]
    with pytest.raises(DataError, match="1 videos have no flow"):
        command.run(parser.parse_args(arguments))
    assert "2 of 3 videos have their flow" in capsys.readouterr().out


def test_settings_out_of_range():
    with pytest.raises(DataError, match="expected a short side from 16"):
        FlowSettings(preset="slow")
