import math

import pytest
import torch

from pytorchvideo_autox3d.search import Policy, SearchSettings, decision_report


@pytest.fixture
def policy(space):
    return Policy(space=space)


def test_a_decided_policy_says_nothing(policy):
    with torch.no_grad():
        policy.alpha[0::2] += 6.0
        policy.alpha[torch.tensor(policy.sizes).cumsum(0) - 1] += 12.0
    assert decision_report(policy, [{"alpha_snr": 0.01}], SearchSettings()) == []


def test_an_undecided_one_says_how_far_it_is_and_what_to_change(policy):
    history = [{"alpha_snr": 0.5}, {"alpha_snr": 0.05, "samples": 13.0}]
    lines = decision_report(policy, history, SearchSettings(control_variate=False, likelihood="sum"))
    highest = math.log(policy.space.size)
    assert f"NOT decided: {highest:.2f} of {highest:.2f} nats" in lines[0]
    assert "signal to noise 0.050 a step; 400 steps" in lines[1]
    for change in ("CONTROL_VARIATE True", "BATCH_SIZE", "LIKELIHOOD mean", "NUM_SAMPLES 13", "the 400 after"):
        assert change in lines[2]


def test_only_what_is_not_set_is_advised(policy):
    history = [{"alpha_snr": 0.0, "samples": 13.0}]
    lines = decision_report(policy, history, SearchSettings())
    assert "no signal is seen" in lines[1]
    assert "CONTROL_VARIATE" not in lines[2]
    assert "LIKELIHOOD" not in lines[2]
    assert "DERIVE best_of" in lines[2]
    assert "DERIVE" not in decision_report(policy, history, SearchSettings(), scored=True)[2]
    lines = decision_report(policy, [{}], SearchSettings(control_variate=False))  # a mixture has no samples
    assert len(lines) == 2
    assert "NUM_SAMPLES" not in lines[1]
