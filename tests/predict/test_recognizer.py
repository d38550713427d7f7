import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.data import ClipNormalize, Kinetics, Manifest, build_loader
from pytorchvideo_autox3d.data.flow import flow_path
from pytorchvideo_autox3d.engine import EvalSettings, EvalViews, Runtime, multiview_scores
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError, DataError, DecodeError, ModelError
from pytorchvideo_autox3d.models import ModelCard, Preprocessing, create_autox3d
from pytorchvideo_autox3d.predict import Recognizer, read_timeline
from pytorchvideo_autox3d.predict import recognizer as module
from tests.predict.conftest import CARD, by_brightness, grey_frames, write_grey


def test_scores_are_those_of_the_harness_test(tmp_path):
    """The same network, video and views through the multi-view tester that measures accuracy."""
    clip = Preprocessing(num_frames=4, sampling_rate=3, fps=25, crop_size=16, short_side=20)
    card = ModelCard("AutoX3D", {}, 3, clip, num_clips=2, num_crops=3)
    torch.manual_seed(0)
    network = create_autox3d(model_num_class=3).eval()
    noise = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.mp4" for n in range(2)]
    for path in paths:
        write_grey(path, noise.integers(0, 255, 30))
    dataset = Kinetics(
        manifest=Manifest.from_items([(str(path), 0) for path in paths]), mode="test", num_frames=4, sampling_rate=3,
        target_fps=25, crop_size=16, jitter_scales=(20, 24), num_clips=2, num_crops=3,
    )  # fmt: skip
    expected = multiview_scores(
        network,
        EvalViews(
            loader=build_loader(dataset, batch_size=1, shuffle=False, drop_last=False),
            num_videos=2,
            num_views=6,
            num_classes=3,
        ),
        runtime=Runtime(device=torch.device("cpu"), preprocess=ClipNormalize()),
        settings=EvalSettings(),
    ).score_NK
    found = list(Recognizer(network, card, device="cpu").predict(paths))
    np.testing.assert_allclose([one.score_K for one in found], expected, atol=1e-5)
    assert [one.video for one in found] == [str(path) for path in paths]


def test_clips_and_the_video_by_hand(recognizer, ramp):
    # 4 s at 10 fps; a clip spans 8 frames; two clips start at 0 and (40 - 8) / 2 = 16 frames.
    prediction = recognizer(ramp)
    assert [(clip.start, clip.end) for clip in prediction.clips] == [(0.0, 0.8), (1.6, 2.4)]
    # Frames 0, 2, 4, 7 (evenly over 0..7, truncated) of level 6n: mean 19.5 of 255; then 16 frames later 115.5.
    means = torch.tensor([19.5, 115.5]) / 255
    logits = -40 * (means[:, None] - torch.tensor([0.0, 0.5, 1.0])).abs()
    np.testing.assert_allclose(prediction.score_K, logits.softmax(1).mean(0), atol=0.03)
    assert [clip.top[0][0] for clip in prediction.clips] == ["dark", "grey"]
    assert prediction.label in ("dark", "grey")
    assert prediction.score == pytest.approx(float(prediction.score_K.max()))
    assert len(prediction.top) == 3


def test_the_largest_score_of_any_view_counts_where_the_card_says_so(ramp):
    card = dataclasses.replace(CARD, ensemble="max")
    prediction = Recognizer(by_brightness, card, device="cpu")(ramp)
    np.testing.assert_allclose(prediction.score_K[:2], [0.97, 0.97], atol=0.05)


def test_one_view_is_the_middle_of_the_video(ramp):
    (clip,) = Recognizer(by_brightness, CARD, device="cpu", views="1")(ramp).clips
    assert (clip.start, clip.end) == (1.6, 2.4)


@pytest.mark.parametrize("layout", [(0, 1, 2, 3), (0, 3, 1, 2), (3, 0, 1, 2)])
def test_arrays_and_tensors_of_each_layout(recognizer, layout):
    frames = grey_frames(range(0, 160, 4)).transpose(layout)
    for video in (frames, torch.from_numpy(frames.copy())):
        prediction = recognizer(video)
        means = torch.tensor([13, 77]) / 255  # as above with levels 4n
        logits = -40 * (means[:, None] - torch.tensor([0.0, 0.5, 1.0])).abs()
        np.testing.assert_allclose(prediction.score_K, logits.softmax(1).mean(0), atol=1e-4)


