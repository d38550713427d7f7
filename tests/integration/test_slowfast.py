"""Against the real PySlowFast: registration, configs, equal logits, checkpoints, detection. Skipped without it."""

import pytest
import torch

from pytorchvideo_autox3d import config
from pytorchvideo_autox3d.errors import ConfigError, ModelError
from tests.integration.slowfast_support import load_small, needs_slowfast

pytestmark = [needs_slowfast, pytest.mark.usefixtures("_quiet_process", "_registered")]

ROOT = config.config_path("autox3d/S.yaml").parents[1]
CONFIGS = sorted(path for path in ROOT.rglob("*.yaml") if "space" not in str(path.relative_to(ROOT)))


@pytest.fixture(scope="module")
def _registered():
    from pytorchvideo_autox3d.slowfast import register

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    register()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def clip():
    return torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))


def build(cfg):
    from slowfast.models import build_model

    torch.manual_seed(0)
    return randomized(build_model(cfg))


def randomized(model):
    """Normalisations as after training: at their first values they would hide exchanged keys."""
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            for tensor, (low, high) in zip(
                (module.weight, module.bias, module.running_mean, module.running_var),
                ((0.5, 1.5), (-0.2, 0.2), (-0.2, 0.2), (0.5, 2.0)),
                strict=True,
            ):
                torch.nn.init.uniform_(tensor, low, high, generator=generator)
    return model


def ours(cfg):
    from pytorchvideo_autox3d.jobs.build import build_model
    from pytorchvideo_autox3d.slowfast.configuration import native_cfg

    return build_model(native_cfg(cfg)).eval()


def test_our_names_are_registered():
    from slowfast.datasets import DATASET_REGISTRY
    from slowfast.models import MODEL_REGISTRY

    from pytorchvideo_autox3d.registry import MODEL_REGISTRY as OURS

    for name in [*(name for name, _ in OURS), "AutoX3DDetection"]:
        assert name in MODEL_REGISTRY, name
    for name in ("autox3d_kinetics", "autox3d_ssv2"):
        assert name.capitalize() in DATASET_REGISTRY


def test_its_own_models_stay_its_own():
    from slowfast.models import MODEL_REGISTRY

    for name in ("X3D", "SlowFast", "PTVX3D"):
        assert MODEL_REGISTRY.get(name).__module__.startswith("slowfast.models")


def test_registering_again_changes_nothing():
    from slowfast.config.defaults import get_cfg
    from slowfast.models import MODEL_REGISTRY

    from pytorchvideo_autox3d.slowfast import register

    names, dumped = [name for name, _ in MODEL_REGISTRY], get_cfg().dump()
    register()
    assert [name for name, _ in MODEL_REGISTRY] == names
    assert get_cfg().dump() == dumped


def test_every_key_of_ours_is_one_of_theirs_or_under_our_nodes():
    from slowfast.config.defaults import get_cfg

    theirs = dict(config.leaves(get_cfg()))
    for key, value in config.leaves(config.get_cfg()):
        assert key in theirs, key
        assert type(theirs[key]) is type(value), key


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_loads_in_both_harnesses_to_the_same_values(path):
    from pytorchvideo_autox3d.slowfast.configuration import load_cfg

    native, theirs = config.load_cfg(path, ["NUM_GPUS", "0"]), dict(config.leaves(load_cfg(path, ["NUM_GPUS", "0"])))
    # What neither the file nor we ourselves set may differ: the defaults of the two.
    written = set()
    for layer in _layers(path):
        written |= set(_keys(layer))
    for key, value in config.leaves(native):
        if key in written and not key.endswith(".DATASET"):
            assert theirs[key] == value, key
    for split in ("TRAIN", "TEST"):
        assert theirs[f"{split}.DATASET"].startswith("autox3d_")


def _layers(path):
    import yaml

    values = yaml.safe_load(path.read_text())
    base = values.pop("_BASE_", None)
    return [values] + (_layers(path.parent / base) if base else [])


def _keys(values, prefix=""):
    for key, value in values.items():
        yield from _keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]


def test_a_misspelt_key_is_named():
    with pytest.raises(ConfigError, match=r"unknown key DATA\.NUM_FRAME; did you mean DATA\.NUM_FRAMES"):
        load_small(DATA__NUM_FRAME=3)


