import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.analysis import complexity, count_module
from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.errors import ConfigError, SpaceError
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.layers.norms import SubBatchNorm3d, SyncBatchNorm3d
from pytorchvideo_autox3d.models import reference_architecture


def cfg_of(*opts, file="autox3d/S.yaml"):
    return load_cfg(config_path(file), list(opts))


def test_architecture_by_name_by_file_and_written_out(tmp_path):
    reference = reference_architecture("S")
    reference.to_json(tmp_path / "a.json")
    groups = [[list(g.kernel), g.channels, g.expansion, g.attention] for g in reference.groups]
    for opts in (
        ["AUTOX3D.ARCHITECTURE", "S"],
        ["AUTOX3D.ARCHITECTURE", str(tmp_path / "a.json")],
        ["AUTOX3D.GROUPS", groups],
    ):
        assert build.build_architecture(cfg_of(*opts)) == reference


def test_bad_architectures():
    with pytest.raises(ConfigError, match=r"AUTOX3D\.ARCHITECTURE: 'Q' is neither"):
        build.build_architecture(cfg_of("AUTOX3D.ARCHITECTURE", "Q"))
    with pytest.raises(SpaceError, match="11 groups"):
        build.build_architecture(cfg_of("AUTOX3D.GROUPS", [[[3, 3], 24, 1.5, "none"]]))


@pytest.mark.parametrize("name", ["S", "L"])
def test_autox3d_is_built_as_the_config_says(name):
    cfg = cfg_of("MODEL.NUM_CLASSES", 7, file=f"autox3d/{name}.yaml")
    with torch.device("meta"):
        params = sum(p.numel() for p in build.build_model(cfg).parameters())
    wanted = complexity(
        reference_architecture(name), clip=(4, 32, 32), num_classes=7, depth_factor={"S": 1.0, "L": 2.0}[name]
    )
    assert params == wanted.params


@pytest.mark.parametrize(
    ("name", "depth", "classes", "params"),
    # X3D's published parameters: 3.79 M for S, 6.15 M for L (model zoo of PySlowFast).
    [("X3D_S", 2.2, 400, 3.79e6), ("X3D_L", 5.0, 400, 6.15e6)],
)
def test_x3d_is_built_as_the_config_says(name, depth, classes, params):
    cfg = cfg_of(file=f"autox3d/{name}.yaml")
    assert depth == cfg.X3D.DEPTH_FACTOR
    model = build.build_model(cfg)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(params, rel=0.002)
    assert model.blocks[-1].proj.out_features == classes


def test_the_demo_models_cost_what_they_should():
    cfg = cfg_of(file="autox3d/demo_x3d.yaml")
    x3d = count_module(build.build_model(cfg), (8, 32, 32)).macs
    own = count_module(build.build_model(cfg_of(file="autox3d/demo.yaml")), (8, 32, 32)).macs
    assert own == pytest.approx(x3d, rel=0.05)


SPACE = """
name: tiny
groups:
  - {channels: [8], kernels: [[1, 3]], expansions: [1.5], attentions: [none], blocks: 1, stride: 2}
  - {channels: [8], kernels: [[3, 3]], expansions: [1.5], attentions: [none, glor], blocks: 1, stride: 2}
"""


def test_a_wrong_space_names_its_key_file_and_group(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    with pytest.raises(ConfigError) as caught:
        build.build_space(cfg_of("AUTOX3D.SPACE", str(path)))
    assert str(caught.value).startswith(f"AUTOX3D.SPACE: {path}: group 2: attentions: no attention named 'glor'; ")
    for name in ("tabel2", "spaces/nowhere.yaml"):
        with pytest.raises(ConfigError, match=rf"AUTOX3D\.SPACE: .*'{name}'"):
            build.build_space(cfg_of("AUTOX3D.SPACE", name))


@pytest.mark.parametrize(
    ("opts", "kind", "attribute", "value"),
    [
        ((), nn.BatchNorm3d, "momentum", 0.1),
        (("BN.NORM_TYPE", "sub_batchnorm", "BN.NUM_SPLITS", 4), SubBatchNorm3d, "num_splits", 4),
        (("BN.NORM_TYPE", "sync_batchnorm", "BN.GLOBAL_SYNC", True), SyncBatchNorm3d, "num_devices", None),
        (("BN.NORM_TYPE", "sync_batchnorm", "BN.NUM_SYNC_DEVICES", 2), SyncBatchNorm3d, "num_devices", 2),
    ],
)
def test_the_normalisation_that_the_config_names(opts, kind, attribute, value):
    cfg = cfg_of(*opts, file="autox3d/demo_x3d.yaml")
    model = build.build_model(cfg)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    assert len(norms) > 20
    assert {type(norm) for norm in norms} == {kind}
    assert {getattr(norm, attribute) for norm in norms} == {value}
    # A checkpoint of one kind is one of the other: the same keys, the same weights under the same seed.
    assert model.state_dict().keys() == build.build_model(cfg_of(file="autox3d/demo_x3d.yaml")).state_dict().keys()


FLOW = {"flow": 2, "rgb+flow": 5}


def flow_cfg(name, modality, channels):
    opts = ["MODEL.MODEL_NAME", name, "AUTOX3D.MODALITY", modality, "AUTOX3D.AUTO_AUGMENT", ""]
    return cfg_of(*opts, "DATA.MEAN", [0.5] * channels, "DATA.STD", [0.25] * channels)


@pytest.mark.parametrize(("name", "modality"), [("MFNet", "flow"), ("I3D_TwoStream", "rgb+flow")])
def test_networks_of_flow(name, modality):
    cfg = flow_cfg(name, modality, FLOW[modality])
    with torch.device("meta"):
        assert build.build_model(cfg).in_channels == FLOW[modality]
    card = build.build_card(cfg)
    assert (card.preprocessing.modality, len(card.preprocessing.mean)) == (modality, FLOW[modality])


@pytest.mark.parametrize(("name", "modality", "given"), [("X3D", "flow", 2), ("I3D_TwoStream", "rgb", 3)])
def test_a_network_of_other_channels_is_refused(name, modality, given):
    cfg = flow_cfg(name, modality, given)
    message = f"AUTOX3D.MODALITY: '{modality}' gives {given} channels, {name} takes"
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        build.build_model(cfg)


def test_a_network_of_one_clip_size_is_tested_at_it():
    opts = ["DATA.TEST_CROP_SIZE", 128]
    with torch.device("meta"), pytest.raises(ConfigError, match=r"DATA.TEST_CROP_SIZE is 128, but C3D takes .* 112"):
        build.build_model(cfg_of(*opts, file="baselines/c3d.yaml"))
