"""AutoX3D: structure follows the architecture; detection; initialisation; options."""

import dataclasses

import pytest
import torch
from pytorchvideo.models.head import create_res_roi_pooling_head
from pytorchvideo.models.net import DetectionBBoxNetwork
from torch import nn
from torchvision.ops import RoIAlign

from pytorchvideo_autox3d.analysis import count_parameters
from pytorchvideo_autox3d.errors import ModelError, RegistryError, SpaceError
from pytorchvideo_autox3d.layers import GloRe, MBConv3D
from pytorchvideo_autox3d.models import (
    check_attentions,
    create_autox3d,
    find_architecture,
    read_architecture,
    reference_architecture,
)
from pytorchvideo_autox3d.space import Architecture, load_space


def tiny(**arguments):
    return create_autox3d(reference_architecture("S"), model_num_class=4, **arguments)


def test_structure_follows_the_architecture():
    architecture = load_space("table2").sample(torch.Generator().manual_seed(4))
    model = create_autox3d(architecture)
    assert len(model.blocks) == 1 + 11 + 1
    assert model.architecture == architecture
    width = 24
    for choice, spec, group in zip(architecture.groups, architecture.space.groups, model.blocks[1:-1], strict=True):
        blocks = [module for module in group if isinstance(module, MBConv3D)]
        assert len(blocks) == spec.blocks
        t, s = choice.kernel
        for block in blocks:
            assert block.depthwise.kernel_size == (t, s, s)
            assert block.depthwise.groups == block.expand.out_channels == width * choice.expansion
            assert block.project.out_channels == choice.channels
            width = choice.channels
        assert blocks[0].depthwise.stride == (1, spec.stride, spec.stride)
        assert isinstance(group.attention, GloRe) == (choice.attention == "glore")
    assert model.num_features == width


def test_every_other_block_has_squeeze_excitation():
    blocks = [module for module in tiny().modules() if isinstance(module, MBConv3D)]
    # By hand: stages of 3, 5, 11 and 7 blocks, each beginning with one.
    expected = [i % 2 == 0 for count in (3, 5, 11, 7) for i in range(count)]
    assert [not isinstance(block.squeeze_excite, nn.Identity) for block in blocks] == expected
    none = [module for module in tiny(se_ratio=0.0).modules() if isinstance(module, MBConv3D)]
    assert all(isinstance(block.squeeze_excite, nn.Identity) for block in none)


def test_time_is_never_reduced_and_space_by_32():
    features = tiny().eval().forward_features(torch.zeros(1, 3, 5, 64, 96))
    assert features.shape == (1, tiny().num_features, 5, 2, 3)


def test_depth_factor():
    count = sum(isinstance(module, MBConv3D) for module in tiny(depth_factor=2.0).modules())
    assert count == 52
    with pytest.raises(SpaceError, match="depth_factor"):
        tiny(depth_factor=0.0)


def test_stem_option():
    # A depthwise 5x1x1 over 24 channels.
    assert count_parameters(tiny(stem="x3d")) - count_parameters(tiny()) == 24 * 5
    assert not hasattr(tiny(stem="table2").blocks[0], "temporal_conv")
    with pytest.raises(ModelError, match="stem 'x2d' is not one of table2, x3d"):
        tiny(stem="x2d")


def test_initialisation():
    torch.manual_seed(0)
    model = tiny()
    last_norms = {id(m.project_norm): m.has_residual for m in model.modules() if isinstance(m, MBConv3D)}
    last_norms |= {id(m.norm): True for m in model.modules() if isinstance(m, GloRe)}
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            # Blocks with a residual begin as identity; a block without one must not begin as zero.
            assert module.weight.unique().tolist() == [0.0 if last_norms.get(id(module)) else 1.0]
    conv = model.blocks[-1].pool.pre_conv
    # He, fan out: variance 2 / (out channels * kernel volume).
    assert abs(conv.weight.std().item() / (2 / conv.out_channels) ** 0.5 - 1) < 0.05


def test_same_seed_same_weights():
    torch.manual_seed(3)
    first = tiny().state_dict()
    torch.manual_seed(3)
    second = tiny().state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_norm_settings_reach_every_norm():
    model = tiny(norm_eps=1e-3, norm_momentum=0.3)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.3)}