def test_an_x3d_of_other_blocks_is_refused():
    with pytest.raises(ConfigError, match=r"RESNET\.TRANS_FUNC 'bottleneck_transform'"):
        load_small("autox3d/X3D_S.yaml", RESNET__TRANS_FUNC="bottleneck_transform")


def test_multigrid_without_its_gpus_is_refused():
    with pytest.raises(ConfigError, match=r"MULTIGRID\.SHORT_CYCLE: PySlowFast needs NUM_GPUS of at least 2"):
        load_small(MULTIGRID__SHORT_CYCLE=True)


@pytest.mark.parametrize("name", ["AutoX3D", "AutoX3DSearch", "MobileNetV2_3D", "Slow"])
def test_logits_in_training_scores_in_eval(name, clip):
    model = build(load_small(MODEL__MODEL_NAME=name, MODEL__DROPOUT_RATE=0.0))
    model.eval()
    scores = model([clip])
    torch.testing.assert_close(scores.sum(1), torch.ones(2))
    for module in model.modules():  # logits, with the statistics of eval
        module.training = False
    model.training = True
    torch.testing.assert_close(model([clip]).softmax(1), scores)


def test_two_pathways_are_refused(clip):
    with pytest.raises(ModelError, match=r"takes one pathway, got 2: check MODEL\.ARCH"):
        build(load_small())([clip, clip])


def test_multi_label_scores(clip):
    scores = build(load_small(MODEL__HEAD_ACT="sigmoid")).eval()([clip])
    assert not torch.allclose(scores.sum(1), torch.ones(2))
    with pytest.raises(ConfigError, match="HEAD_ACT 'tanh'"):
        build(load_small(MODEL__HEAD_ACT="tanh"))


