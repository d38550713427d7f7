"""What PySlowFast's jobs can't go with; over our config with the keys of PySlowFast's that the rules read."""

import re

import pytest
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config import get_cfg
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.slowfast import rules


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.DETECTION = CfgNode({"ENABLE": False})
    cfg.MODEL.SINGLE_PATHWAY_ARCH, cfg.MODEL.MULTI_PATHWAY_ARCH = ["x3d", "autox3d"], ["slowfast"]
    cfg.DATA.MULTI_LABEL = False
    cfg.DATA.TRAIN_CROP_NUM_TEMPORAL = cfg.DATA.TRAIN_CROP_NUM_SPATIAL = 1
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "autox3d_kinetics"
    return cfg


def change(cfg, **settings):
    for key, value in settings.items():
        node, leaf = key.split("__")
        cfg[node][leaf] = value


DETECTION = {"DETECTION__ENABLE": True, "MODEL__MODEL_NAME": "AutoX3DDetection", "TRAIN__DATASET": "ava",
             "TEST__DATASET": "ava", "MODEL__LOSS_FUNC": "bce", "TEST__BATCH_SIZE": 1}  # fmt: skip


def test_what_our_recipes_ask_for_passes(cfg):
    rules.check_together(cfg, takes_boxes=False)
    change(cfg, **DETECTION)
    rules.check_together(cfg, takes_boxes=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"TRAIN__EVAL_PERIOD": 0}, "TRAIN.EVAL_PERIOD is 0, expected 1 or more"),
        ({"MODEL__ARCH": "autox4d"}, "MODEL.ARCH 'autox4d': known are x3d, autox3d, slowfast"),
        (
            {"DETECTION__ENABLE": True},
            "DETECTION.ENABLE True with MODEL.MODEL_NAME 'AutoX3D': boxes go",
        ),
        ({"MODEL__NUM_CLASSES": 4}, "MODEL.NUM_CLASSES is 4, expected 5 or more"),
        ({"AUG__NUM_SAMPLE": 2}, "AUG.NUM_SAMPLE is 2, expected 1: autox3d_kinetics gives a clip a video"),
        ({"DATA__TRAIN_CROP_NUM_SPATIAL": 2}, "DATA.TRAIN_CROP_NUM_SPATIAL is 2"),
        ({"DATA__MULTI_LABEL": True}, "DATA.MULTI_LABEL: autox3d_kinetics has one label a video"),
    ],
)
def test_keys_that_do_not_go_together(cfg, settings, message):
    change(cfg, **settings)
    with pytest.raises(ConfigError) as raised:
        rules.check_together(cfg, takes_boxes=False)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"DETECTION__ENABLE": False}, "DETECTION.ENABLE False with MODEL.MODEL_NAME 'AutoX3DDetection'"),
        ({"TEST__DATASET": "autox3d_kinetics"}, "DETECTION.ENABLE: autox3d_kinetics has no boxes"),
        ({"BN__USE_PRECISE_STATS": True}, "BN.USE_PRECISE_STATS: with DETECTION.ENABLE"),
        ({"MODEL__LOSS_FUNC": "cross_entropy"}, "MODEL.LOSS_FUNC 'cross_entropy': AutoX3DDetection gives scores"),
        ({"TEST__BATCH_SIZE": 8}, "NUM_GPUS 1, TEST.BATCH_SIZE 8: PySlowFast tests detection with"),
    ],
)
def test_keys_that_do_not_go_with_boxes(cfg, settings, message):
    change(cfg, **DETECTION | settings)
    with pytest.raises(ConfigError) as raised:
        rules.check_together(cfg, takes_boxes=True)
    assert str(raised.value).startswith(message)


def test_a_test_alone_needs_no_validation(cfg):
    change(cfg, TRAIN__ENABLE=False, TRAIN__EVAL_PERIOD=0, AUG__NUM_SAMPLE=2)
    rules.check_together(cfg, takes_boxes=False)


def test_several_numbers_of_clips_are_tested_by_one_value(cfg):
    change(cfg, TEST__NUM_ENSEMBLE_VIEWS=-1)
    rules.check_native_values(cfg)
    assert cfg.TEST.NUM_ENSEMBLE_VIEWS == -1
    change(cfg, TEST__NUM_SPATIAL_CROPS=2)
    with pytest.raises(ConfigError, match=r"TEST\.NUM_SPATIAL_CROPS is 2, expected one of 1, 3"):
        rules.check_native_values(cfg)


@pytest.fixture
def defaults(cfg):
    cfg.DATA.TRAIN_JITTER_FPS, cfg.MULTIGRID = 0.0, CfgNode({"LONG_CYCLE": False})
    return cfg.clone()


