"""Expected rates are written out, or follow PySlowFast's formula in epochs."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.engine import make_schedule
from pytorchvideo_autox3d.errors import ConfigError


def rates(schedule, epochs, max_epoch):
    return [schedule(epoch / max_epoch) for epoch in epochs]


def test_half_cosine_without_warmup():
    schedule = make_schedule(base_lr=0.4, max_epoch=4)
    expected = [0.4, 0.2 * (1 + math.sqrt(0.5)), 0.2, 0.2 * (1 - math.sqrt(0.5))]
    assert rates(schedule, range(4), 4) == pytest.approx(expected, abs=1e-12)


def test_warmup_meets_the_cosine_where_it_stands():
    # At epoch 3 of 12 the cosine is 0.5 * (1 + cos 45 deg) of the base rate; the line goes there from 0.1.
    schedule = make_schedule(base_lr=1.0, max_epoch=12, warmup_epochs=3, warmup_start_lr=0.1)
    meeting = 0.8535533905932737
    expected = [0.1, 0.1 + (meeting - 0.1) / 3, 0.1 + 2 * (meeting - 0.1) / 3, meeting, 0.75, 0.5, 0.25]
    assert rates(schedule, [0, 1, 2, 3, 4, 6, 8], 12) == pytest.approx(expected, abs=1e-12)


def test_cosine_after_warmup_and_end_rate():
    settings = {"max_epoch": 5, "warmup_epochs": 1, "warmup_start_lr": 0.01}
    schedule = make_schedule(base_lr=0.5, cosine_end_lr=0.1, cosine_after_warmup=True, **settings)
    assert rates(schedule, [0, 0.5, 1, 3, 5], 5) == pytest.approx([0.01, 0.255, 0.5, 0.3, 0.1], abs=1e-12)


def test_relative_steps_with_warmup():
    steps = {"steps": [0, 4, 6], "lrs": [1, 0.1, 0.01]}
    schedule = make_schedule(
        "steps_with_relative_lrs", base_lr=0.5, max_epoch=8, warmup_epochs=2, warmup_start_lr=0.1, **steps
    )
    found = rates(schedule, [0, 1, 2, 3.99, 4, 5.5, 6, 7.9], 8)
    assert found == pytest.approx([0.1, 0.3, 0.5, 0.5, 0.05, 0.05, 0.005, 0.005], abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(
    st.floats(0.01, 2),
    st.integers(1, 300),
    # No warm-up, or one of a share that a float still tells from none after the division by the epochs.
    st.just(0.0) | st.floats(1e-5, 0.9),
    st.floats(0, 0.5),
    st.floats(0, 0.999),
    st.booleans(),
)
def test_agrees_with_pyslowfast(base_lr, max_epoch, warmup_share, end_share, share, after):
    """PySlowFast's rule (utils/lr_policy.py) restated in epochs.

    fvcore ends the warm-up a millionth of the training early (WHERE_EPSILON), so that rounding can't prolong it.
    """
    assume(not 0 < warmup_share - share < 2e-6)
    warmup, end, epoch = warmup_share * max_epoch, end_share * base_lr, share * max_epoch

    def cosine(at):
        offset = warmup if after else 0.0
        return end + (base_lr - end) * (math.cos(math.pi * (at - offset) / (max_epoch - offset)) + 1) * 0.5

    expected = cosine(epoch)
    if epoch < warmup:
        expected = epoch * (cosine(warmup) - 0.01) / warmup + 0.01
    schedule = make_schedule(
        base_lr=base_lr,
        max_epoch=max_epoch,
        warmup_epochs=warmup,
        warmup_start_lr=0.01,
        cosine_end_lr=end,
        cosine_after_warmup=after,
    )
    assert schedule(epoch / max_epoch) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"policy": "linear"}, "SOLVER.LR_POLICY"),
        ({"warmup_epochs": 10}, "SOLVER.WARMUP_EPOCHS"),
        ({"cosine_end_lr": 0.2}, "SOLVER.COSINE_END_LR"),
        ({"policy": "steps_with_relative_lrs"}, "SOLVER.STEPS"),
        ({"policy": "steps_with_relative_lrs", "steps": [0, 5, 3], "lrs": [1, 1, 1]}, "SOLVER.STEPS"),
        ({"policy": "steps_with_relative_lrs", "steps": [0, 5], "lrs": [1]}, "SOLVER.LRS"),
    ],
)
def test_bad_settings_name_the_key(changes, key):
    with pytest.raises(ConfigError, match=key):
        make_schedule(**{"base_lr": 0.1, "max_epoch": 10, **changes})
