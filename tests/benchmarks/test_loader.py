import pytest
import torch

from pytorchvideo_autox3d.benchmarks import loader
from pytorchvideo_autox3d.data import clip_generator, open_video
from pytorchvideo_autox3d.data.views import clip_span, frame_indices, random_view


@pytest.fixture(scope="module")
def rows():
    return loader.run(rounds=1, test_rounds=1, gops=(12,), seconds=4, num_clips=1)


def test_every_way_is_measured(rows):
    clip, test = rows
    ways = {loader.OURS, loader.BARE, loader.PTV}
    assert ways <= set(clip["milliseconds"]) <= ways | {loader.CODEC}
    assert ways | {loader.BY_VIEW} <= set(test["milliseconds"])
    assert all(value > 0 for row in rows for value in row["milliseconds"].values())


def test_scaling_while_converting_keeps_the_picture(rows):
    assert rows[0]["psnr_db"] > 40


def test_table(rows, capsys):
    loader.print_table(rows)
    printed = capsys.readouterr().out
    assert "PyTorchVideo" in printed
    assert "dB (GOP 12)" in printed


def test_all_ways_read_the_same_clip(tmp_path):
    """The picture in the middle of the crop, read by PyTorchVideo and by us, for the same view."""
    path = str(tmp_path / "a.mp4")
    loader.make_video(path, gop=12, seconds=4)
    view = random_view(120, clip_span(13, 6, 30, 30), clip_generator(0, 3, 0))
    numbers = frame_indices(view, 13, 120)
    with open_video(path) as video:
        ours = video.read(numbers, short_side=160)
    theirs = loader.ptv_clip(path, view, 30, 160, None)
    left = (ours.shape[-1] - 160 + 1) // 2
    difference = ours[..., left : left + 160].transpose(0, 1).float() - 255 * theirs
    assert theirs.shape == (3, 13, 160, 160)
    # Its subsampling rounds elsewhere, so that a frame may be the neighbour; the video moves by little in one.
    assert difference.abs().mean() < 12
    assert torch.isfinite(theirs).all()
