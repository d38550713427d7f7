"""Values that only make sense beside others."""

import pytest

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.errors import ConfigError


def load(*opts):
    return load_cfg(config_path("autox3d/S.yaml"), [str(opt) for opt in opts])


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (("BN.NORM_TYPE", "sync_batchnorm_apex"), "BN.NORM_TYPE is 'sync_batchnorm_apex', expected one of"),
        (
            ("BN.NORM_TYPE", "sub_batchnorm", "BN.NUM_SPLITS", 3),
            "BN.NUM_SPLITS is 3, expected a divisor of TRAIN.BATCH_SIZE",
        ),
        (("BN.NORM_TYPE", "sync_batchnorm"), "expected beside it BN.GLOBAL_SYNC True or BN.NUM_SYNC_DEVICES above 1"),
        (("BN.NUM_SPLITS", 0), "BN.NUM_SPLITS is 0, expected 1 or more"),
        (
            ("BN.NORM_TYPE", "sync_batchnorm", "BN.GLOBAL_SYNC", True, "SEARCH.ENABLE", True),
            "BN.NORM_TYPE is 'sync_batchnorm', expected batchnorm with SEARCH.ENABLE",
        ),
    ],
)
def test_normalisation_that_goes_with_nothing_is_refused(opts, message):
    with pytest.raises(ConfigError) as caught:
        load(*opts)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "opts",
    [
        ("BN.NORM_TYPE", "sub_batchnorm", "BN.NUM_SPLITS", 4),
        ("BN.NORM_TYPE", "sync_batchnorm", "BN.NUM_SYNC_DEVICES", 2),
        ("BN.NORM_TYPE", "sync_batchnorm", "BN.GLOBAL_SYNC", True),
    ],
)
def test_normalisation_that_goes_is_taken(opts):
    assert opts[1] == load(*opts).BN.NORM_TYPE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["AUTOX3D.LABEL_SMOOTHING", 1.5], r"^AUTOX3D\.LABEL_SMOOTHING is 1\.5, expected in \[0, 1\)"),
        (["AUTOX3D.LABEL_SMOOTHING", -0.1], r"^AUTOX3D\.LABEL_SMOOTHING is -0\.1, expected"),
        (
            ["SEARCH.POLICY_WEIGHT_DECAY", -1.0],
            r"^SEARCH\.POLICY_WEIGHT_DECAY is -1\.0, expected 0 or more, and finite",
        ),
        (["SEARCH.COST_WEIGHT", "1e999"], r"^SEARCH\.COST_WEIGHT is inf, expected 0 or more, and finite"),
        (["DATA.STD", [0.2, 0, 0.2]], r"^DATA\.STD is \[0\.2, 0, 0\.2\], expected numbers above 0"),
    ],
)
def test_numbers_out_of_range_name_their_key(options, message):
    with pytest.raises(ConfigError, match=message):
        load(*options)


@pytest.mark.parametrize("key", ["POLICY_WEIGHT_DECAY", "COST_WEIGHT", "PARAMS_WEIGHT"])
@pytest.mark.parametrize(("written", "value"), [(".nan", "nan"), (".inf", "inf")])
def test_a_number_that_is_not_finite_is_refused_from_a_yaml_too(tmp_path, key, written, value):
    path = tmp_path / "search.yaml"
    path.write_text(f"SEARCH:\n  ENABLE: True\n  {key}: {written}\n")
    with pytest.raises(ConfigError, match=f"SEARCH.{key} is {value}, expected 0 or more, and finite"):
        load_cfg(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["AUTOX3D.MODALITY", "depth"], "AUTOX3D.MODALITY is 'depth', expected one of rgb, flow, rgb"),
        (
            ["AUTOX3D.MODALITY", "flow", "AUTOX3D.AUTO_AUGMENT", ""],
            r"DATA.MEAN is \[0.45, 0.45, 0.45\], expected 2 numbers, for AUTOX3D.MODALITY",
        ),
        (["DATA.STD", [0.2, 0.2]], r"DATA.STD is \[0.2, 0.2\], expected 3 numbers"),
        (["AUTOX3D.MODALITY", "flow", "SEARCH.ENABLE", True], "a search .* is over networks of rgb"),
        (["AUTOX3D.MODALITY", "flow", "AUTOX3D.AUTO_AUGMENT", "imagenet"], "AUTOX3D.AUTO_AUGMENT is 'imagenet', but"),
    ],
)
def test_flow_and_what_goes_with_it(options, message):
    with pytest.raises(ConfigError, match=message):
        load(*options)


@pytest.mark.parametrize(
    ("key", "value"),
    [("RNG_SEED", 10**20), ("OUTPUT_DIR", "a\0b"), ("OUTPUT_DIR", ""), ("OUTPUT_DIR", "s3://bucket/out")],
)
def test_values_that_torch_or_the_system_would_not_take(key, value):
    with pytest.raises(ConfigError, match=f"^{key} is "):
        load(key, value)
