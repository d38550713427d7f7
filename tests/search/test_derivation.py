import itertools
from dataclasses import replace

import pytest

from pytorchvideo_autox3d.analysis import AdditiveCost
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Budget, Budgets, cost_table, derive, pareto, pareto_table
from pytorchvideo_autox3d.space import Architecture


def middle_budget(table, share: float = 0.5) -> Budget:
    low, high = Budgets(table).range("gflops")
    return Budget("gflops", low + share * (high - low))


def test_most_likely_is_checked_against_every_budget(trained):
    supernet, policy = trained
    budgets = Budgets(cost_table(supernet), [middle_budget(cost_table(supernet), 0.001)])
    derived = derive(policy, budgets=budgets, method="most_likely")
    assert derived.architecture == policy.most_likely()
    assert derived.log_probability == pytest.approx(float(policy.log_probability(derived.architecture).detach()))
    (check,) = derived.checks
    assert check.cost == derived.costs["gflops"]
    assert derived.within_budgets == check.met
    assert derived.to_dict()["budgets"][0]["met"] == check.met


def within_by_enumeration(policy, budgets) -> list[tuple[float, object]]:
    """(log-probability, architecture) of all that meet every budget, best first."""
    space = policy.space
    rows = itertools.product(*(range(len(decision.candidates)) for decision in space.decisions))
    every = (Architecture.from_indices(space, row) for row in rows)
    fitting = [one for one in every if all(check.met for check in budgets.checks(one))]
    return sorted(((float(policy.log_probability(one).detach()), one) for one in fitting), key=lambda pair: -pair[0])


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5])
def test_within_budgets_is_the_most_probable_that_meets_them(trained, share):
    supernet, policy = trained
    budgets = Budgets(cost_table(supernet), [middle_budget(cost_table(supernet), share)])
    derived = derive(policy, budgets=budgets, method="within_budgets")
    log_probability, architecture = within_by_enumeration(policy, budgets)[0]
    assert derived.architecture == architecture
    assert derived.log_probability == pytest.approx(log_probability)
    assert derived.within_budgets


def test_budgets_that_exclude_each_other_are_named(trained):
    supernet, policy = trained
    ranges = {metric: Budgets(cost_table(supernet)).range(metric) for metric in ("gflops", "params_m")}
    # The cheapest in one metric is not the cheapest in the other: a table of milliseconds says the opposite.
    macs = cost_table(supernet).additive("macs")
    upside_down = AdditiveCost(10.0, tuple(1.0 - g / g.max() for g in macs.groups), 1.0 - macs.head / macs.head.max())
    limits = [Budget("gflops", ranges["gflops"][0] * 1.001), Budget("latency_ms", upside_down.range()[0] * 1.001)]
    budgets = Budgets(cost_table(supernet), limits, latency=upside_down)
    with pytest.raises(
        SearchError, match=r"SEARCH.TARGET_GFLOPS: no network of the space is within .* GFLOPs, .* ms at"
    ):
        derive(policy, budgets=budgets, method="within_budgets")


def test_best_of_scores_the_most_probable_within_the_budgets(trained):
    supernet, policy = trained
    budgets = Budgets(cost_table(supernet), [middle_budget(cost_table(supernet))])
    scores = {}

    def score(architecture):
        scores[architecture] = float(len(scores) * 7 % 5)
        return scores[architecture]

    derived = derive(policy, budgets=budgets, method="best_of", count=6, score=score)
    assert set(scores) == {architecture for _, architecture in within_by_enumeration(policy, budgets)[:6]}
    assert derived.score == max(scores.values())
    assert scores[derived.architecture] == derived.score


def test_measured_milliseconds_are_held_against_the_target(trained):
    supernet, policy = trained
    latency = cost_table(supernet).additive("macs")
    target = sum(latency.range()) / 2
    budgets = Budgets(cost_table(supernet), [Budget("latency_ms", target)], latency=latency)
    derived = derive(policy, budgets=budgets, method="within_budgets")
    assert derived.measured_check is None
    assert derived.costs["latency_ms"] <= target
    slow = replace(derived, measured_ms=1.1 * target)
    assert not slow.measured_check.met
    assert "MISSED" in str(slow.measured_check)
    assert "(+10.0%)" in str(slow.measured_check)
    assert slow.to_dict()["measured_ms"] == 1.1 * target
    assert "measured" in pareto_table([slow])


def test_best_of_errors(trained):
    supernet, policy = trained
    budgets = Budgets(cost_table(supernet))
    with pytest.raises(SearchError, match=r"SEARCH.DERIVE: 'best' is none of most_likely, within_budgets, best_of"):
        derive(policy, budgets=budgets, method="best")
    with pytest.raises(SearchError, match="needs a validation score"):
        derive(policy, budgets=budgets, method="best_of")
    with pytest.raises(SearchError, match=r"SEARCH.BEST_OF: 0 is below 1"):
        derive(policy, budgets=budgets, method="best_of", count=0, score=lambda _: 0.0)


def test_pareto_gives_one_architecture_a_target(trained):
    supernet, policy = trained
    budgets = Budgets(cost_table(supernet))
    low, high = budgets.range("gflops")
    targets = [low + share * (high - low) for share in (0.2, 0.5, 0.9)]
    rows = pareto(policy, budgets=budgets, targets=targets)
    assert all(row.within_budgets for row in rows)
    assert rows[0].log_probability <= rows[-1].log_probability
    for row, target in zip(rows, targets, strict=True):
        assert row.checks[0].target == target
        assert row.architecture == within_by_enumeration(policy, budgets.with_target("gflops", target))[0][1]
    assert len(pareto_table(rows).splitlines()) == 4
    scored = pareto(policy, budgets=budgets, targets=targets[-1:], count=5, score=lambda a: float(a.groups[0].channels))
    assert scored[0].score is not None
