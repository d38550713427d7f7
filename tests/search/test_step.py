import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.engine import Runtime
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.registry import MODEL_REGISTRY, SEARCH_REGISTRY
from pytorchvideo_autox3d.search import (
    Budget,
    Budgets,
    OneShotSearch,
    ParsecSearch,
    SearchBatch,
    SearchSettings,
    cost_table,
)
from pytorchvideo_autox3d.search.batch_statistics import batch_statistics
from pytorchvideo_autox3d.space import Architecture

LOOP = SimpleNamespace(epoch=0, step_in_epoch=4, steps_per_epoch=9, files_at_fault=lambda at_fault: "")


def make_step(pair, *, budgets=(), **values) -> ParsecSearch:
    supernet, policy = pair
    settings = SearchSettings(epochs=4, warmup_epochs=0, **{"num_samples": 5, **values})
    return ParsecSearch(
        supernet.train(),
        policy,
        optimizer=torch.optim.SGD(supernet.parameters(), lr=0.1),
        policy_optimizer=torch.optim.Adam(policy.parameters(), lr=0.02),
        budgets=Budgets(cost_table(supernet), budgets),
        settings=settings,
        runtime=Runtime(device=torch.device("cpu"), preprocess=lambda clip: clip, channels_last=False),
    )


def first_batch(make_loader, seed: int = 0):
    return next(iter(make_loader(batches=1, seed=seed)))


def turned_by_one(clip_BCTHW, label_B):
    """A mix of 0.7 of each clip with 0.3 of the one before."""
    target_BK = nn.functional.one_hot(label_B, 3).float()
    return 0.7 * clip_BCTHW + 0.3 * clip_BCTHW.roll(1, 0), 0.7 * target_BK + 0.3 * target_BK.roll(1, 0)


def clip_losses(supernet, architecture, batch, mixed):
    if not mixed:
        return nn.functional.cross_entropy(supernet(batch.clip_BCTHW, architecture), batch.label_B, reduction="none")
    clip_BCTHW, target_BK = turned_by_one(batch.clip_BCTHW, batch.label_B)
    return -(target_BK * supernet(clip_BCTHW, architecture).log_softmax(1)).sum(1)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("likelihood", ["mean", "sum"])
