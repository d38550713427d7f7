import pytest

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import SearchSettings


def test_defaults_are_the_papers():
    settings = SearchSettings()
    assert (settings.num_samples, settings.epochs, settings.warmup_epochs) == (13, 600, 200)
    assert (settings.policy_lr, settings.policy_weight_decay) == (0.02, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_samples": 0}, "SEARCH.NUM_SAMPLES: 0 is below 1"),
        ({"epochs": 0}, "SEARCH.EPOCHS: 0 is below 1"),
        ({"warmup_epochs": -1}, "SEARCH.WARMUP_EPOCHS: -1 is below 0"),
        ({"warmup_samples": -1}, "SEARCH.WARMUP_SAMPLES: -1 is below 0"),
        ({"adaptive_samples": True, "min_samples": 14}, "SEARCH.MIN_SAMPLES: 14 is above SEARCH.NUM_SAMPLES 13"),
        ({"likelihood": "median"}, "SEARCH.LIKELIHOOD: 'median' is none of mean, sum"),
        ({"temperature": 0.0}, "SEARCH.TEMPERATURE: 0.0 is not above 0"),
        ({"policy_lr": float("nan")}, "SEARCH.POLICY_LR: nan"),
        ({"policy_weight_decay": -1.0}, "SEARCH.POLICY_WEIGHT_DECAY: -1.0 is negative or not finite"),
        ({"policy_weight_decay": float("nan")}, "SEARCH.POLICY_WEIGHT_DECAY: nan is"),
        ({"policy_weight_decay": float("inf")}, "SEARCH.POLICY_WEIGHT_DECAY: inf is"),
        ({"cost_term": "square"}, "SEARCH.COST_TERM: 'square' is none of hinge, lagrangian"),
        ({"distill": True}, "SEARCH.DISTILL: needs SEARCH.SANDWICH"),
        ({"sandwich": True, "sandwich_narrowest": True, "warmup_samples": 1}, "WARMUP_SAMPLES: 1 samples are fewer"),
        (
            {"sandwich_after_warmup": True, "sandwich_narrowest": True, "num_samples": 1},
            "NUM_SAMPLES: 1 samples are fewer",
        ),
    ],
)
def test_bad_values_name_the_key(values, message):
    with pytest.raises(SearchError, match=message):
        SearchSettings(**values)