def test_an_attention_that_is_not_registered_is_an_error():
    space = load_space("table2")
    groups = tuple(dataclasses.replace(group, attentions=("mine",)) for group in space.groups)
    architecture = dataclasses.replace(space, name="mine", groups=groups).sample(torch.Generator().manual_seed(0))
    with pytest.raises(RegistryError, match="ATTENTION: no entry named 'mine'"):
        create_autox3d(architecture)


def test_it_scripts_nothing_and_exports():
    model = tiny().eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    exported = torch.export.export(model, (clip,))
    assert torch.allclose(exported.module()(clip), model(clip), atol=1e-5)


def test_backbone_of_pytorchvideos_detection_network():
    torch.manual_seed(0)
    model = tiny(input_clip_length=4)
    head = create_res_roi_pooling_head(
        in_features=model.num_features,
        out_features=6,
        resolution=(7, 7),
        spatial_scale=1 / 32,
        roi=RoIAlign,
        pool_kernel_size=(4, 1, 1),
        dropout_rate=0.0,
    )
    network = DetectionBBoxNetwork(model.backbone(), head)
    clip = torch.randn(2, 3, 4, 64, 64)
    # Rows of batch index, x1, y1, x2, y2 in pixels.
    boxes = torch.tensor([[0, 0, 0, 40, 40], [1, 8, 8, 63, 63], [1, 0, 0, 63, 20]], dtype=torch.float32)
    scores = network(clip, boxes)
    assert scores.shape == (3, 6)
    scores.sum().backward()
    assert all(p.grad is not None for p in model.backbone().parameters())
    # Sharing, not copying: the classifier and the detector see the same weights.
    assert network.model[0] is model.blocks[0]
    # The two boxes of clip 1 see clip 1 alone.
    network.eval()
    with torch.no_grad():
        changed = clip.clone()
        changed[0] += 1
        assert torch.allclose(network(changed, boxes)[1:], network(clip, boxes)[1:], atol=1e-5)


def test_a_custom_space_with_a_stem_of_its_own():
    space = load_space("table2")
    mine = dataclasses.replace(
        space, name="mine", groups=space.groups[:2], stem=dataclasses.replace(space.stem, temporal_kernel=3)
    )
    model = create_autox3d(Architecture(reference_architecture("S").groups[:2], mine), model_num_class=3)
    assert model.blocks[0].temporal_conv.kernel_size == (3, 1, 1)
    assert model(torch.randn(2, 3, 2, 16, 16)).shape == (2, 3)


def test_an_architecture_by_its_json_or_its_name(tmp_path):
    path = tmp_path / "a.json"
    chosen = load_space("table2").sample(torch.Generator().manual_seed(0))
    chosen.to_json(path)
    for form in (path, str(path)):
        assert create_autox3d(form, model_num_class=3).architecture == find_architecture(form) == chosen
    assert find_architecture("M") == reference_architecture("M")
    with pytest.raises(SpaceError, match=r"no architecture file 'nowhere\.json'"):
        create_autox3d("nowhere.json")
    with pytest.raises(ModelError, match=r"'XL' is neither a reference architecture \(S, M, L\) nor a \.json file"):
        find_architecture("XL")


def test_an_unknown_attention_of_a_space_names_file_group_and_key(tmp_path):
    space = load_space("table2")
    check_attentions(space, source="table2")
    groups = (space.groups[0], dataclasses.replace(space.groups[1], attentions=("none", "glor")), *space.groups[2:])
    wrong = dataclasses.replace(space, name="mine", groups=groups)
    message = "group 2: attentions: no attention named 'glor'; did you mean 'glore'? known: glore, none, nonlocal"
    with pytest.raises(SpaceError) as caught:
        check_attentions(wrong, source="mine.yaml")
    assert str(caught.value) == f"mine.yaml: {message}"
    path = tmp_path / "a.json"
    wrong.sample(torch.Generator().manual_seed(0)).to_json(path)
    with pytest.raises(SpaceError) as caught:
        read_architecture(str(path))
    assert str(caught.value) == f"{path}: space: {message}"
