"""Optical flow as videos: values, mirroring, and clips that hold it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo_autox3d.data import Kinetics, open_video, read_list
from pytorchvideo_autox3d.data.flow import FlowReader, check_flow, clip_pictures, flow_path, flow_values, mirrored_flow
from pytorchvideo_autox3d.errors import DataError, DecodeError
from tests.data.conftest import flow_pixels, write_video

CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32)}


@given(st.floats(-50, 50, width=32))
def test_values_stand_for_pixels(pixels):
    value = flow_values(np.array([[[pixels, 0]]], dtype=np.float32))
    assert value[0, 0, 1] == 128
    back = float(flow_pixels(torch.from_numpy(value))[0, 0, 0])
    # Cut off at 20, in steps of 20 / 127.
    assert abs(back - min(max(pixels, -20), 20)) <= 10 / 127 + 1e-5


@given(st.integers(1, 255), st.integers(0, 255))
def test_a_mirrored_clip_moves_the_other_way(across, down):
    clip = torch.tensor([across, down], dtype=torch.uint8).view(1, 2, 1, 1)
    before = flow_pixels(clip.clone())
    mirrored = mirrored_flow(clip)
    assert torch.allclose(flow_pixels(mirrored)[:, 0], -before[:, 0], atol=1e-5)
    assert mirrored[0, 1] == down


@pytest.fixture
def flow_list(video_list, tmp_path):
    """The list's videos, each with a flow that shows its frames' numbers, 30 above the video's own."""
    copied = shutil.copytree(video_list.parent, tmp_path / "list")
    manifest = read_list(str(copied / video_list.name), path_prefix=str(copied))
    flow = write_video(tmp_path / "flow.mp4", range(30, 90))
    for path in manifest.paths:
        shutil.copy(flow, flow_path(path))
    return manifest


@pytest.mark.parametrize(("modality", "channels"), [("flow", 2), ("rgb+flow", 5)])
def test_clips_of_every_mode(flow_list, modality, channels):
    for mode, views in (("train", 1), ("val", 1), ("test", 6)):
        dataset = Kinetics(manifest=flow_list, mode=mode, modality=modality, num_clips=2, num_crops=3, **CLIP)
        clip_BCTHW = dataset[1].clip_BCTHW
        assert clip_BCTHW.shape == (views, channels, 4, 24, 24)
        assert clip_BCTHW.is_contiguous(memory_format=torch.channels_last_3d)


def test_both_show_the_same_frames(flow_list, number_of):
    reader = FlowReader(open_video, flow_list.record(0).path, colours=True)
    with reader:
        frames_NCHW = reader.read([3, 17])
        assert reader.metadata().num_frames == 60
    assert [number_of(frame) for frame in frames_NCHW[:, :3]] == [3, 17]
    # Red and green of the flow are grey bars here: the frames 33 and 47.
    grey = frames_NCHW[:, 3:].float().mean(dim=1, keepdim=True).expand(-1, 3, -1, -1).to(torch.uint8)
    assert [number_of(frame) for frame in grey] == [33, 47]


def test_a_mirrored_training_clip_has_its_flow_mirrored(flow_list):
    straight = Kinetics(manifest=flow_list, mode="train", modality="flow", horizontal_flip=False, **CLIP)
    either = Kinetics(manifest=flow_list, mode="train", modality="flow", **CLIP)
    turned = 0
    for epoch in range(8):
        plain, item = straight[epoch, 0].clip_BCTHW, either[epoch, 0].clip_BCTHW
        # Down stays down, and either way the grey bars' two channels are alike unless the clip was mirrored.
        alike = (item[:, 0].int() - item[:, 1].int()).abs().max() <= 2
        assert (plain[:, 0].int() - plain[:, 1].int()).abs().max() <= 2
        if not alike:
            turned += 1
            assert (item[:, 0].int() + item[:, 1].int() - 256).abs().max() <= 2
    assert 0 < turned < 8


def test_missing_flow_is_an_error_before_training(video_list):
    message = r"10 of 10 videos have no optical flow, the first .*v0\.mp4 \(.*:1\): run autox3d"
    with pytest.raises(DataError, match=message) as caught:
        Kinetics(manifest=str(video_list), path_prefix=str(video_list.parent), mode="val", modality="flow", **CLIP)
    assert "\n" not in str(caught.value)


def test_a_list_with_some_missing_names_the_first(flow_list):
    check_flow(flow_list)
    Path(flow_path(flow_list.record(4).path)).unlink()
    with pytest.raises(DataError, match=r"1 of 10 videos have no optical flow, the first .*v4\.mp4"):
        check_flow(flow_list)


def test_flow_of_another_length_is_named(flow_list):
    path = flow_list.record(0).path
    Path(flow_path(path)).unlink()
    write_video(Path(flow_path(path)), range(10))
    with pytest.raises(DecodeError, match=r"v0\.mp4\.flow\.mp4: has 10 frames, the video has 60"):
        FlowReader(open_video, path, colours=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modality": "depth"}, "modality is 'depth', expected one of rgb, flow, rgb"),
        ({"modality": "flow", "auto_augment": "imagenet"}, "flow has no colours"),
    ],
)
def test_wrong_arguments(flow_list, arguments, message):
    with pytest.raises(DataError, match=message):
        Kinetics(manifest=flow_list, mode="train", **arguments, **CLIP)


def test_clips_of_every_modality_can_be_looked_at():
    rgb = torch.randint(0, 256, (3, 2, 4, 5), dtype=torch.uint8)
    flow = torch.randint(0, 256, (2, 2, 4, 5), dtype=torch.uint8)
    assert torch.equal(clip_pictures(rgb), rgb)
    shown = clip_pictures(flow)
    assert torch.equal(shown[:2], flow)
    assert shown[2].unique().tolist() == [128]
    both = clip_pictures(torch.cat((rgb, flow)))
    assert both.shape == (3, 2, 8, 5)
    assert torch.equal(both, torch.cat((rgb, shown), dim=2))
