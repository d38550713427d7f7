import numpy as np
import pytest

from pytorchvideo_autox3d.nasbench.table import Table
from pytorchvideo_autox3d.space import space_from_dict

SPACE = space_from_dict(
    {
        "name": "tiny",
        "stem": {"channels": 8},
        "head": {"channels": 16, "hidden": 16},
        "groups": [
            {"channels": [8, 16], "kernels": [[1, 3], [3, 3]], "expansions": [1.5, 3.0], "attentions": ["none"],
             "blocks": 1, "stride": 2},
            {"channels": [16], "kernels": [[3, 3]], "expansions": [2.0], "attentions": ["none", "glore"],
             "blocks": 1, "stride": 2},
        ],
    }
)  # fmt: skip


def build_table(**changes):
    """16 networks, 3 seeds, tests after 2 and 4 epochs; network n has 10 n + seed videos right, half of that before."""
    right = 10 * np.arange(16)[:, None] + np.arange(3)[None]
    right = np.stack([right // 2, right], axis=2).astype(np.int16)
    values = {
        "space": SPACE,
        "card": {
            "videos": {"train": 100, "val": 400, "test": 200},
            "clip": [4, 16, 16],
            "num_classes": 4,
            "recipe": {"batch_size": 2},
        },
        "seeds_S": np.arange(3),
        "epochs_E": np.array([2, 4]),
        "val_right_NSE": 2 * right,
        "test_right_NSE": right,
        "val_loss_NSE": np.full((16, 3, 2), 0.5, np.float32),
        "test_loss_NSE": np.full((16, 3, 2), 0.25, np.float32),
        "seconds_NS": np.full((16, 3), 8.0, np.float32),
        "macs_N": 1000 + np.arange(16),
        "params_N": 50 + np.arange(16),
        "milliseconds_N": np.full(16, np.nan, np.float32),
    }
    return Table(**{**values, **changes})


@pytest.fixture
def space():
    return SPACE


@pytest.fixture
def make_table():
    return build_table


@pytest.fixture
def table():
    return build_table()
