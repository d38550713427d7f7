import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.engine import load_weights, unwrapped
from pytorchvideo_autox3d.errors import CheckpointError
from tests.engine.helpers import tiny_model


def saved(tmp_path, state):
    path = tmp_path / "weights.pyth"
    torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model_state": state, "epoch": 3}])
def test_loads_what_fits_exactly(tmp_path, prefix, wrap):
    source, target = tiny_model(seed=1), tiny_model(seed=2)
    state = {prefix + key: value for key, value in source.state_dict().items()}
    summary = load_weights(target, saved(tmp_path, wrap(state)))
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)
    assert summary.fresh == ()
    assert f"loaded all {len(state)} tensors" in str(summary)


def test_another_class_count_renews_the_classifier_alone(tmp_path):
    source, target = tiny_model(400, seed=1), tiny_model(8, seed=2)
    fresh = target[6].weight.clone()
    summary = load_weights(target, saved(tmp_path, {"model_state": source.state_dict()}))
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[1].running_mean, source[1].running_mean)
    assert torch.equal(target[6].weight, fresh)
    assert summary.fresh == ("6.weight", "6.bias")
    assert "the file has 400 classes and the model 8" in str(summary)


def test_another_class_count_can_be_refused(tmp_path):
    path = saved(tmp_path, tiny_model(400).state_dict())
    with pytest.raises(CheckpointError, match=r"the file has 400 classes, and the model has 3 \(MODEL\.NUM_CLASSES\)"):
        load_weights(tiny_model(3), path, num_classes_may_differ=False)


def test_any_other_difference_names_file_and_keys_and_changes_nothing(tmp_path):
    wider = nn.Sequential(nn.Conv3d(3, 5, (1, 3, 3), bias=False), *list(tiny_model())[1:])
    renamed = {key.replace("6.", "7."): value for key, value in tiny_model().state_dict().items()}
    both = tiny_model(8).state_dict() | {"0.weight": torch.zeros(5, 3, 1, 3, 3)}
    for state, message in [
        (wider.state_dict(), r"weights\.pyth: .*1 of another shape \(0\.weight"),
        (renamed, r"2 missing \(6\.weight, 6\.bias\); 2 unknown \(7\.weight"),
        (both, r"3 of another shape"),
        ({"state": 3}, "has no model_state"),
    ]:
        target = tiny_model(seed=4)
        before = target[0].weight.clone()
        with pytest.raises(CheckpointError, match=message):
            load_weights(target, saved(tmp_path, state))
        assert torch.equal(target[0].weight, before)


def test_unwrapped():
    model = tiny_model()
    assert unwrapped(model) is model
    assert unwrapped(nn.DataParallel(model)) is model
