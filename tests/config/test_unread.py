"""What is refused, what is told and what passes of keys that a config's jobs don't read."""

import pytest

from pytorchvideo_autox3d.config import check_read, config_path, get_cfg, idle_keys, load_cfg
from pytorchvideo_autox3d.errors import ConfigError

TRAINING, SEARCHING = "autox3d/S.yaml", "autox3d/search_demo.yaml"


def load(name, **changes):
    options = [str(item) for key, value in changes.items() for item in (key.replace("__", "."), value)]
    return load_cfg(config_path(name), options)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            SEARCHING,
            {"SOLVER__MAX_EPOCH": 5},
            "SOLVER.MAX_EPOCH is 5, which a search does not read; training does: put it into autox3d/demo.yaml",
        ),
        (
            SEARCHING,
            {"TRAIN__CHECKPOINT_FILE_PATH": "a.pyth"},
            "TRAIN.CHECKPOINT_FILE_PATH is 'a.pyth', which a ",
        ),
        (SEARCHING, {"X3D__WIDTH_FACTOR": 2.0}, "X3D.WIDTH_FACTOR is 2.0, which a search does not read; training and "),
        (
            SEARCHING,
            {"MODEL__ACT_CHECKPOINT": True},
            "MODEL.ACT_CHECKPOINT is True, which a search does not read: it wraps whole blocks, and ",
        ),
        (
            TRAINING,
            {"SEARCH__BEST_OF": 4},
            "SEARCH.BEST_OF is 4, which neither training nor a test reads; a search",
        ),
        (
            TRAINING,
            {"TRAIN__CHECKPOINT_TYPE": "caffe2", "TEST__ENABLE": False},
            "TRAIN.CHECKPOINT_TYPE is 'caffe2', which training does not read; training with --harness slowfast does",
        ),
        (
            TRAINING,
            {"DATA__USE_OFFSET_SAMPLING": True},
            "DATA.USE_OFFSET_SAMPLING is True, which neither ",
        ),
        (
            TRAINING,
            {"RESNET__ZERO_INIT_FINAL_BN": False},
            "RESNET.ZERO_INIT_FINAL_BN is False, which neither",
        ),
        (
            TRAINING,
            {"TENSORBOARD__CLASS_NAMES_PATH": "c.json"},
            "TENSORBOARD.CLASS_NAMES_PATH is 'c.json', ",
        ),
        (
            TRAINING,
            {"X3D__SCALE_RES2": True},
            "X3D.SCALE_RES2 is True, which neither training nor a test reads; ",
        ),
        (TRAINING, {"MODEL__ARCH": "mvit"}, "MODEL.ARCH is 'mvit', which neither training nor"),
    ],
)
def test_a_key_that_no_job_reads_is_refused_with_what_does(name, changes, message):
    with pytest.raises(ConfigError) as raised:
        load(name, **changes)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_recipe_that_sets_a_key_for_nothing_is_told_once_by_name(recwarn):
    load("autox3d/X3D_S.yaml", DATA__DECODING_BACKEND="torchvision", DATA__DECODING_SHORT_SIZE=320)
    assert [str(warning.message).partition(":")[0] for warning in recwarn] == [
        "DATA.DECODING_BACKEND 'torchvision' has no effect",
        "DATA.DECODING_SHORT_SIZE 320 has no effect",
    ]


def test_a_value_that_says_what_is_done_anyway_passes(recwarn):
    load(TRAINING, AUG__COLOR_JITTER=None, MODEL__ARCH="slowfast", DATA__INPUT_CHANNEL_NUM=[3, 3])
    load(SEARCHING, TRAIN__ENABLE=False)
    assert not recwarn


def test_what_a_search_without_a_recipe_hands_on_is_read(recwarn):
    with pytest.raises(ConfigError, match=r"SOLVER\.MAX_EPOCH"):
        load(SEARCHING, SOLVER__MAX_EPOCH=5)
    load(SEARCHING, SEARCH__RETRAIN_CFG="", SOLVER__MAX_EPOCH=5, TRAIN__EVAL_PERIOD=2)
    assert not recwarn


def test_the_job_that_is_switched_off_may_keep_its_keys_and_one_line_names_them(recwarn):
    testing = load(TRAINING, TRAIN__ENABLE=False, SOLVER__CLIP_GRAD_VAL=1.0)
    assert idle_keys(testing, get_cfg()) == (
        "TRAIN.ENABLE is False, so these keys are not read: BN.USE_PRECISE_STATS, SOLVER.BASE_LR, SOLVER.WEIGHT_DECAY, "
        "SOLVER.WARMUP_EPOCHS, SOLVER.BASE_LR_SCALE_NUM_SHARDS, SOLVER.CLIP_GRAD_VAL, AUTOX3D.AUTO_AUGMENT"
    )
    training = load(TRAINING, TEST__ENABLE=False)
    assert idle_keys(training, get_cfg()) == "TEST.ENABLE is False, so these keys are not read: TEST.BATCH_SIZE"
    assert idle_keys(load(TRAINING), get_cfg()) == idle_keys(load(SEARCHING), get_cfg()) == ""
    assert not recwarn


def test_under_pyslowfast_other_jobs_read_other_keys():
    cfg = get_cfg()
    cfg.AUTOX3D.AUTOCAST = "float16"  # what PySlowFast does
    assert check_read(cfg, get_cfg(), slowfast=True) == []
    cfg.MODEL.HEAD_ACT = "sigmoid"
    assert check_read(cfg, get_cfg(), slowfast=True) == []
    cfg.AUTOX3D.GRAD_ACCUMULATION = 2
    with pytest.raises(ConfigError) as raised:
        check_read(cfg, get_cfg(), slowfast=True)
    assert str(raised.value) == (
        "AUTOX3D.GRAD_ACCUMULATION is 2, which neither training nor a test reads; a search and training with --harness "
        "native do"
    )
    cfg.SEARCH.ENABLE = True
    assert check_read(cfg, get_cfg(), slowfast=True) == []


def test_a_config_without_a_job_says_nothing_to_anyone():
    cfg = get_cfg()
    cfg.TRAIN.ENABLE = cfg.TEST.ENABLE = False
    cfg.SEARCH.BEST_OF = 3
    assert check_read(cfg, get_cfg()) == []
