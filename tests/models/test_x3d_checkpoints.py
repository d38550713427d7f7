"""X3D key names across PySlowFast and PyTorchVideo, without PySlowFast: its names are written out here."""

import pickle

import pytest
import torch
from pytorchvideo.models.x3d import create_x3d

from pytorchvideo_autox3d.commands import convert_checkpoint as command
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.models.x3d_checkpoints import (
    FORMATS,
    convert_checkpoint,
    convert_state,
    format_of,
    read_checkpoint,
)

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
# (width in, width out) of the four stages of X3D with 2 blocks each, as PySlowFast's X3D_XS counts them.
STAGES = {2: (24, 24), 3: (24, 48), 4: (48, 96), 5: (96, 192)}


def x3d(**changes):
    torch.manual_seed(0)
    model = create_x3d(input_clip_length=2, input_crop_size=32, model_num_class=5, head_activation=None, **changes)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            for tensor, (low, high) in zip(
                (module.weight, module.bias, module.running_mean, module.running_var),
                ((0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2.0)),
                strict=True,
            ):
                torch.nn.init.uniform_(tensor, low, high)
    return model.eval()


@pytest.fixture(scope="module")
def ours():
    return x3d(depth_factor=1.0)


def published_names(blocks):
    """PySlowFast's key names as its model zoo has them, by its X3D: stem, residual stages, head."""
    norms = ["s1.pathway0_stem.bn", "head.conv_5_bn"]
    convs = ["s1.pathway0_stem.conv_xy", "s1.pathway0_stem.conv", "head.conv_5", "head.lin_5"]
    biased = ["head.projection"]
    for stage, count in blocks.items():
        for block in range(count):
            here = f"s{stage}.pathway0_res{block}"
            branches = [f"{here}.branch2.{name}" for name in "abc"] + ([f"{here}.branch1"] if block == 0 else [])
            convs += branches
            norms += [f"{name}_bn" for name in branches]
            if block % 2 == 0:
                biased += [f"{here}.branch2.se.fc1", f"{here}.branch2.se.fc2"]
    names = {f"{name}.weight" for name in convs}
    names |= {f"{name}.{leaf}" for name in biased for leaf in ("weight", "bias")}
    return names | {f"{name}.{leaf}" for name in norms for leaf in NORM}


def test_pytorchvideo_to_slowfast_gives_exactly_the_published_names(ours):
    assert set(convert_state(ours.state_dict(), "slowfast")) == published_names({2: 1, 3: 2, 4: 5, 5: 3})


def test_each_tensor_goes_where_its_layer_went(ours):
    state = ours.state_dict()
    theirs = convert_state(state, "slowfast")
    pairs = {
        "s1.pathway0_stem.conv_xy.weight": ours.blocks[0].conv.conv_t.weight,  # create_x3d_stem swaps the two names
        "s1.pathway0_stem.conv.weight": ours.blocks[0].conv.conv_xy.weight,
        "s4.pathway0_res3.branch2.b.weight": ours.blocks[3].res_blocks[3].branch2.conv_b.weight,
        "s4.pathway0_res2.branch2.b_bn.running_var": ours.blocks[3].res_blocks[2].branch2.norm_b[0].running_var,
        "s4.pathway0_res2.branch2.se.fc2.bias": ours.blocks[3].res_blocks[2].branch2.norm_b[1].block[2].bias,
        "s5.pathway0_res0.branch1_bn.weight": ours.blocks[4].res_blocks[0].branch1_norm.weight,
        "head.lin_5.weight": ours.blocks[5].pool.post_conv.weight,
        "head.projection.bias": ours.blocks[5].proj.bias,
    }
    for name, expected in pairs.items():
        assert torch.equal(theirs[name], expected), name
    assert theirs["s1.pathway0_stem.conv_xy.weight"].shape == (24, 3, 1, 3, 3)