def test_weight_gradient_is_the_two_pass_one(make_pair, make_loader, likelihood, count, mixed):
    supernet, policy = make_pair()
    for module in supernet.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    step = make_step((supernet, policy), likelihood=likelihood, temperature=2.0)
    step.optimizer.param_groups[0]["lr"] = 0.0
    step.mix = turned_by_one if mixed else None
    batches = list(make_loader(batches=2))[:count]
    batches[-1] = dataclasses.replace(
        batches[-1], clip_BCTHW=batches[-1].clip_BCTHW[:2], label_B=batches[-1].label_B[:2]
    )
    samples, _ = step.weight_step(batches, LOOP)
    got = {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}

    supernet.zero_grad()
    number = sum(len(batch.label_B) for batch in batches)
    losses = torch.stack(
        [
            sum(clip_losses(supernet, architecture, batch, mixed).sum() for batch in batches) / number
            for architecture in policy.architectures(samples.indices_KD)
        ]
    )
    scale = number if likelihood == "sum" else 1
    weights = torch.softmax(-scale * losses.detach() / 2.0, dim=0)
    (weights * losses).sum().backward()
    torch.testing.assert_close(samples.weight_K, weights.double(), rtol=1e-4, atol=1e-6)
    for name, parameter in supernet.named_parameters():
        if parameter.grad is None:
            assert name not in got
        else:
            torch.testing.assert_close(got[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("limit", [{}, {"clip_norm": 0.05}, {"clip_value": 1e-3}])
def test_cost_smoothing_and_limit_reach_the_weights(make_pair, make_loader, limit):
    """The weights' gradient from torch's own loss and clipping, and equation 2's cost in the samples' weights."""
    supernet, policy = make_pair()
    for module in supernet.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    low, _ = Budgets(cost_table(supernet)).range("gflops")
    budget = Budget("gflops", 1.01 * low, 2.0)
    step = make_step((supernet, policy), budgets=[budget], label_smoothing=0.2, **limit)
    step.optimizer.param_groups[0]["lr"] = 0.0
    batch = first_batch(make_loader)
    samples, norm = step.weight_step([batch], LOOP)
    got = {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}

    supernet.zero_grad()
    losses, costs = [], []
    for architecture in policy.architectures(samples.indices_KD):
        logits = supernet(batch.clip_BCTHW, architecture)
        losses.append(nn.functional.cross_entropy(logits, batch.label_B, label_smoothing=0.2))
        costs.append(complexity(architecture, clip=(2, 8, 8), num_classes=3).gflops)
    # Equation 2: what is over the target, as a share of it.
    over = torch.tensor([max(cost / budget.target - 1, 0.0) for cost in costs])
    losses = torch.stack(losses)
    assert over.max() > 0.1
    (torch.softmax(-losses.detach() - 2.0 * over, dim=0) * losses).sum().backward()
    parameters = [p for p in supernet.parameters() if p.grad is not None]
    total = torch.stack([p.grad.norm() for p in parameters]).norm()
    torch.testing.assert_close(norm, total, rtol=1e-3, atol=1e-6)
    if "clip_norm" in limit:
        nn.utils.clip_grad_norm_(parameters, limit["clip_norm"])
    if "clip_value" in limit:
        nn.utils.clip_grad_value_(parameters, limit["clip_value"])
    for name, parameter in supernet.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(got[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_each_sample_runs_forward_once(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy))
    calls = []
    supernet.register_forward_hook(lambda *_: calls.append(1))
    step.weight_step([first_batch(make_loader)], LOOP)
    assert len(calls) == 5
    step.policy_step([first_batch(make_loader)], LOOP)
    assert len(calls) == 10


def expected_move(samples, policy, *, least: int = 10) -> torch.Tensor:
    """By hand, of a uniform alpha: sum_k (r_k - 1/K) one-hot of sample k, by decision, r the softmax of -loss.

    Adam's first step is the rate, 0.02, in the direction of each entry's sign.
    """
    weight_K = torch.softmax(-samples.loss_K, dim=0) - 1 / len(samples.loss_K)
    rows = [
        (weight_K[:, None] * torch.nn.functional.one_hot(column, size)).sum(0)
        for column, size in zip(samples.indices_KD.T, policy.sizes, strict=True)
    ]
    gradient = torch.cat(rows)
    assert (gradient.abs() > 1e-5).sum() > least
    return 0.02 * gradient.sign() * (gradient.abs() > 1e-5)


def assert_moved(policy, expected: torch.Tensor) -> None:
    decided = expected != 0
    torch.testing.assert_close(policy.alpha.detach()[decided], expected[decided].float(), rtol=0.01, atol=0)


def test_alpha_moves_towards_the_samples_of_higher_likelihood(make_pair, make_loader):
    supernet, policy = make_pair()
    samples = make_step((supernet, policy)).policy_step([first_batch(make_loader)], LOOP)
    assert_moved(policy, expected_move(samples, policy))


def test_of_two_samples_the_better_one_gains_where_they_differ(make_pair, make_loader, monkeypatch):
    supernet, policy = make_pair()
    step = make_step((supernet, policy), num_samples=2, control_variate=True)
    first, second = torch.zeros(8, dtype=torch.int64), torch.tensor([1, 2, 1, 0, 0, 1, 1, 1])
    monkeypatch.setattr(policy, "sample_indices", lambda count, generator: torch.stack([first, second]))
    samples = step.policy_step([first_batch(make_loader)], LOOP)
    better, worse = (first, second) if samples.loss_K[0] < samples.loss_K[1] else (second, first)
    alphas = policy.alpha.detach().split(policy.sizes)
    for decision, alpha in enumerate(alphas):
        a, b = better[decision], worse[decision]
        assert a == b or alpha[a] > 0 > alpha[b]


def test_policy_step_leaves_weights_and_statistics_alone(make_pair, make_loader):
    supernet, policy = make_pair()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    make_step((supernet, policy)).policy_step([first_batch(make_loader)], LOOP)
    for name, tensor in supernet.state_dict().items():
        if "num_batches_tracked" not in name:
            assert torch.equal(tensor, before[name]), name
    assert supernet.training
    assert all(module.momentum == 0.1 for module in supernet.modules() if isinstance(module, nn.BatchNorm3d))


def test_shared_step_moves_alpha_by_the_weights_samples(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy), shared=True)
    weight_step, kept = step.weight_step, []
    step.weight_step = lambda *arguments: kept.append(weight_step(*arguments)) or kept[-1]
    scalars = step([SearchBatch(first_batch(make_loader))], LOOP)
    assert "policy_loss" not in scalars
    ((samples, _),) = kept
    assert_moved(policy, expected_move(samples, policy))


def test_warm_up_leaves_alpha_alone(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy), shared=True)
    step.settings = dataclasses.replace(step.settings, warmup_epochs=1)
    step([SearchBatch(first_batch(make_loader))], LOOP)
    assert not policy.alpha.detach().any()


def test_sandwich_puts_the_widest_into_every_step_of_the_warm_up(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy), sandwich=True)
    step.settings = dataclasses.replace(step.settings, warmup_epochs=1)
    samples, _ = step.weight_step([first_batch(make_loader)], LOOP)
    assert policy.architectures(samples.indices_KD)[0] == Architecture.widest(supernet.space)
    assert [choice.channels for choice in Architecture.widest(supernet.space).groups] == [8, 12]
    later = SimpleNamespace(epoch=1, step_in_epoch=0, steps_per_epoch=9)
    first = [step.weight_step([first_batch(make_loader)], later)[0].indices_KD[0].tolist() for _ in range(4)]
    assert any(indices != list(Architecture.widest(supernet.space).indices) for indices in first)