def test_a_key_that_only_its_own_data_sets_read_is_refused(cfg, defaults):
    change(cfg, MULTIGRID__LONG_CYCLE=True, DATA__TRAIN_CROP_NUM_SPATIAL=2)  # for its trainer
    rules.check_keys_of_theirs(cfg, defaults)
    change(cfg, DATA__TRAIN_JITTER_FPS=5.0)
    with pytest.raises(ConfigError, match=r"^DATA\.TRAIN_JITTER_FPS is 5\.0, which autox3d_kinetics"):
        rules.check_keys_of_theirs(cfg, defaults)
    change(cfg, TRAIN__DATASET="ava", TEST__DATASET="ava")
    rules.check_keys_of_theirs(cfg, defaults)


def test_a_search_reads_none_of_its_own_keys(cfg, defaults):
    change(cfg, SEARCH__ENABLE=True, MULTIGRID__LONG_CYCLE=True)
    with pytest.raises(ConfigError, match=r"^MULTIGRID\.LONG_CYCLE is True, which a search does not read"):
        rules.check_keys_of_theirs(cfg, defaults)


@pytest.mark.parametrize(
    ("key", "value", "needs"),
    [
        ("MULTIGRID.EPOCH_FACTOR", 2.0, "MULTIGRID.LONG_CYCLE or SHORT_CYCLE True"),
        ("SOLVER.STEP_SIZE", 3, "a step-wise policy"),
        ("TENSORBOARD.CATEGORIES_PATH", "a.json", "TENSORBOARD.ENABLE True"),
        ("DETECTION.ALIGNED", False, "DETECTION.ENABLE True"),
        ("AVA.FRAME_DIR", "frames", "DETECTION.ENABLE True"),
        ("DEMO.ENABLE", True, "PySlowFast's own tools"),
        ("DEMO.WEBCAM", 0, "PySlowFast's own tools"),
    ],
)
def test_its_own_keys_count_beside_their_switch(cfg, key, value, needs):
    node, leaf = key.split(".")
    cfg.MULTIGRID = CfgNode({"LONG_CYCLE": False, "SHORT_CYCLE": False, "EPOCH_FACTOR": 1.5})
    cfg.SOLVER.STEP_SIZE, cfg.TENSORBOARD.CATEGORIES_PATH, cfg.DETECTION.ALIGNED = 1, "", True
    cfg.AVA, cfg.DEMO = CfgNode({"FRAME_DIR": ""}), CfgNode({"ENABLE": False, "WEBCAM": -1})
    before = cfg.clone()
    assert rules.check_conditions_of_theirs(cfg, before) == []
    cfg[node][leaf] = value
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)} is {value!r}, which is read only with {needs}"):
        rules.check_conditions_of_theirs(cfg, before)


@pytest.mark.parametrize(
    ("key", "default", "value"),
    [("MODEL.DROPCONNECT_RATE", 0.0, 0.5), ("RESNET.WIDTH_PER_GROUP", 64, 32), ("RESNET.STRIDE_1X1", False, True)],
)
def test_what_only_its_own_models_read_is_refused_with_ours(cfg, key, default, value):
    node, leaf = key.split(".")
    cfg[node][leaf], cfg.MODEL.FROZEN_BN = default, False
    before = cfg.clone()
    cfg.MODEL.FROZEN_BN = True  # its trainer's, whatever the model
    rules.check_keys_of_our_model(cfg, before)
    cfg[node][leaf] = value
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)} is {value!r}, which AutoX3D does not read; "):
        rules.check_keys_of_our_model(cfg, before)


def test_a_task_is_its_self_supervised_models(cfg):
    change(cfg, MODEL__MODEL_NAME="MaskMViT")
    cfg.TASK = "ssl"
    rules.check_together(cfg, takes_boxes=None)
    change(cfg, MODEL__MODEL_NAME="AutoX3D")
    with pytest.raises(ConfigError, match=r"^TASK is 'ssl', which counts only with MODEL\.MODEL_NAME Contrastive"):
        rules.check_together(cfg, takes_boxes=False)
    cfg.TASK = "ssl_eval_k400"
    rules.check_together(cfg, takes_boxes=False)


@pytest.mark.parametrize("leaf", ["CHECKPOINT_INFLATE", "CHECKPOINT_IN_INIT"])
def test_what_its_recipes_set_for_a_start_is_told_without_one(cfg, leaf):
    cfg.TRAIN[leaf] = False
    before = cfg.clone()
    cfg.TRAIN[leaf] = True
    (line,) = rules.check_conditions_of_theirs(cfg, before)
    assert line.startswith(f"TRAIN.{leaf} True has no effect: it is read only with a TRAIN.CHECKPOINT_FILE_PATH")
    cfg.TRAIN.CHECKPOINT_FILE_PATH = "a.pyth"
    assert rules.check_conditions_of_theirs(cfg, before) == []