def test_the_shortcut_that_keeps_its_width_gets_a_normalisation_that_does_nothing(ours):
    theirs = convert_state(ours.state_dict(), "slowfast")
    norm = torch.nn.BatchNorm3d(24).eval()
    norm.load_state_dict({leaf: theirs[f"s2.pathway0_res0.branch1_bn.{leaf}"] for leaf in NORM})
    clip = torch.randn(1, 24, 2, 3, 3)
    torch.testing.assert_close(norm(clip), clip, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("through", ["slowfast", "slowfast-ptv"])
def test_there_and_back_is_the_same_network(ours, through):
    back = convert_state(convert_state(ours.state_dict(), through), "pytorchvideo")
    assert set(back) == set(ours.state_dict())
    for key, tensor in ours.state_dict().items():
        torch.testing.assert_close(back[key], tensor, rtol=1e-6, atol=1e-7)


def test_folding_the_shortcut_keeps_the_scores(ours):
    """A block with PySlowFast's extra normalisation, computed here by hand, against the folded one."""
    theirs = convert_state(ours.state_dict(), "slowfast")
    for leaf, (low, high) in zip(NORM[:4], ((0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2.0)), strict=True):
        torch.nn.init.uniform_(theirs[f"s2.pathway0_res0.branch1_bn.{leaf}"], low, high)
    norm = torch.nn.BatchNorm3d(24).eval()
    norm.load_state_dict({leaf: theirs[f"s2.pathway0_res0.branch1_bn.{leaf}"] for leaf in NORM})
    block = ours.blocks[1].res_blocks[0]
    clip = torch.randn(2, 24, 2, 8, 8)
    expected = torch.relu(norm(block.branch1_conv(clip)) + block.branch2(clip))

    folded = x3d(depth_factor=1.0)
    folded.load_state_dict(convert_state(theirs, "pytorchvideo"))
    torch.testing.assert_close(folded.blocks[1].res_blocks[0](clip), expected, rtol=1e-5, atol=1e-5)


def test_formats_are_recognised(ours):
    state = ours.state_dict()
    for name in FORMATS:
        assert format_of(convert_state(state, name)) == name
    wrapped = {f"module.{key}": tensor for key, tensor in state.items()}
    assert set(convert_state(wrapped, "pytorchvideo")) == set(state)


def test_normalisation_after_the_linear_layer_of_the_head():
    model = x3d(head_bn_lin5_on=True)
    theirs = convert_state(model.state_dict(), "slowfast")
    assert torch.equal(theirs["head.lin_5_bn.running_mean"], model.blocks[5].pool.post_norm.running_mean)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (["encoder.layer1.weight", "encoder.layer2.weight"], "encoder.layer1.weight, encoder.layer2.weight"),
        (["s1.pathway0_stem.conv.weight", "s1.pathway1_stem.conv.weight"], "s1.pathway1_stem.conv.weight"),
        (["blocks.0.norm.weight", "fc.weight"], "fc.weight"),
        ([f"x{i}" for i in range(9)], "x0, x1, x2, x3, x4 and 4 more"),
        ([], "no keys at all"),
    ],
)
def test_other_keys_are_refused_by_name(keys, named):
    target = "slowfast" if keys and keys[0].startswith("blocks") else "pytorchvideo"
    with pytest.raises(CheckpointError, match=named):
        convert_state({key: torch.zeros(1) for key in keys}, target)


def test_an_autox3d_is_no_x3d():
    with pytest.raises(CheckpointError, match=r"blocks\.1\.layers\.0\.weight"):
        convert_state({"blocks.1.layers.0.weight": torch.zeros(1)}, "slowfast")


def test_a_shortcut_without_its_normalisation_is_refused(ours):
    theirs = convert_state(ours.state_dict(), "slowfast")
    del theirs["s2.pathway0_res0.branch1_bn.running_var"]
    with pytest.raises(CheckpointError, match=r"branch1_norm\.running_var"):
        convert_state(theirs, "pytorchvideo")


def test_files(ours, tmp_path, capsys):
    source, middle, last = tmp_path / "source.pyth", tmp_path / "new" / "middle.pyth", tmp_path / "last.pyth"
    torch.save({"model_state": ours.state_dict(), "epoch": 3, "optimizer_state": {}, "cfg": "A: 1\n"}, source)
    command.run(_arguments([str(source), str(middle), "--to", "slowfast"]))
    assert "pytorchvideo" in capsys.readouterr().out
    converted = read_checkpoint(middle)
    assert set(converted) == {"model_state", "cfg"}
    assert converted["cfg"] == "A: 1\n"
    done = convert_checkpoint(middle, last, target="pytorchvideo")
    assert (done.source, done.target, done.tensors) == ("slowfast", "pytorchvideo", len(ours.state_dict()))
    x3d(depth_factor=1.0).load_state_dict(read_checkpoint(last)["model_state"])


def test_bare_state_dicts_and_the_older_file_form_are_read(ours, tmp_path):
    path = tmp_path / "bare.pt"
    torch.save(ours.state_dict(), path, _use_new_zipfile_serialization=False)
    assert convert_checkpoint(path, tmp_path / "out.pyth", target="slowfast").source == "pytorchvideo"


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_caffe2_pickles_are_refused_with_the_reason(tmp_path, protocol):
    path = tmp_path / "SLOWFAST.pkl"
    path.write_bytes(pickle.dumps({"blobs": {"conv1_w": [0.0]}}, protocol=protocol))
    with pytest.raises(CheckpointError, match="caffe2 pickle, refused, since unpickling runs"):
        convert_checkpoint(path, tmp_path / "out.pyth", target="pytorchvideo")
    assert not (tmp_path / "out.pyth").exists()


def test_damaged_and_missing_files(ours, tmp_path):
    path = tmp_path / "cut.pyth"
    torch.save({"model_state": ours.state_dict()}, path)
    path.write_bytes(path.read_bytes()[:1000])
    for source, message in ((path, "truncated, or no checkpoint"), (tmp_path / "none.pyth", "no such checkpoint")):
        with pytest.raises(CheckpointError, match=message) as raised:
            convert_checkpoint(source, tmp_path / "out.pyth", target="slowfast")
        assert "\n" not in str(raised.value)
    torch.save({"epoch": 1}, path)
    with pytest.raises(CheckpointError, match="has no model_state, nor is it a state dict"):
        convert_checkpoint(path, tmp_path / "out.pyth", target="slowfast")


def _arguments(argv):
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(argv)
