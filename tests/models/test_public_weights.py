"""Public checkpoints' layouts: made state dicts with the names that their code bases give, brought into ours."""

import argparse
import re

import pytest
import torch
import torchvision
from pytorchvideo.models.hub import i3d_r50
from torch import nn
from torchvision.models.video import S3D, r2plus1d_18

from pytorchvideo_autox3d.commands import convert_checkpoint as command
from pytorchvideo_autox3d.errors import CheckpointError, ConfigError
from pytorchvideo_autox3d.models.hub import HUB
from pytorchvideo_autox3d.models.public_weights import convert_public, convert_public_checkpoint, fitted
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


def builder(name, **options):
    def build(*, num_classes):
        return MODEL_REGISTRY.get(name)(model_num_class=num_classes, **options)

    return build


def distinct(state):
    """Every tensor a value of its own, so that exchanged ones show; one element each, to be quick."""
    return {key: torch.tensor(float(n)).expand(t.shape) for n, (key, t) in enumerate(state.items())}


def loaded(done, build):
    model = build(num_classes=done.num_classes)
    model.load_state_dict(done.state)
    return model.eval()


def test_torchvision_video_resnet_gives_the_same_logits():
    torch.manual_seed(0)
    theirs = r2plus1d_18(num_classes=3).eval()
    build = builder("R2Plus1D_Basic", model_depth=18)
    done = convert_public(theirs.state_dict(), build)
    assert (done.layout, done.num_classes, done.fresh) == ("torchvision", 3, ())
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.allclose(loaded(done, build)(clip), theirs(clip), atol=1e-4)


def test_torchvision_s3d_leaves_the_gates_fresh():
    theirs = S3D(num_classes=5)
    done = convert_public(theirs.state_dict(), builder("S3D_G"))
    assert done.num_classes == 5
    assert len(done.fresh) == 2 * (2 + 2 * 9)
    assert all(".fc." in key for key in done.fresh)
    own = theirs.state_dict()
    assert torch.equal(done.state["blocks.4.15.branch2.1.1.0.weight"], own["features.15.branch2.1.1.0.weight"])
    assert torch.equal(done.state["blocks.5.proj.weight"], own["classifier.1.weight"][:, :, 0, 0, 0])


@pytest.mark.parametrize("name", ["TSM_MobileNetV2", "TSM_ResNet", "STM_ResNet", "SmallBigNet", "GST_ResNet"])
def test_imagenet_weights_load_into_networks_of_frames(name):
    mobile = name == "TSM_MobileNetV2"
    with torch.device("meta"):
        theirs = torchvision.models.mobilenet_v2() if mobile else torchvision.models.resnet50()
    state = distinct(theirs.state_dict())
    done = convert_public(state, builder(name))
    assert (done.layout, done.num_classes) == ("torchvision", 1000)
    layer = "2.conv.0.0" if mobile else "2.0.conv1"
    ours = f"blocks.{layer}{'.conv' if name == 'SmallBigNet' else ''}.weight"
    assert done.state[ours].unique() == state[f"{'features.' if mobile else 'layer'}{layer}.weight"].unique()
    fresh = {"STM_ResNet": 16 * 4, "SmallBigNet": 16 * 2 * 5, "GST_ResNet": 16}.get(name, 0)
    assert len(done.fresh) == fresh
    MODEL_REGISTRY.get(name)(model_num_class=1000).load_state_dict(done.state)


@pytest.mark.parametrize("name", ["I3D_ResNet", "Slow"])
def test_inflation_of_a_2d_resnet_into_pytorchvideos(name):
    torch.manual_seed(0)
    flat = torchvision.models.resnet50(num_classes=4).eval()
    build = builder(name, dropout_rate=0.0)
    done = convert_public(flat.state_dict(), build)
    assert done.fresh == ()
    kernel = done.state["blocks.0.conv.weight"]
    frames = 5 if name == "I3D_ResNet" else 1
    assert torch.allclose(kernel.sum(dim=2), flat.conv1.weight, atol=1e-6)
    assert kernel.shape[2] == frames
    if name == "Slow":
        return
    # Constant video: I3D's rule keeps the picture's scores, away from the ends where padding is zero. Max pooling over
    # time does not matter; a long clip's middle does.
    model = loaded(done, build)
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        stem = model.blocks[0](picture.unsqueeze(2).expand(-1, -1, 9, -1, -1))
        expected = flat.maxpool(flat.relu(flat.bn1(flat.conv1(picture))))
    assert torch.allclose(stem[:, :, 4], expected, atol=1e-4)


