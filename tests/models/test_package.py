import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.models import (
    ModelCard,
    Preprocessing,
    Release,
    create_autox3d,
    hub,
    load_package,
    read_package,
    write_package,
)
from pytorchvideo_autox3d.space import Architecture, GroupChoice, GroupSpec, HeadSpec, SearchSpace, StemSpec

CLIP = Preprocessing(num_frames=2, sampling_rate=2, fps=24, crop_size=16, short_side=16)
RELEASE = Release("tiny", "Nothing was trained.", measured={"top1_acc": 33.3, "list_hash": "abc"})


def tiny_card(**changes):
    group = GroupSpec(channels=(8,), kernels=((1, 3),), expansions=(1.0,), attentions=("none",), blocks=1, stride=2)
    space = SearchSpace("tiny", (group,), StemSpec(channels=4), HeadSpec(channels=8, hidden=8))
    architecture = Architecture([GroupChoice((1, 3), 8, 1.0, "none")], space)
    values = {"arguments": {"architecture": architecture}, "num_classes": 3, "classes": ("a", "b", "c"), **changes}
    return ModelCard("AutoX3D", preprocessing=CLIP, **values)


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):  # the fast ones take seconds to compile
        yield


@pytest.fixture
def network():
    torch.manual_seed(0)
    return tiny_card().build()


@pytest.fixture
def folder(tmp_path, network):
    return write_package(tmp_path / "tiny", network, tiny_card(), RELEASE)


def test_what_was_written_is_what_is_loaded(folder, network):
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    loaded = load_package(folder)
    clip = torch.randn(2, 3, 2, 16, 16)
    assert torch.equal(loaded(clip), network.eval()(clip))
    assert not loaded.training
    assert loaded.card == tiny_card()
    package = read_package(str(folder))
    assert package.release == RELEASE
    content = json.loads((folder / "config.json").read_text())
    assert content["sha256"] == {
        "model.safetensors": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    }
    readme = (folder / "README.md").read_text()
    assert readme.startswith("---\nlicense: apache-2.0\n")
    for said in ("Nothing was trained.", "2 frames", "a, b, c", "33.3"):
        assert said in readme


def test_another_number_of_classes_keeps_the_rest(folder, network):
    loaded = load_package(folder, num_classes=7)
    assert loaded.blocks[-1].proj.out_features == 7
    assert loaded.card is None
    assert torch.equal(loaded.blocks[0].conv.weight, network.blocks[0].conv.weight)


def test_writing_over_an_older_package_but_over_nothing_else(folder, network):
    write_package(folder, network, tiny_card(), Release("new"))
    assert read_package(folder).release.name == "new"
    (folder / "notes.txt").touch()
    with pytest.raises(ModelError, match="something else"):
        write_package(folder, network, tiny_card(), RELEASE)


def test_a_network_that_is_not_the_cards_leaves_nothing(tmp_path, network):
    card = tiny_card(num_classes=4, classes=())
    with pytest.raises(ModelError, match=r"4 classes.*proj"):
        write_package(tmp_path / "new", network, card, RELEASE)
    assert not (tmp_path / "new").exists()


def edited(folder, **changes):
    path = folder / "config.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"other"), "SHA-256"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no such file"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json:1: not JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "expected a mapping"),
        (lambda folder: edited(folder, format="other"), "not a package's card"),
        (lambda folder: edited(folder, sha256=None), "sha256"),
        (lambda folder: edited(folder, classes=["a", "b"]), "2 names for a network of 3"),
        (lambda folder: edited(folder, num_classes=5, classes=None), "5 classes"),
        (lambda folder: edited(folder, release={"colour": 1}), "release"),
        (lambda folder: edited(folder, preprocessing=None), "preprocessing"),
        (lambda folder: (folder / "config.json").unlink(), "is no package"),
    ],
)
def test_a_damaged_package_is_one_line_that_names_the_file(folder, change, words):
    change(folder)
    with pytest.raises(ModelError, match=words) as raised:
        load_package(folder)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_weights_that_lack_a_tensor(folder):
    path = folder / "model.safetensors"
    state = load_file(path)
    del state["blocks.0.conv.weight"]
    save_file(state, path)
    edited(folder, sha256={"model.safetensors": hashlib.sha256(path.read_bytes()).hexdigest()})
    with pytest.raises(ModelError, match=r"has no blocks\.0\.conv\.weight"):
        load_package(folder)


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(ModelError, match="nothing_such: no such package"):
        load_package("nothing_such")


def test_the_demo_comes_with_the_library_and_says_what_it_is():
    package = read_package("demo")
    assert len(package.card.classes) == 8
    assert "not a recogniser of actions" in package.release.description
    assert {"top1_acc", "list_hash", "latency_ms", "machine"} <= set(package.release.measured)


def test_create_autox3d_takes_a_package_or_an_architectures_json(folder, network, tmp_path):
    clip = torch.randn(1, 3, 2, 16, 16)
    loaded = create_autox3d(folder)
    assert torch.equal(loaded(clip), network.eval()(clip))
    assert create_autox3d(str(folder), model_num_class=5).blocks[-1].proj.out_features == 5
    with pytest.raises(ModelError, match="depth_factor comes with the package"):
        create_autox3d(folder, depth_factor=2.0)
    network.architecture.to_json(tmp_path / "architecture.json")
    assert create_autox3d(str(tmp_path / "architecture.json"), model_num_class=3).architecture == network.architecture


def test_the_hub_loads_packages(folder):
    assert hub.load(str(folder)).card == tiny_card()
    assert hub.package("demo", num_classes=3).blocks[-1].proj.out_features == 3
    with pytest.raises(ModelError, match=r"no_such.*autox3d_s.*demo"):
        hub.load("no_such")
