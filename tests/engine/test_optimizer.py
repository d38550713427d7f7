import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.engine import build_optimizer, clip_gradients, parameter_groups, set_lr
from pytorchvideo_autox3d.errors import ConfigError


def model():
    return nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Linear(4, 2))


def decays(net, **settings):
    groups = parameter_groups(net, weight_decay=0.1, **settings)
    by_id = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    return {name: by_id.get(id(p)) for name, p in net.named_parameters()}


def test_no_decay_on_norms_and_biases():
    expected = {"0.weight": 0.1, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0, "2.weight": 0.1, "2.bias": 0.0}
    assert decays(model()) == expected


def test_pyslowfast_switches():
    found = decays(model(), bn_weight_decay=0.01, zero_wd_1d_param=False)
    assert found == {
        "0.weight": 0.1,
        "0.bias": 0.1,
        "1.weight": 0.01,
        "1.bias": 0.01,
        "2.weight": 0.1,
        "2.bias": 0.1,
    }


def test_frozen_and_shared_parameters():
    net = model()
    net[0].weight.requires_grad_(False)
    tied = nn.Sequential(net, net[2])
    groups = parameter_groups(tied, weight_decay=0.1)
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len(set(listed)) == 5


def test_nesterov_step_by_hand():
    # v1 = g1, step g1 + m v1; v2 = m v1 + g2, step g2 + m v2 (torch's form), here with g = w and decay 0.
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    optimizer = build_optimizer(net, base_lr=0.1, momentum=0.9, weight_decay=0.0)
    w, v = 1.0, 0.0
    for _ in range(3):
        optimizer.zero_grad()
        (0.5 * net.weight.square()).sum().backward()
        optimizer.step()
        v = 0.9 * v + w
        w -= 0.1 * (w + 0.9 * v)
        assert net.weight.item() == pytest.approx(w, rel=1e-6)


@pytest.mark.parametrize(("method", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam_and_adamw(method, kind):
    optimizer = build_optimizer(model(), method=method, base_lr=0.02, betas=(0.8, 0.9), weight_decay=0.05)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == [0.0, 0.0, 0.05]


def test_set_lr_respects_a_group_scale():
    optimizer = build_optimizer(model(), base_lr=1.0)
    optimizer.param_groups[1]["lr_scale"] = 0.5
    set_lr(optimizer, 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.1, 0.2]


def test_clipping():
    net = nn.Linear(2, 1, bias=False)
    gradient = torch.tensor([[3.0, -4.0]])
    for settings, expected in [
        ({}, [[3.0, -4.0]]),
        ({"max_norm": 1.0}, [[0.6, -0.8]]),
        ({"max_value": 2.0}, [[2.0, -2.0]]),
    ]:
        net.weight.grad = gradient.clone()
        assert clip_gradients(net.parameters(), **settings).item() == 5.0
        torch.testing.assert_close(net.weight.grad, torch.tensor(expected))
    with pytest.raises(ConfigError, match="exclude"):
        clip_gradients(net.parameters(), max_norm=1.0, max_value=1.0)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"method": "lion"}, "SOLVER.OPTIMIZING_METHOD"),
        ({"momentum": 0.0}, "SOLVER.NESTEROV"),
        ({"method": "muon", "momentum": 0.0}, "SOLVER.NESTEROV"),
        ({"method": "muon", "momentum": -0.1, "nesterov": False}, "SOLVER.MOMENTUM"),
    ],
)
def test_bad_settings_name_the_key(settings, key):
    with pytest.raises(ConfigError, match=key):
        build_optimizer(model(), base_lr=0.1, **settings)