def test_a_sandwich_later_on_teaches_alpha_nothing(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy), sandwich_after_warmup=True, sandwich_narrowest=True, shared=True)
    weight_step, kept = step.weight_step, []
    step.weight_step = lambda *arguments: kept.append(weight_step(*arguments)) or kept[-1]
    step([SearchBatch(first_batch(make_loader))], LOOP)
    ((samples, _),) = kept
    first = policy.architectures(samples.indices_KD)[:2]
    assert first == [Architecture.widest(supernet.space), Architecture.narrowest(supernet.space)]
    drawn = dataclasses.replace(
        samples, indices_KD=samples.indices_KD[2:], loss_K=samples.loss_K[2:], weight_K=samples.weight_K[2:]
    )
    assert_moved(policy, expected_move(drawn, policy, least=5))


def test_the_others_learn_what_the_widest_says(make_pair, make_loader):
    supernet, policy = make_pair()
    for module in supernet.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    step = make_step((supernet, policy), sandwich_after_warmup=True, distill=True)
    step.optimizer.param_groups[0]["lr"] = 0.0
    batch = first_batch(make_loader)
    samples, _ = step.weight_step([batch], LOOP)
    got = {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}
    supernet.zero_grad()
    logits = [supernet(batch.clip_BCTHW, one) for one in policy.architectures(samples.indices_KD)]
    taught = logits[0].detach().softmax(1)
    losses = [-(taught * one.log_softmax(1)).sum(1).mean() for one in logits[1:]]
    losses.insert(0, nn.functional.cross_entropy(logits[0], batch.label_B))
    weights = torch.softmax(-torch.stack([nn.functional.cross_entropy(one, batch.label_B) for one in logits]), 0)
    (weights.detach() * torch.stack(losses)).sum().backward()
    for name, parameter in supernet.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(got[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_one_shot_samples_weigh_the_same_and_alpha_stays(make_pair, make_loader):
    supernet, policy = make_pair()
    parsec = make_step((supernet, policy), shared=True)
    step = OneShotSearch(
        supernet, policy, optimizer=parsec.optimizer, policy_optimizer=parsec.policy_optimizer, budgets=parsec.budgets,
        settings=parsec.settings, runtime=parsec.runtime,
    )  # fmt: skip
    samples, _ = step.weight_step([first_batch(make_loader)], LOOP)
    assert samples.weight_K.tolist() == [0.2] * 5
    step([SearchBatch(first_batch(make_loader))], LOOP)
    assert not policy.alpha.detach().any()
    costs = step.budgets.costs(samples.indices_KD)["gflops"]
    assert step.ledger.macs > 3 * 8 * costs.sum() * 1e9  # the second step's come on top
    assert SEARCH_REGISTRY.get("one_shot_evolution") is OneShotSearch


def test_what_is_spent_is_counted(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy))
    kept = [step.policy_step([first_batch(make_loader)], LOOP), step.weight_step([first_batch(make_loader)], LOOP)[0]]
    forward, both = (step.budgets.costs(samples.indices_KD)["gflops"].sum() * 1e9 for samples in kept)
    assert step.ledger.macs == pytest.approx(8 * (forward + 3 * both))


def test_warm_up_ignores_the_cost_and_has_its_own_k(make_pair, make_loader):
    supernet, policy = make_pair()
    low, _ = Budgets(cost_table(supernet)).range("gflops")
    step = make_step((supernet, policy), budgets=[Budget("gflops", 1.01 * low, 100.0)], warmup_samples=3)
    step.settings = dataclasses.replace(step.settings, warmup_epochs=1)
    samples, _ = step.weight_step([first_batch(make_loader)], LOOP)
    assert samples.weight_K.tolist() == pytest.approx(torch.softmax(-samples.loss_K, dim=0).tolist())
    assert len(samples.loss_K) == 3
    later = SimpleNamespace(epoch=1, step_in_epoch=0, steps_per_epoch=9)
    samples, _ = step.weight_step([first_batch(make_loader)], later)
    assert len(samples.loss_K) == 5
    penalty = step.budgets.penalty(samples.indices_KD)
    assert samples.weight_K.tolist() == pytest.approx(torch.softmax(-samples.loss_K - penalty, dim=0).tolist())


def test_alpha_without_a_batch_is_an_error(make_pair, make_loader):
    with pytest.raises(SearchError, match=r"SEARCH.SHARED is False"):
        make_step(make_pair())([SearchBatch(first_batch(make_loader))], LOOP)


def test_adaptive_samples_shrink(make_pair):
    supernet, policy = make_pair()
    step = make_step((supernet, policy), adaptive_samples=True)
    assert step.sample_count() == 5
    with torch.no_grad():
        policy.alpha += 30 * torch.randn(policy.alpha.shape, generator=torch.Generator().manual_seed(0))
    assert step.sample_count() == 2


def test_a_loss_that_is_not_finite_names_sample_and_step(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy))
    with torch.no_grad():
        supernet.head.proj.bias.fill_(float("nan"))
    before = supernet.stem.conv.weight.clone()
    with pytest.raises(SearchError, match=r"epoch 1, step 5 of 9: the loss of the sample \[.*/.*; .*\] is nan"):
        step.weight_step([first_batch(make_loader)], LOOP)
    assert torch.equal(supernet.stem.conv.weight, before)


def test_batch_statistics_uses_the_batch():
    norm = nn.BatchNorm3d(2).eval()
    clip = torch.randn(4, 2, 2, 4, 4) * 3 + 5
    with batch_statistics(norm):
        assert norm(clip).mean().abs() < 1e-5
    assert torch.equal(norm.running_mean, torch.zeros(2))
    assert not norm.training


def test_registered(make_pair):
    assert SEARCH_REGISTRY.get("parsec") is ParsecSearch
    net = MODEL_REGISTRY.get("AutoX3DSearch")(space="table2", model_num_class=4)
    assert net.eval()(torch.randn(1, 3, 2, 32, 32)).shape == (1, 4)