def tsm_names(name, mobile):
    """torchvision's name as the TSM authors' code has it: module.base_model., flat lists, .net where it shifts."""
    if name.startswith(("fc.", "classifier.1.")):
        return f"module.new_fc.{name.rsplit('.', 1)[1]}"
    if not mobile:
        return "module.base_model." + re.sub(r"(layer\d\.\d+\.conv1)\.", r"\1.net.", name)
    found = re.match(r"features\.(\d+)\.conv\.(.+)\.(\w+)$", name)
    if not found:
        return f"module.base_model.{name}"
    block, layer, leaf = int(found[1]), found[2], found[3]
    flat = ["0.0", "0.1", "", "1", "2"] if block == 1 else ["0.0", "0.1", "", "1.0", "1.1", "", "2", "3"]
    # Residual blocks are all but the first of each stage.
    shifted = ".net" if layer == "0.0" and block in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16) else ""
    return f"module.base_model.features.{block}.conv.{flat.index(layer)}{shifted}.{leaf}"


@pytest.mark.parametrize("name", ["TSM_ResNet", "TSM_MobileNetV2"])
def test_tsm_checkpoints(name):
    mobile = name == "TSM_MobileNetV2"
    with torch.device("meta"):
        flat = (torchvision.models.mobilenet_v2 if mobile else torchvision.models.resnet50)(num_classes=174)
    plain = distinct(flat.state_dict())
    done = convert_public({tsm_names(key, mobile): tensor for key, tensor in plain.items()}, builder(name))
    assert (done.layout, done.num_classes, done.fresh) == ("tsm", 174, ())
    expected = convert_public(plain, builder(name)).state
    assert all(torch.equal(done.state[key], expected[key]) for key in expected)


def test_pytorchvideos_hub_is_ours():
    theirs = i3d_r50(pretrained=False)
    done = convert_public(theirs.state_dict(), builder("I3D_ResNet"))
    assert (done.layout, done.num_classes, done.fresh) == ("pytorchvideo", 400, ())
    assert all(torch.equal(done.state[key], tensor) for key, tensor in theirs.state_dict().items())


def slowfast_names(stages, blocks, pathways):
    """Our name of every layer of PySlowFast's ResNets -> PySlowFast's: stem, residual blocks, fusions."""
    names = {}
    for path in range(pathways):
        inner = f".multipathway_blocks.{path}" if pathways > 1 else ""
        stem = f"s1.pathway{path}_stem"
        names |= {f"blocks.0{inner}.conv": f"{stem}.conv", f"blocks.0{inner}.norm": f"{stem}.bn"}
        for stage, count in enumerate(blocks, start=2):
            for block in range(count):
                theirs = f"s{stage}.pathway{path}_res{block}"
                ours = f"blocks.{stages[stage - 2]}{inner}.res_blocks.{block}"
                for letter in "abc":
                    names[f"{ours}.branch2.conv_{letter}"] = f"{theirs}.branch2.{letter}"
                    names[f"{ours}.branch2.norm_{letter}"] = f"{theirs}.branch2.{letter}_bn"
                names |= {f"{ours}.branch1_conv": f"{theirs}.branch1", f"{ours}.branch1_norm": f"{theirs}.branch1_bn"}
    for stage in range(1, 5):
        fusion = f"blocks.{stage - 1}.multipathway_fusion"
        names |= {f"{fusion}.conv_fast_to_slow": f"s{stage}_fuse.conv_f2s", f"{fusion}.norm": f"s{stage}_fuse.bn"}
    return names


