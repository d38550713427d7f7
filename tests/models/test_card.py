import dataclasses
import json

import pytest

from pytorchvideo_autox3d.errors import AutoX3DError, ModelError
from pytorchvideo_autox3d.models import ModelCard, Preprocessing, reference_architecture

CLIP = Preprocessing(num_frames=4, sampling_rate=2, fps=24, crop_size=32, short_side=40)


def card(**changes):
    values = {
        "model": "AutoX3D",
        "arguments": {"architecture": reference_architecture("S"), "se_ratio": 0.125, "input_clip_length": 4},
        "num_classes": 3,
        "classes": ("jump", "run", "sit"),
        "preprocessing": CLIP,
        "num_clips": 2,
    }
    return ModelCard(**{**values, **changes})


def test_json_round_trip_builds_the_same_network():
    read = ModelCard.from_dict(json.loads(json.dumps(card().to_dict())), source="x.json")
    assert read == card()
    network = read.build()
    assert network.architecture == reference_architecture("S")
    assert network.blocks[-1].proj.out_features == 3
    # SE's bottleneck of an eighth, rounded as X3D rounds: what the default of a sixteenth would not give.
    widths = {key: tensor.shape for key, tensor in card(arguments={}).build().state_dict().items()}
    assert {key: tensor.shape for key, tensor in network.state_dict().items()} != widths


def test_labels_are_the_numbers_where_there_are_no_names():
    assert card(classes=()).labels == ("0", "1", "2")
    assert card().labels == ("jump", "run", "sit")


def test_seconds_and_the_scaled_side():
    assert CLIP.seconds == pytest.approx(8 / 24)
    assert (CLIP.short_side_for(1), CLIP.short_side_for(3)) == (40, 32)
    assert CLIP.clip == (4, 32, 32)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["a", "b"]}, "2 names for a network of 3"),
        ({"classes": ["a", "b", "a"]}, "each once"),
        ({"num_classes": 0}, "num_classes"),
        ({"num_crops": 2}, "1 or 3 crops"),
        ({"ensemble": "mean"}, "ensemble"),
        ({"arguments": []}, "arguments"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"preprocessing": {**dataclasses.asdict(CLIP), "std": [1, 0, 1]}}, "std"),
        ({"preprocessing": {**dataclasses.asdict(CLIP), "short_side": 16}}, "short_side"),
        ({"preprocessing": {"num_frames": 4}}, "no 'sampling_rate'"),
        ({"preprocessing": 3}, "expected a mapping"),
        ({"preprocessing": {**dataclasses.asdict(CLIP), "mean": 0.5}}, "not iterable"),
    ],
)
def test_a_wrong_card_is_one_line_that_names_file_and_key(changes, words):
    with pytest.raises(ModelError) as raised:
        ModelCard.from_dict({**card().to_dict(), **changes}, source="folder/config.json")
    assert str(raised.value).startswith("folder/config.json: ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "AutoX4D"}, "AutoX4D"),
        ({"arguments": {"colour": 1}}, "colour"),
        ({"arguments": {"architecture": {}}}, "groups"),
    ],
)
def test_what_can_not_be_built_is_named(changes, words):
    with pytest.raises(AutoX3DError, match=words):
        card(**changes).build()
