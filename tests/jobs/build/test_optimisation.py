import pytest
import torch

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs import build


def cfg_of(*opts, file="autox3d/S.yaml"):
    return load_cfg(config_path(file), list(opts))


def test_slow_bfloat16_is_said(caplog, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    for file_options, said in (([], False), (["TRAIN.MIXED_PRECISION", True], True)):
        runtime = build.build_runtime(cfg_of(*file_options), torch.device("cpu"))
        assert runtime.precision.name == ("bf16" if said else "fp32")
        assert ("float32 is faster here" in caplog.text) is said


def test_rates_scale_with_machines_where_the_recipe_says_so():
    cfg = cfg_of()
    peak = max(build.build_schedule(cfg)(step / 1000) for step in range(1000))
    of_eight = max(build.build_schedule(cfg, num_machines=8)(step / 1000) for step in range(1000))
    assert of_eight == pytest.approx(8 * peak)
    # The paper's 0.4 for 64 GPUs (section 5.1.2), a little less where the warm-up meets the cosine at epoch 34.
    assert of_eight == pytest.approx(0.4, rel=0.05)


def test_rates_scale_from_a_base_batch_and_the_effective_one_is_said(caplog):
    keys = ("TRAIN.BATCH_SIZE", 16, "AUTOX3D.GRAD_ACCUMULATION", 2, "SOLVER.BASE_LR", 0.1, "SOLVER.WARMUP_EPOCHS", 0,
            "SOLVER.BASE_LR_SCALE_NUM_SHARDS", False)  # fmt: skip
    cfg = cfg_of(*keys, "AUTOX3D.BASE_BATCH_SIZE", 64)
    # 16 clips, 3 machines, 2 batches an update: 96 clips, one and a half times 64.
    assert build.build_schedule(cfg, num_machines=3)(0.0) == pytest.approx(0.15)
    assert build.build_schedule(cfg_of(*keys), num_machines=3)(0.0) == pytest.approx(0.1)
    with caplog.at_level("INFO", logger="pytorchvideo_autox3d"):
        build.log_learning_rate(cfg, num_machines=3)
    assert "base learning rate 0.15 for updates of 96 clips (SOLVER.BASE_LR 0.1 times 1.5)" in caplog.text
    both = cfg_of(*keys, "AUTOX3D.BASE_BATCH_SIZE", 64, "SOLVER.BASE_LR_SCALE_NUM_SHARDS", True)
    with pytest.raises(ConfigError, match="both scale the learning rate"):
        build.build_schedule(both)


def test_settings_follow_the_keys():
    cfg = cfg_of(
        "TRAIN.MIXED_PRECISION", True, "AUTOX3D.AUTOCAST", "float16", "SOLVER.CLIP_GRAD_L2NORM", 1.5,
        "AUTOX3D.GRAD_ACCUMULATION", 3, "BN.USE_PRECISE_STATS", False,
    )  # fmt: skip
    settings = build.build_train_settings(cfg)
    assert (build.precision_of(cfg), settings.clip_norm, settings.accumulation) == ("fp16", 1.5, 3)
    assert settings.precise_bn_batches == 0
    assert settings.tensorboard_dir is None


@pytest.mark.parametrize(
    ("function", "opts", "said"),
    [
        (build.precision_of, ["AUTOX3D.AUTOCAST", "half"], "AUTOX3D.AUTOCAST"),
        (build.build_loss, ["MODEL.LOSS_FUNC", "mse"], "MODEL.LOSS_FUNC"),
        (build.build_schedule, ["SOLVER.LR_POLICY", "steps_with_relative_lrs"], "SOLVER.STEPS is empty, expected with"),
        (lambda cfg: build.build_dataset(cfg, "train"), [], "DATA.PATH_TO_DATA_DIR is empty"),
    ],
)
def test_a_wrong_value_names_its_key(function, opts, said):
    with pytest.raises(ConfigError, match=said):
        function(cfg_of(*opts))
