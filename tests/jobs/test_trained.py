from dataclasses import replace

import pytest
import torch
import yaml

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.data import UNNAMED
from pytorchvideo_autox3d.errors import CheckpointError, ModelError
from pytorchvideo_autox3d.jobs.trained import card_of, changed_input, classes_of, refuse_search_checkpoint
from pytorchvideo_autox3d.models import ModelCard, Preprocessing


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "run" / "checkpoints" / "checkpoint_epoch_00001.pyth")


def test_classes_are_those_of_the_card_else_of_the_run(tmp_path, path):
    (tmp_path / "run").mkdir()
    preprocessing = Preprocessing(num_frames=4, sampling_rate=1, fps=30, crop_size=8, short_side=8)
    unnamed = ModelCard("C2D", {}, 3, preprocessing)
    named = replace(unnamed, classes=("a", "b", "unnamed class 2"))  # of a network with an output that no class has
    assert classes_of({"model_card": named.to_dict()}, path).names == ("a", "b")
    assert classes_of({}, path) == UNNAMED
    (tmp_path / "run" / "classes.json").write_text('{"y": 1, "x": 0}')
    assert classes_of({}, path).names == ("x", "y")
    assert classes_of({"model_card": unnamed.to_dict()}, path) == UNNAMED


@pytest.mark.parametrize(
    ("card", "said"), [({"classes": []}, "has no 'model'"), ({"model": "C2D", "nonesuch": 1}, "unknown key 'nonesuch'")]
)
def test_a_card_that_is_none_is_told_with_its_file(path, card, said):
    with pytest.raises(ModelError, match=f"checkpoint_epoch_00001.pyth: the card: {said}"):
        card_of({"model_card": card}, path)


def test_what_differs_of_the_input_is_told_by_key(path):
    cfg = load_cfg(config_path("autox3d/S.yaml"))
    trained = yaml.safe_load(cfg.dump())
    assert changed_input({"cfg": yaml.safe_dump(trained)}, path, cfg) == []
    trained["DATA"] |= {"NUM_FRAMES": 4, "STD": [0.2, 0.2, 0.2], "TRAIN_CROP_SIZE": 8}
    trained["SOLVER"]["BASE_LR"] = 7.0
    assert changed_input({"cfg": yaml.safe_dump(trained)}, path, cfg) == [
        f"DATA.NUM_FRAMES is 13, and 4 in the config that {path} was trained with",
        f"DATA.STD is [0.225, 0.225, 0.225], and [0.2, 0.2, 0.2] in the config that {path} was trained with",
    ]


@pytest.mark.parametrize("checkpoint", [{}, {"cfg": ""}, {"cfg": "DATA: {SAMPLING: 3}\n"}])
def test_a_checkpoint_that_says_nothing_of_its_input_differs_in_nothing(checkpoint, path):
    assert changed_input(checkpoint, path, load_cfg(config_path("autox3d/S.yaml"))) == []


def test_a_network_is_no_search(path):
    refuse_search_checkpoint({"model_state": {"a": torch.zeros(1)}}, path)
    refuse_search_checkpoint({"extra_states": {}}, path)
    with pytest.raises(CheckpointError, match="is a checkpoint of a search"):
        refuse_search_checkpoint({"extra_states": {"search": {}}}, path)
