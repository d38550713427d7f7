import pytest

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs import build


def cfg_of(*opts, file="autox3d/S.yaml"):
    return load_cfg(config_path(file), list(opts))


def test_augmentation_under_pyslowfasts_names(tmp_path):
    assert build.build_mix(cfg_of()) is None
    mix = build.build_mix(cfg_of("MIXUP.ENABLE", True, "MIXUP.PROB", 0.3, "MODEL.NUM_CLASSES", 7))
    assert (mix.num_classes, mix.prob, mix.label_smoothing) == (7, 0.3, 0.1)
    with pytest.raises(ConfigError, match=r"AUTOX3D\.LABEL_SMOOTHING: with MIXUP\.ENABLE"):
        build.build_mix(cfg_of("MIXUP.ENABLE", True, "AUTOX3D.LABEL_SMOOTHING", 0.1))
    (tmp_path / "train.csv").write_text("a.mp4 0\n")
    data = ["DATA.PATH_TO_DATA_DIR", str(tmp_path), "AUG.ENABLE", True]
    with pytest.raises(ConfigError, match=r"AUTOX3D\.AUTO_AUGMENT and AUG\.AA_TYPE"):
        build.build_dataset(cfg_of(*data, "AUTOX3D.AUTO_AUGMENT", "imagenet"), "train")
    assert build.build_dataset(cfg_of(*data, "AUTOX3D.AUTO_AUGMENT", ""), "train").num_videos == 1


def test_what_a_bad_video_means():
    assert build.build_fault_policy(cfg_of(), "train", 1000).action == "skip"
    assert build.build_fault_policy(cfg_of(), "val", 1000).limit == 10
    assert build.build_fault_policy(cfg_of(), "test", 1000).action == "error"
    with pytest.raises(ConfigError, match=r"AUTOX3D\.BAD_VIDEO_TEST: 'ignore'"):
        build.build_fault_policy(cfg_of("AUTOX3D.BAD_VIDEO_TEST", "ignore"), "test", 10)
    with pytest.raises(ConfigError, match=r"AUTOX3D\.BAD_VIDEO_LIMIT: 2\.0 is no share"):
        build.build_fault_policy(cfg_of("AUTOX3D.BAD_VIDEO_LIMIT", 2.0), "train", 10)
