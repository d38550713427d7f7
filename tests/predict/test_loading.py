import dataclasses
import sys

import pytest
import torch

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.data import ClassNames
from pytorchvideo_autox3d.errors import AutoX3DError, ModelError
from pytorchvideo_autox3d.jobs.build import build_card, build_model
from pytorchvideo_autox3d.models import CARD_KEY
from pytorchvideo_autox3d.models.x3d_checkpoints import convert_state
from pytorchvideo_autox3d.predict.loading import load_checkpoint

NAMES = tuple("abcdefgh")


@pytest.fixture(scope="module")
def cfg():
    return load_cfg(config_path("autox3d/demo.yaml"))


@pytest.fixture(scope="module")
def state(cfg):
    torch.manual_seed(0)
    return build_model(cfg).state_dict()


def saved(path, **content):
    torch.save(content, path)
    return str(path)


def test_a_checkpoint_with_its_card(tmp_path, cfg, state):
    card = build_card(cfg, classes=ClassNames(NAMES))
    path = saved(tmp_path / "a.pyth", model_state=state, model_card=card.to_dict(), cfg="not: looked at")
    assert CARD_KEY == "model_card"
    network, found = load_checkpoint(path)
    assert found == card
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())
    assert load_checkpoint(path, classes=NAMES[::-1])[1].classes == NAMES[::-1]


def test_an_older_one_asks_for_the_names_and_has_the_rest_in_its_config(tmp_path, cfg, state):
    path = saved(tmp_path / "a.pyth", model_state=state, cfg=cfg.dump() + "\nDETECTION:\n  ENABLE: False\n")
    with pytest.raises(ModelError, match="--classes"):
        load_checkpoint(path)
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n")
    (tmp_path / "names.json").write_text('{"b": 1, "a": 0, "d": 3, "c": 2, "h": 7, "g": 6, "f": 5, "e": 4}')
    for names in (NAMES, str(tmp_path / "names.txt"), str(tmp_path / "names.json")):
        assert load_checkpoint(path, classes=names)[1] == build_card(cfg, classes=ClassNames(NAMES))


def test_one_without_any_config_asks_for_that(tmp_path, state):
    path = saved(tmp_path / "a.pyth", **state)
    with pytest.raises(ModelError, match=r"a\.pyth.*--cfg"):
        load_checkpoint(path, classes=NAMES)
    network, card = load_checkpoint(path, cfg=str(config_path("autox3d/demo.yaml")), classes=NAMES)
    assert (card.num_clips, card.num_crops, card.preprocessing.fps) == (2, 3, 24)
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())


def test_what_does_not_fit_is_one_line_with_the_file(tmp_path, cfg, state):
    card = build_card(cfg, classes=ClassNames(NAMES))
    path = saved(tmp_path / "a.pyth", model_state=state, model_card=card.to_dict())
    fewer = dataclasses.replace(card, num_classes=5, classes=())
    other = saved(tmp_path / "b.pyth", model_state=state, model_card=fewer.to_dict())
    search = saved(tmp_path / "c.pyth", model_state=state, cfg="MODEL: {MODEL_NAME: AutoX3DSearch}")
    (tmp_path / "names.json").write_text('{"b": 1, "a": 7}')
    cases = [
        ((path, ("x", "y")), "2 names for a network of 8"),
        ((path, str(tmp_path / "names.json")), "expected 0 to 1"),
        ((path, str(tmp_path / "none.txt")), "none.txt"),
        ((other, None), "the file has 8 classes, and the model has 5"),
        ((search, NAMES), "searched"),
    ]
    for (file, names), words in cases:
        with pytest.raises(AutoX3DError, match=words) as raised:
            load_checkpoint(file, classes=names)
        assert str(tmp_path) in str(raised.value)


def test_an_x3d_that_pyslowfast_trained(tmp_path):
    """Its own key names, and a config with hundreds of keys that we lack."""
    cfg = load_cfg(config_path("autox3d/demo_x3d.yaml"))
    torch.manual_seed(0)
    network = build_model(cfg).eval()
    theirs = convert_state(network.state_dict(), "slowfast")
    path = saved(tmp_path / "a.pyth", model_state=theirs, cfg=cfg.dump() + "\nDETECTION:\n  ENABLE: False\n")
    loaded, card = load_checkpoint(path, classes=NAMES)
    clip = torch.randn(1, 3, *card.preprocessing.clip)
    torch.testing.assert_close(loaded.eval()(clip), network(clip))
    other = saved(tmp_path / "b.pyth", model_state={"x": torch.zeros(1)}, cfg=cfg.dump())
    with pytest.raises(AutoX3DError, match=r"b\.pyth.*X3D keys"):
        load_checkpoint(other, classes=NAMES)


def test_a_config_beside_a_card_keeps_its_classes(tmp_path, cfg, state):
    card = build_card(cfg, classes=ClassNames(NAMES))
    path = saved(tmp_path / "a.pyth", model_state=state, model_card=card.to_dict())
    config = str(config_path("autox3d/demo.yaml"))
    assert load_checkpoint(path, cfg=config)[1].classes == NAMES
    assert load_checkpoint(path, cfg=config, classes=NAMES[::-1])[1].classes == NAMES[::-1]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module that says when it is imported."""
    (tmp_path / "parts_of_a_user.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "parts_of_a_user", raising=False)
    return "parts_of_a_user"


def test_modules_that_a_checkpoint_names_are_not_imported(tmp_path, cfg, state, module):
    named = cfg.clone()
    named.defrost()
    named.AUTOX3D.IMPORTS = [module]
    card = dataclasses.replace(build_card(cfg, classes=ClassNames(NAMES)), model="PooledPixels")
    path = saved(tmp_path / "a.pyth", model_state=state, model_card=card.to_dict(), cfg=named.dump())
    with pytest.raises(ModelError) as raised:
        load_checkpoint(path)
    assert str(raised.value).startswith(f"{path}: model: no entry named 'PooledPixels'; it was trained with ")
    assert "AUTOX3D.IMPORTS ['parts_of_a_user']" in str(raised.value)
    assert "--cfg FILE.yaml" in str(raised.value)
    without = saved(tmp_path / "b.pyth", model_state=state, cfg=named.dump())
    assert load_checkpoint(without, classes=NAMES)[1].classes == NAMES
    assert not (tmp_path / "ran").exists()
    (tmp_path / "own.yaml").write_text(named.dump())
    load_checkpoint(without, cfg=str(tmp_path / "own.yaml"), classes=NAMES)
    assert (tmp_path / "ran").exists()
