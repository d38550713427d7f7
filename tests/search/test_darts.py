import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.engine import Runtime
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Budget, Budgets, DartsSearch, SearchBatch, SearchSettings, cost_table
from pytorchvideo_autox3d.search.batch_statistics import batch_statistics
from pytorchvideo_autox3d.space import Architecture, load_space
from pytorchvideo_autox3d.supernet.mixture import mixture_logits

LOOP = SimpleNamespace(epoch=0, step_in_epoch=0, steps_per_epoch=1)
LATER = SimpleNamespace(epoch=1, step_in_epoch=0, steps_per_epoch=1)


def make_step(pair, *, budgets=(), **values) -> DartsSearch:
    supernet, policy = pair
    return DartsSearch(
        supernet.train(),
        policy,
        optimizer=torch.optim.SGD(supernet.parameters(), lr=0.1),
        policy_optimizer=torch.optim.SGD(policy.parameters(), lr=1.0),
        budgets=Budgets(cost_table(supernet), budgets),
        settings=SearchSettings(epochs=4, warmup_epochs=1, **values),
        runtime=Runtime(device=torch.device("cpu"), preprocess=lambda clip: clip, channels_last=False),
    )


def first_batch(make_loader, seed: int = 0):
    return next(iter(make_loader(batches=1, seed=seed)))


def mean_cost(step, policy) -> float:
    """By enumeration, in GFLOPs."""
    space = policy.space
    rows = itertools.product(*(range(len(decision.candidates)) for decision in space.decisions))
    every = [Architecture.from_indices(space, row) for row in rows]
    shares = [float(policy.log_probability(one).exp().detach()) for one in every]
    return sum(p * step.budgets.cost_of(one)["gflops"] for p, one in zip(shares, every, strict=True))


def test_alpha_descends_the_loss_of_the_mixture_and_the_expected_cost(make_pair, make_loader):
    supernet, policy = make_pair()
    low, high = Budgets(cost_table(supernet)).range("gflops")
    target = (3 * low + high) / 4
    step = make_step((supernet, policy), budgets=[Budget("gflops", target, 2.0)])
    batch, alpha = (
        first_batch(make_loader, 1),
        torch.randn(policy.alpha.shape, generator=torch.Generator().manual_seed(1)),
    )

    def objective(values) -> float:
        with torch.no_grad():
            policy.alpha.copy_(values)
        with batch_statistics(supernet):
            logits = mixture_logits(supernet, batch.clip_BCTHW, step._weights())
        loss = nn.functional.cross_entropy(logits.double(), batch.label_B)
        return float(loss) + 2.0 * max(0.0, mean_cost(step, policy) / target - 1.0)

    offset = 0.02
    numeric = [
        (objective(alpha + offset * unit) - objective(alpha - offset * unit)) / (2 * offset)
        for unit in torch.eye(len(alpha))
    ]
    objective(alpha)
    step([SearchBatch(first_batch(make_loader), batch)], LATER)
    torch.testing.assert_close(alpha - policy.alpha.detach(), torch.tensor(numeric), rtol=0.05, atol=2e-3)


def test_warm_up_moves_the_weights_alone_and_each_candidate_counts(make_pair, make_loader):
    supernet, policy = make_pair()
    step = make_step((supernet, policy))
    before = {name: parameter.clone() for name, parameter in supernet.named_parameters()}
    scalars = step([SearchBatch(first_batch(make_loader))], LOOP)
    assert "policy_loss" not in scalars
    assert not policy.alpha.detach().any()
    still = [name for name, p in supernet.named_parameters() if torch.equal(p, before[name])]
    # What normalisation takes away again has no gradient, and branches begin at 0 behind theirs.
    assert len(still) < len(before) / 2
    # Every candidate of both groups on the widest map, forward and backward, of 8 clips.
    cost = step.budgets.additive("gflops")
    one_clip = cost.fixed + cost.groups[0].sum() + cost.groups[1][2].sum() + cost.head[1]
    assert step.ledger.macs == pytest.approx(3 * 8 * one_clip)


def test_a_large_space_is_refused():
    with pytest.raises(SearchError, match=r"SEARCH.METHOD: darts runs all \d+ candidates of group 1 of space 'table2'"):
        DartsSearch.check_space(load_space("table2"))


def test_alpha_without_a_batch_is_an_error(make_pair, make_loader):
    with pytest.raises(SearchError, match=r"SEARCH.SHARED is False"):
        make_step(make_pair())([SearchBatch(first_batch(make_loader))], LATER)
