"""Searches over a table of losses: what each cost term and derivation must do where dearer networks are better."""

from types import SimpleNamespace

import numpy as np
import pytest

from pytorchvideo_autox3d.search import Budgets, cost_table
from pytorchvideo_autox3d.space import GroupSpec, HeadSpec, SearchSpace, StemSpec

GROUP = GroupSpec((4, 8, 12, 16), ((1, 3), (3, 3)), (1.5, 3.0), ("none",), blocks=1, stride=2)
SPACE = SearchSpace("toy", (GROUP,), StemSpec(8), HeadSpec(8, 8))


@pytest.fixture
def script(load_scripts):
    return load_scripts("nasbench_recipe", "bench_supernet", "alpha_gradient", "budget_landing")


def test_a_floor_lands_just_below_the_target(script, capsys):
    networks = script.nasbench.table.all_architectures(SPACE)
    budgets = Budgets(cost_table(script.make_supernet(SPACE, "fair")))
    macs_N = np.array([1e9 * budgets.cost_of(one)["gflops"] for one in networks])
    loss_NB = np.repeat((2.0 - macs_N / macs_N.max())[:, None], 3, axis=1)
    bench = SimpleNamespace(space=SPACE, table=SimpleNamespace(macs_N=macs_N), index=networks.index)
    rows = []
    for term in ("hinge", "lagrangian"):
        rows += script.landing(bench, loss_NB, term, 0.6, seed=0, steps=150, temperature=0.1)
    target = 1e-9 * (macs_N.min() + 0.6 * (macs_N.max() - macs_N.min()))
    within = [row["excess"] for row in rows if row["derivation"].startswith("within")]
    assert max(within) <= 1e-9
    assert any(0.95 * target <= 1e-9 * one <= target for one in macs_N)
    floored = [row for row in rows if "floor" in row["derivation"]]
    assert all(-0.05 <= row["excess"] <= 1e-9 for row in floored)
    # Nothing within the budget has a lower loss than the dearest.
    assert all(row["percentile"] > 80 for row in floored)
    script.print_table(rows)
    assert capsys.readouterr().out.count("median percentile by loss") == 6
