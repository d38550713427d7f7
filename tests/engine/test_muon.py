import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytorchvideo_autox3d.engine import build_optimizer, set_lr
from pytorchvideo_autox3d.engine.muon import MATRIX_LR_SCALE, Muon, is_matrix, orthogonalized


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(1, 40), seed=st.integers(0, 99))
def test_singular_values_of_about_one_and_the_same_vectors(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, rows, generator=generator, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=torch.float64))
    rank = min(rows, columns)
    values = torch.linspace(1.0, 3.0, rank, dtype=torch.float64)
    found = orthogonalized(left[:, :rank] @ values.diag() @ right[:, :rank].T)
    inside = left[:, :rank].T @ found @ right[:, :rank]
    assert ((inside.diagonal() > 0.6) & (inside.diagonal() < 1.3)).all()
    torch.testing.assert_close(inside, inside.diagonal().diag(), rtol=0, atol=1e-9)
    torch.testing.assert_close(found.norm(), inside.norm())


def test_rows_without_a_gradient_stay_as_they_are():
    matrix = torch.randn(6, 4)
    matrix[4:] = 0
    assert (orthogonalized(matrix)[4:] == 0).all()
    assert (orthogonalized(torch.zeros(3, 5)) == 0).all()


def test_what_is_a_matrix():
    assert is_matrix(nn.Conv3d(4, 8, 1).weight)
    assert is_matrix(nn.Conv1d(4, 8, 1).weight)
    assert is_matrix(nn.Linear(4, 8).weight)
    for other in (nn.Conv3d(4, 8, (1, 3, 3)).weight, nn.Conv3d(8, 8, 1, groups=8).weight, nn.BatchNorm3d(4).weight):
        assert not is_matrix(other)


def steps(optimizer, parameter, gradients):
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_a_matrix_is_stepped_as_by_torch(shape, nesterov):
    # torch's keeps the momentum at another scale, which the orthogonalisation takes out, and computes in bfloat16.
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), torch.randn(3, *shape)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    steps(Muon([{"params": [ours], "orthogonal": True}], lr=0.1, nesterov=nesterov), ours, gradients)
    steps(torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0, momentum=0.9, nesterov=nesterov), theirs, gradients)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02)
    assert (ours - start).abs().max() > 0.1


def test_a_convolution_of_one_tap_is_the_same_matrix():
    torch.manual_seed(0)
    flat, gradients = torch.randn(6, 4), torch.randn(3, 6, 4)
    linear, conv = nn.Parameter(flat.clone()), nn.Parameter(flat.clone()[..., None, None, None])
    steps(Muon([{"params": [linear], "orthogonal": True, "weight_decay": 0.5}], lr=0.1), linear, gradients)
    grown = gradients[..., None, None, None]
    steps(Muon([{"params": [conv], "orthogonal": True, "weight_decay": 0.5}], lr=0.1), conv, grown)
    torch.testing.assert_close(conv.flatten(1), linear)


def test_weight_decay_of_a_matrix_is_decoupled():
    weight = nn.Parameter(torch.ones(2, 2))
    steps(Muon([{"params": [weight], "orthogonal": True, "weight_decay": 0.5}], lr=0.1), weight, torch.zeros(2, 2, 2))
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), 0.95**2))


def test_the_rest_is_stepped_as_by_sgd():
    torch.manual_seed(0)
    start, gradients = torch.randn(5), torch.randn(4, 5)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    steps(Muon([{"params": [ours], "weight_decay": 0.1}], lr=0.2), ours, gradients)
    steps(torch.optim.SGD([theirs], lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.1), theirs, gradients)
    torch.testing.assert_close(ours, theirs)


def test_every_parameter_in_one_group_and_matrices_at_their_rate():
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Conv3d(4, 4, 3, groups=4), nn.Linear(4, 2))
    optimizer = build_optimizer(net, method="muon", base_lr=0.2, weight_decay=0.3)
    of = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    assert len(of) == sum(len(group["params"]) for group in optimizer.param_groups) == len(list(net.parameters()))
    for scheduled in (0.2, 0.4):
        set_lr(optimizer, scheduled)
        for name, parameter in net.named_parameters():
            matrix = name in ("0.weight", "3.weight")
            assert of[id(parameter)]["orthogonal"] is matrix
            assert of[id(parameter)]["lr"] == pytest.approx(scheduled * (MATRIX_LR_SCALE if matrix else 1.0))
            assert of[id(parameter)]["weight_decay"] == (0.3 if name in ("0.weight", "2.weight", "3.weight") else 0.0)


def test_goes_on_from_its_state():
    def fresh():
        torch.manual_seed(0)
        net = nn.Linear(3, 2)
        return net, build_optimizer(net, method="muon", base_lr=0.1)

    def train(net, optimizer, numbers):
        for number in numbers:
            optimizer.zero_grad()
            net(torch.full((1, 3), float(number))).square().sum().backward()
            optimizer.step()

    whole, at_once = fresh()
    train(whole, at_once, (1, 2, 3))
    stopped, before = fresh()
    train(stopped, before, (1,))
    resumed, after = fresh()
    resumed.load_state_dict(stopped.state_dict())
    after.load_state_dict(before.state_dict())
    train(resumed, after, (2, 3))
    torch.testing.assert_close(resumed.weight, whole.weight, rtol=0, atol=0)


def test_a_closure_gives_the_loss():
    net = nn.Linear(2, 2)
    optimizer = build_optimizer(net, method="muon", base_lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = net(torch.ones(1, 2)).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() > optimizer.step(closure).item()
