"""Where does a search land under its budget? PARSEC over a supernet that stays as it is, alpha alone learning.

    python projects/autox3d/budget_landing.py

The losses are those of `alpha_gradient.py`: every network of the table's space on every batch, computed once, so that
a search is seconds long. Each form of the cost term, from five seeds and for three targets, then each way of deriving
the network. Writes results/budget_landing.json: the cost against the target, the entropy left, and the rank of the
network's loss among those within the budget. Shapes: N networks, B batches, K samples, D decisions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nasbench_recipe
import numpy as np
import torch
from alpha_gradient import kept_losses
from bench_supernet import make_supernet
from rich.progress import track
from scipy.stats import kendalltau

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.search import Budget, Budgets, Policy, cost_table, derive, importance_weights
from pytorchvideo_autox3d.search.lagrangian import Lagrangian
from pytorchvideo_autox3d.search.parsec import policy_gradient

RESULTS = Path(__file__).parent / "results" / "budget_landing.json"
SEEDS, SAMPLES, RATE = range(5), 13, 0.05
# Of the range from the cheapest network to the dearest.
SHARES = (0.25, 0.5, 0.75)
DERIVATIONS: dict[str, dict[str, Any]] = {
    "most likely": {"method": "most_likely"},
    "within": {"method": "within_budgets"},
    "within, floor 0.95": {"method": "within_budgets", "floor": 0.95},
}


def main() -> None:
    """Search, print the table, keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"), help="made if not there")
    parser.add_argument("--output", type=Path, default=Path("output/nasbench/supernets"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--temperature", type=float, default=1.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = nasbench.load()
    loss_NB = kept_losses(args.output, bench.space, nasbench_recipe.load_bench(args.data))
    tau = float(kendalltau(-loss_NB.mean(axis=1), bench.table.macs_N).statistic)
    cases = [(term, share, seed) for term in ("hinge", "lagrangian") for share in SHARES for seed in SEEDS]
    rows: list[dict[str, Any]] = []
    for term, share, seed in track(cases, transient=True):
        rows += landing(bench, loss_NB, term, share, seed=seed, steps=args.steps, temperature=args.temperature)
    settings = {"steps": args.steps, "temperature": args.temperature, "samples": SAMPLES, "policy_lr": RATE}
    kept = {"tau_of_loss_and_macs": tau, **settings, "command": "projects/autox3d/budget_landing.py"}
    write_json(args.results, {**kept, "rows": rows})
    print_table(rows)


def landing(
    bench: NasBench, loss_NB: np.ndarray, term: str, share: float, *, seed: int, steps: int, temperature: float
) -> list[dict[str, Any]]:
    """One search; a row a way of deriving."""
    supernet = make_supernet(bench.space, "fair")
    low, high = Budgets(cost_table(supernet)).range("gflops")
    budgets = Budgets(cost_table(supernet), [Budget("gflops", low + share * (high - low))])
    policy = learnt_policy(bench, loss_NB, budgets, term, seed=seed, steps=steps, temperature=temperature)
    mean_N, rows = loss_NB.mean(axis=1), []
    within_N = bench.table.macs_N <= budgets.budgets[0].target * 1e9
    for name, options in DERIVATIONS.items():
        found = derive(policy, budgets=budgets, **options)
        loss = mean_N[bench.index(found.architecture)]
        rows.append({
            "term": term, "share": share, "seed": seed, "derivation": name,
            "excess": found.checks[0].cost / found.checks[0].target - 1.0,
            "entropy_left": float(policy.entropy().detach()) / float(np.log(bench.space.size)),
            "loss": float(loss), "percentile": 100.0 * float((mean_N[within_N] > loss).mean()),
        })  # fmt: skip
    return rows


def learnt_policy(
    bench: NasBench, loss_NB: np.ndarray, budgets: Budgets, term: str, *, seed: int, steps: int, temperature: float
) -> Policy:
    """Alpha after so many steps of K samples on a batch each, by Adam."""
    policy, generator = Policy(space=bench.space), torch.Generator().manual_seed(seed)
    lagrangian = Lagrangian(budgets, 0.1) if term == "lagrangian" else None
    optimizer = torch.optim.Adam(policy.parameters(), lr=RATE)
    sizes = [len(decision.candidates) for decision in bench.space.decisions]
    for _ in range(steps):
        indices_KD = policy.sample_indices(SAMPLES, generator)
        network_K = np.ravel_multi_index(indices_KD.numpy().T, sizes)
        batch = int(torch.randint(loss_NB.shape[1], (1,), generator=generator))
        penalty_K = lagrangian.penalty(policy, indices_KD) if lagrangian else budgets.penalty(indices_KD)
        log_likelihood_K = -torch.from_numpy(loss_NB[network_K, batch])
        weight_K = importance_weights(log_likelihood_K, penalty_K, temperature=temperature)
        policy.alpha.grad = -policy_gradient(policy, indices_KD, weight_K.float(), control_variate=True)
        optimizer.step()
        if lagrangian is not None:
            lagrangian.update(policy)
    return policy


def print_table(rows: list[dict[str, Any]]) -> None:
    """By cost term, target and derivation: where the seeds land, and how good what they found is."""
    for key in dict.fromkeys((row["term"], row["share"], row["derivation"]) for row in rows):
        of_key = [row for row in rows if (row["term"], row["share"], row["derivation"]) == key]
        landed = [100.0 * row["excess"] for row in of_key]
        near = sum(-5.0 <= value <= 1e-9 for value in landed)
        rank = np.median([row["percentile"] for row in of_key])
        print(
            f"{key[0]:10} target at {key[1]:.2f}  {key[2]:20} {min(landed):+6.1f}% to {max(landed):+6.1f}%, "
            f"{near} of {len(landed)} within -5..0%; median percentile by loss {rank:.0f}"
        )


if __name__ == "__main__":
    main()