def test_an_array_of_a_clips_length_is_that_clip(recognizer):
    seen = []
    recognizer.network = lambda clip: seen.append(clip) or torch.zeros(len(clip), 3)
    recognizer(grey_frames([10, 20, 30, 40]))
    assert (seen[0][0, 0, :, 0, 0] * 255).round().tolist() == [10, 20, 30, 40]
    recognizer(grey_frames([10, 20, 30, 40]), fps=10)  # two frames apart: past the end the last one stays
    assert (seen[1][0, 0, :, 0, 0] * 255).round().tolist() == [10, 30, 40, 40]


def test_a_npy_file(recognizer, tmp_path):
    np.save(tmp_path / "a.npy", grey_frames([250] * 9))
    assert recognizer(tmp_path / "a.npy").label == "bright"
    np.save(tmp_path / "b.npy", np.zeros(3))
    (tmp_path / "c.npy").write_text("nothing")
    for name, words in (("b.npy", "float64"), ("c.npy", "not a readable"), ("d.npy", "no such file")):
        with pytest.raises(DecodeError, match=words) as raised:
            recognizer(tmp_path / name)
        assert name in str(raised.value)


@pytest.mark.parametrize(
    ("video", "words"),
    [(np.zeros((4, 8, 8, 3), np.float32), "float32"), (np.zeros((4, 8, 8), np.uint8), r"\(4, 8, 8\)"), (3, "int")],
)
def test_an_array_of_another_kind_is_named(recognizer, video, words):
    with pytest.raises(DataError, match=words):
        recognizer(video)


def test_many_videos_in_their_order_decoded_once_each_and_bad_ones_told(tmp_path, broken, ramp, monkeypatch):
    bright = write_grey(tmp_path / "bright.mp4", [250] * 20)
    opened = []
    real = module.open_video
    monkeypatch.setattr(module, "open_video", lambda path, **more: opened.append(path) or real(path, **more))
    sizes = []

    def network(clip):
        sizes.append(len(clip))
        return by_brightness(clip)

    faults = []
    recognizer = Recognizer(network, CARD, device="cpu", batch_size=4)
    found = list(recognizer.predict([bright, broken, ramp, bright], on_fault=lambda *fault: faults.append(fault)))
    assert [one.video for one in found] == [str(bright), str(ramp), str(bright)]
    assert [one.label for one in found][::2] == ["bright", "bright"]
    assert sorted(opened) == sorted(map(str, [bright, broken, ramp, bright]))
    assert sizes == [4, 2]
    assert found[1].score_K == pytest.approx(recognizer(ramp).score_K, abs=1e-6)
    ((video, error),) = faults
    assert video == broken
    assert "broken.mp4" in str(error)
    with pytest.raises(DecodeError, match=r"broken\.mp4"):
        list(recognizer.predict([bright, broken]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"views": "2x2"}, "1 or 3 crops"),
        ({"views": "many"}, "many"),
        ({"batch_size": 0}, "batch_size"),
        ({"top": 0}, "top"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        Recognizer(by_brightness, CARD, **options)


def test_from_package_names_what_is_none(tmp_path):
    with pytest.raises(ModelError, match="no_such"):
        Recognizer.from_package("no_such")


@pytest.mark.parametrize(("modality", "channels"), [("flow", 2), ("rgb+flow", 5)])
def test_a_network_of_optical_flow_reads_what_lies_beside_the_video(tmp_path, modality, channels):
    video = write_grey(tmp_path / "a.mp4", [200] * 20)
    write_grey(Path(flow_path(str(video))), [40] * 20)
    clip = dataclasses.replace(CARD.preprocessing, modality=modality, mean=[0] * channels, std=[1] * channels)
    seen = []
    network = lambda clip: seen.append(clip) or torch.zeros(len(clip), 3)  # noqa: E731
    recognizer = Recognizer(network, dataclasses.replace(CARD, preprocessing=clip), device="cpu")
    recognizer(video)
    assert seen[0].shape[1] == channels
    levels = (seen[0][0].mean(dim=(1, 2, 3)) * 255).tolist()
    assert levels == pytest.approx([200] * (channels - 2) + [40] * 2, abs=6)
    for ask in (lambda: recognizer(grey_frames([1] * 4)), lambda: read_timeline(recognizer, video)):
        with pytest.raises(AutoX3DError, match="flow"):
            ask()
