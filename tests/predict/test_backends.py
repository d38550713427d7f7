import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError
from pytorchvideo_autox3d.export import export_model
from pytorchvideo_autox3d.predict import Recognizer
from pytorchvideo_autox3d.predict.backends import in_parts, on_backend, open_exported
from tests.models.test_package import tiny_card


@pytest.fixture(scope="module")
def card():
    return tiny_card(num_clips=3, num_crops=1)


@pytest.fixture(scope="module")
def eager(card):
    torch.manual_seed(0)
    return Recognizer(card.build(), card, device="cpu", workers=0)


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 255, (20, 24, 24, 3), np.uint8)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_another_runtime_says_the_same(eager, frames, backend):
    found = on_backend(eager, backend, workers=0)(frames)
    assert found.score_K == pytest.approx(eager(frames).score_K, abs=1e-4)
    assert [clip.start for clip in found.clips] == [clip.start for clip in eager(frames).clips]


def test_an_exported_file_brings_its_classes_and_clips(eager, card, frames, tmp_path):
    path = tmp_path / "two.onnx"
    export_model(eager.network, path, format="onnx", clip=torch.zeros(2, 3, *card.preprocessing.clip), card=card)
    recognizer = open_exported(path, batch_size=8)  # the file takes two clips at a time, the video has three
    assert recognizer.labels == ("a", "b", "c")
    assert recognizer(frames).score_K == pytest.approx(eager(frames).score_K, abs=1e-4)


def test_parts_of_a_fixed_number_of_clips():
    sizes = []
    twice = in_parts(lambda clip: sizes.append(len(clip)) or 2 * clip, 2)
    clip = torch.arange(5.0)[:, None]
    assert torch.equal(twice(clip), 2 * clip)
    assert sizes == [2, 2, 2]


def test_what_can_not_be_run_is_named(eager, card, tmp_path):
    bare = tmp_path / "bare.onnx"
    export_model(eager.network, bare, format="onnx", clip=card.preprocessing.clip)
    with pytest.raises(ConfigError, match="'tpu'"):
        on_backend(eager, "tpu")
    with pytest.raises(ConfigError, match="exported already"):
        on_backend(Recognizer(lambda clip: clip, card), "onnx")
    longer = tmp_path / "longer.onnx"
    frames, height, width = card.preprocessing.clip
    export_model(eager.network, longer, format="onnx", clip=(frames + 1, height, width), card=card)
    other = f"takes clips of {frames + 1}x{height}x{width}, its network was trained on {frames}x{height}x{width}"
    for path, words in ((tmp_path / "none.onnx", "no such file"), (bare, "classes and clips"), (longer, other)):
        with pytest.raises(AutoX3DError, match=words):
            open_exported(path)
