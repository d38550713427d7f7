"""Which settings go with which method."""

import pytest

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import DartsSearch, OneShotSearch, ParsecSearch, SearchSettings

LEARNING, SAMPLING = (ParsecSearch, DartsSearch), (ParsecSearch, OneShotSearch)
AFTER = {"sandwich_after_warmup": True, "sandwich": True}


def mixed(clip_BCTHW, label_B):
    return clip_BCTHW, label_B


@pytest.mark.parametrize("method", LEARNING)
def test_a_policy_must_have_an_epoch_to_learn_in(method):
    method.check_settings(SearchSettings(epochs=5, warmup_epochs=4))
    with pytest.raises(SearchError, match=r"^SEARCH.WARMUP_EPOCHS: 5 is outside \[0, SEARCH.EPOCHS\) = \[0, 5\)"):
        method.check_settings(SearchSettings(epochs=5, warmup_epochs=5))


def test_a_search_without_a_policy_has_no_warm_up_to_end():
    OneShotSearch.check_settings(SearchSettings(epochs=5, warmup_epochs=7))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_samples": 1}, "NUM_SAMPLES: 1 is too few: alpha learns from 2 draws or more a step$"),
        ({"num_samples": 1, "control_variate": False}, "NUM_SAMPLES: 1 is too few"),
        ({"adaptive_samples": True, "min_samples": 1}, "MIN_SAMPLES: 1 is too few"),
        ({"num_samples": 2, "shared": True, **AFTER}, "NUM_SAMPLES: 2 is too few: .* beside the 1 of the sandwich$"),
        ({"num_samples": 3, "shared": True, **AFTER, "sandwich_narrowest": True}, "NUM_SAMPLES: 3 .* beside the 2 of"),
        ({"adaptive_samples": True, "min_samples": 2, "shared": True, **AFTER}, "MIN_SAMPLES: 2 .* beside the 1 of"),
    ],
)
def test_alpha_learns_nothing_from_one_draw(values, message):
    settings = SearchSettings(**values)
    with pytest.raises(SearchError, match=f"^SEARCH.{message}"):
        ParsecSearch.check_settings(settings)
    # The others draw nothing that alpha learns from.
    OneShotSearch.check_settings(settings)
    DartsSearch.check_settings(settings)


@pytest.mark.parametrize(
    "values",
    [
        {"num_samples": 2},
        {"num_samples": 2, "warmup_samples": 1},
        {"num_samples": 2, **AFTER},  # alpha has samples of its own, without a sandwich
        {"num_samples": 2, "shared": True, "sandwich": True},
        {"num_samples": 3, "shared": True, **AFTER},
        {"num_samples": 4, "shared": True, **AFTER, "sandwich_narrowest": True},
        {"adaptive_samples": True, "min_samples": 2},
    ],
)
def test_two_draws_suffice(values):
    ParsecSearch.check_settings(SearchSettings(**values))


@pytest.mark.parametrize(
    ("method", "values", "mix"),
    [
        (DartsSearch, {}, None),
        (ParsecSearch, {"distill": True, "sandwich": True}, None),
        *((method, {}, mixed) for method in SAMPLING),
    ],
)
def test_samples_are_spread_only_where_they_are_independent(method, values, mix):
    method.check_settings(SearchSettings(spread="clips", **values), mix=mix)
    with pytest.raises(SearchError, match=r"^SEARCH\.SPREAD: 'samples' goes with methods that draw samples"):
        method.check_settings(SearchSettings(spread="samples", **values), mix=mix)


@pytest.mark.parametrize("method", SAMPLING)
def test_independent_samples_may_be_spread(method):
    method.check_settings(SearchSettings(spread="samples"))