def test_equal_weights_give_equal_logits_for_autox3d(clip):
    cfg = load_small()
    theirs, native = build(cfg).eval(), ours(cfg)
    native.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(theirs([clip]), native(clip).softmax(1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("depth", [1.0, 2.2])
def test_equal_weights_give_equal_logits_for_their_x3d(clip, depth):
    from pytorchvideo_autox3d.models.x3d_checkpoints import convert_state

    cfg = load_small("autox3d/X3D_S.yaml", X3D__DEPTH_FACTOR=depth)
    theirs, native = build(cfg).eval(), ours(cfg)
    native.load_state_dict(convert_state(theirs.state_dict(), "pytorchvideo"))
    theirs.head.act = torch.nn.Identity()
    expected = native(clip)
    assert expected.std() > 0.01  # not all classes alike, or nothing would be compared
    torch.testing.assert_close(theirs([clip]), expected, rtol=1e-5, atol=1e-5)

    back = build(cfg).eval()
    missing = set(back.state_dict()) ^ set(convert_state(native.state_dict(), "slowfast"))
    assert missing == set()
    back.load_state_dict(convert_state(native.state_dict(), "slowfast"))
    back.head.act = torch.nn.Identity()
    torch.testing.assert_close(back([clip]), expected, rtol=1e-5, atol=1e-5)


def test_their_x3d_at_a_larger_crop_averages_the_scores_of_windows():
    """What docs/pyslowfast.md says of it, to 1e-5: our own head over each window of the training crop's map."""
    from pytorchvideo_autox3d.models.x3d_checkpoints import convert_state

    cfg = load_small("autox3d/X3D_S.yaml", X3D__DEPTH_FACTOR=1.0)  # trained on 32 pixels: a map of 1 x 1
    theirs, native = build(cfg).eval(), ours(cfg)
    torch.nn.init.normal_(theirs.head.projection.weight, generator=torch.Generator().manual_seed(3))
    native.load_state_dict(convert_state(theirs.state_dict(), "pytorchvideo"))
    larger = torch.randn(2, 3, 4, 80, 64, generator=torch.Generator().manual_seed(1))
    scores = theirs([larger])
    map_BCTHW = larger
    for block in native.blocks[:-1]:
        map_BCTHW = block(map_BCTHW)
    assert map_BCTHW.shape[-2:] == (3, 2)
    head = native.blocks[-1]
    windows = [head(map_BCTHW[..., row : row + 1, column : column + 1]).softmax(1)
               for row in range(3) for column in range(2)]  # fmt: skip
    torch.testing.assert_close(scores, torch.stack(windows).mean(0), rtol=0, atol=1e-5)
    assert (native(larger).softmax(1) - scores).abs().max() > 1e-3  # the whole map at once is something else


def test_equal_weights_give_equal_logits_for_their_ptvx3d(clip):
    from pytorchvideo_autox3d.models.x3d_checkpoints import convert_state

    cfg = load_small("autox3d/X3D_S.yaml", MODEL__MODEL_NAME="PTVX3D", X3D__DEPTH_FACTOR=1.0)
    theirs = build(cfg).eval()
    cfg.MODEL.MODEL_NAME = "X3D"
    native = ours(cfg)
    native.load_state_dict(convert_state(theirs.state_dict(), "pytorchvideo"))
    theirs.post_act = torch.nn.Identity()
    expected = native(clip)
    torch.testing.assert_close(theirs([clip]), expected, rtol=1e-5, atol=1e-5)
    theirs.load_state_dict(convert_state(native.state_dict(), "slowfast-ptv"))
    torch.testing.assert_close(theirs([clip]), expected, rtol=1e-5, atol=1e-5)


def test_a_checkpoint_of_theirs_converts_as_a_file(tmp_path, clip):
    import slowfast.utils.checkpoint as cu

    from pytorchvideo_autox3d.models.x3d_checkpoints import convert_checkpoint, read_checkpoint

    cfg = load_small("autox3d/X3D_S.yaml", X3D__DEPTH_FACTOR=1.0, OUTPUT_DIR=str(tmp_path))
    model = build(cfg).eval()
    saved = cu.save_checkpoint(str(tmp_path), model, torch.optim.SGD(model.parameters(), lr=0.1), 0, cfg)
    convert_checkpoint(saved, tmp_path / "ours.pyth", target="pytorchvideo")
    native = ours(cfg)
    native.load_state_dict(read_checkpoint(tmp_path / "ours.pyth")["model_state"])
    torch.testing.assert_close(native(clip).softmax(1), model([clip]), rtol=1e-5, atol=1e-6)

    convert_checkpoint(tmp_path / "ours.pyth", tmp_path / "theirs.pyth", target="slowfast")
    again = build(cfg).eval()
    torch.nn.init.zeros_(again.head.projection.weight)
    assert cu.load_checkpoint(str(tmp_path / "theirs.pyth"), again, data_parallel=False) == -1
    torch.testing.assert_close(again([clip]), model([clip]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("arch", ["autox3d", "x3d"])
def test_detection_takes_clips_and_boxes(arch, clip):
    from slowfast.utils.misc import log_model_info

    cfg = load_small(
        MODEL__MODEL_NAME="AutoX3DDetection", MODEL__ARCH=arch, DETECTION__ENABLE=True, MODEL__HEAD_ACT="sigmoid",
        MODEL__LOSS_FUNC="bce", X3D__DEPTH_FACTOR=1.0,
    )  # fmt: skip
    model = build(cfg)
    boxes = torch.tensor([[0, 2.0, 2.0, 30.0, 20.0], [1, 0.0, 0.0, 32.0, 32.0]])
    for mode in (True, False):
        scores = model.train(mode)([clip], boxes)
        assert scores.shape == (2, 8)
        assert 0 < scores.min() <= scores.max() < 1
    flops, params = log_model_info(model, cfg)
    assert flops > 0
    assert params == sum(weight.numel() for weight in model.parameters())


def test_detection_over_another_backbone_is_refused():
    cfg = load_small(MODEL__MODEL_NAME="AutoX3DDetection", MODEL__ARCH="slow", DETECTION__ENABLE=True)
    with pytest.raises(ConfigError, match=r"MODEL\.ARCH 'slow': AutoX3DDetection takes autox3d, x3d"):
        build(cfg)


def test_its_flop_count_less_the_normalisations_is_ours():
    from fvcore.nn.flop_count import flop_count
    from slowfast.utils.misc import _get_model_analysis_input

    from pytorchvideo_autox3d.analysis import complexity
    from pytorchvideo_autox3d.models import reference_architecture

    cfg = load_small(
        AUTOX3D__GROUPS=[], DATA__NUM_FRAMES=13, DATA__TRAIN_CROP_SIZE=64, DATA__TRAIN_JITTER_SCALES=[64, 72],
        MODEL__NUM_CLASSES=400,
    )  # fmt: skip
    counted, _ = flop_count(build(cfg).eval(), _get_model_analysis_input(cfg, use_train_input=True))
    expected = complexity(reference_architecture("S"), clip=(13, 64, 64), num_classes=400).macs
    assert sum(value for kind, value in counted.items() if kind != "batch_norm") == pytest.approx(expected / 1e9)
