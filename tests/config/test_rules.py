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