@pytest.mark.parametrize(
    ("name", "stages", "pathways", "head"),
    [("SlowFast", (1, 2, 3, 4), 2, 6), ("C2D", (1, 3, 4, 5), 1, 6), ("Slow", (1, 2, 3, 4), 1, 5)],
)
def test_pyslowfasts_zoo(name, stages, pathways, head):
    with torch.device("meta"):
        model = MODEL_REGISTRY.get(name)(model_num_class=9)
    names = slowfast_names(stages, (3, 4, 6, 3), pathways) | {f"blocks.{head}.proj": "head.projection"}
    ours = distinct(model.state_dict())
    theirs = {}
    for key, tensor in ours.items():
        layer, leaf = key.rsplit(".", 1)
        theirs[f"{names[layer]}.{leaf}"] = tensor
    done = convert_public(theirs, builder(name))
    assert (done.layout, done.num_classes, done.fresh) == ("slowfast", 9, ())
    assert all(torch.equal(done.state[key], tensor) for key, tensor in ours.items() if "tracked" not in key)


def test_a_flow_network_takes_the_mean_of_the_colours():
    weight = torch.randn(4, 3, 7, 7)
    flow = fitted(weight, torch.empty(4, 2, 1, 7, 7), "blocks.0.conv1.weight")
    assert torch.allclose(flow[:, 0, 0], weight.mean(dim=1), atol=1e-6)
    assert torch.equal(flow[:, 0], flow[:, 1])


def test_what_does_not_fit_is_named(tmp_path):
    state = {"layer9.0.conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(3, 4)}
    with pytest.raises(CheckpointError, match="no known layout; under torchvision ResNet it lacks a place for layer9"):
        convert_public(state, builder("TSM_ResNet"))
    with torch.device("meta"):
        flat = torchvision.models.resnet50()
    whole = distinct(flat.state_dict())
    part = {key: tensor for key, tensor in whole.items() if key != "layer3.1.conv2.weight"}
    with pytest.raises(CheckpointError, match=r"1 tensors are missing: blocks.3.1.conv2.weight"):
        convert_public(part, builder("TSM_ResNet"))
    wide = {**whole, "conv1.weight": torch.zeros(64, 4, 7, 7)}
    with pytest.raises(CheckpointError, match=r"blocks.0.conv1.weight: shape \(64, 4, 7, 7\) can't become"):
        convert_public(wide, builder("TSM_ResNet"))
    path = tmp_path / "bad.pth"
    torch.save({"state_dict": state}, path)
    with pytest.raises(CheckpointError, match=r"bad\.pth: fits the network under no known layout") as caught:
        convert_public_checkpoint(path, tmp_path / "out.pyth", HUB["tsm_r50"].build)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.pyth").exists()


def test_the_command_writes_what_training_starts_from(tmp_path, capsys):
    from pytorchvideo_autox3d.engine import load_weights

    torch.manual_seed(0)
    flat = torchvision.models.mobilenet_v2(num_classes=6)
    torch.save(flat.state_dict(), tmp_path / "imagenet.pth")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    files = [str(tmp_path / "imagenet.pth"), str(tmp_path / "tsm.pyth")]
    command.run(parser.parse_args([*files, "--model", "tsm_mobilenetv2"]))
    assert "torchvision" in capsys.readouterr().out
    model = HUB["tsm_mobilenetv2"].build(num_classes=3)
    summary = load_weights(model, str(tmp_path / "tsm.pyth"))
    assert (summary.classes_in_file, summary.classes_in_model) == (6, 3)
    assert isinstance(model.blocks[3].conv[0][0], nn.Conv3d)
    assert torch.equal(model.blocks[3].conv[0][0].weight[:, :, 0], flat.features[3].conv[0][0].weight)


def test_the_command_writes_over_no_source(tmp_path):
    source = tmp_path / "imagenet.pth"
    source.write_bytes(b"weights")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(ConfigError, match="destination"):
        command.run(parser.parse_args([str(source), str(source), "--model", "tsm_r50"]))
    assert source.read_bytes() == b"weights"
