"""Attention positions: searched against placed by hand, on a fixed backbone (paper, section 5.2.1 and Table 3).

    python projects/autox3d/attention_positions.py [--quick]

The backbone is spaces/attention.yaml without attention. By hand: GloRe after the last two blocks of each stage in turn,
and after all of the last stage. Searched: the most probable positions under a budget between the backbone and the
dearest. Every network is trained on its own with each seed.
"""

from __future__ import annotations

from typing import Any

import experiment_tools as tools
import numpy as np
from matplotlib.figure import Figure

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.search import derive
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space, stages

# Over the backbone's multiply-adds; the paper's searched positions cost 1.24 times X3D-S, its dearest by hand 1.49.
BUDGET = 1.4


def main() -> None:
    """All rows; figures to results/attention_positions.json and .png."""
    args = tools.parse_arguments(__doc__ or "")
    space = load_space(tools.SPACES / "attention.yaml")
    train, val, test = (tools.load_videos(args.data, split) for split in ("train", "val", "test"))
    kept = tools.Store(args.output / f"attention_standalone_{args.epochs}.jsonl")

    def row(name: str, net: Architecture, seed: int) -> dict[str, Any]:
        result = kept.get(
            f"{tools.key_of(net)} {seed}",
            lambda: tools.standalone_result(net, train, val, test, epochs=args.epochs, seed=seed),
        )
        cost = complexity(net, clip=(tools.CLIP_LENGTH, tools.CROP, tools.CROP), num_classes=tools.NUM_CLASSES)
        positions = [number for number, choice in enumerate(net.groups, start=1) if choice.attention != "none"]
        return {
            "name": name,
            "seed": seed,
            "blocks": positions,
            "test": result["test"],
            "macs": cost.macs,
            "params": cost.params,
        }

    rows = [row(name, net, seed) for name, net in by_hand(space).items() for seed in range(args.seeds)]
    target = BUDGET * rows[0]["macs"] / 1e9
    for seed in range(args.seeds):
        found = tools.run_search(
            space,
            train,
            target_gflops=target,
            output=args.output / f"attention_search_{args.search_epochs}_{seed}",
            seed=seed,
            epochs=args.search_epochs,
        )
        rows.append(
            row("searched", derive(found.policy, budgets=found.budgets, method="most_likely").architecture, seed)
        )
    summary = {"target_gflops": target, "rows": rows, "means": means(rows)}
    write_json(args.results / "attention_positions.json", summary)
    draw(summary).savefig(args.results / "attention_positions.png", dpi=150, bbox_inches="tight")
    for name, one in summary["means"].items():
        print(f"{name:<22} {one['macs'] / 1e6:>6.2f} M multiply-adds {one['test']:>5.1f}% (sd {one['test_sd']:.1f})")


def by_hand(space: SearchSpace) -> dict[str, Architecture]:
    """The rows of Table 3 in small: none, two in each stage, all of the last stage."""
    placed: dict[str, tuple[int, ...]] = {"backbone": ()}
    for number, groups in enumerate(stages(space), start=1):
        placed[f"2 in stage {number}"] = groups[-2:]
    placed["all of the last stage"] = stages(space)[-1]
    return {name: with_attention(space, groups) for name, groups in placed.items()}


def with_attention(space: SearchSpace, groups: tuple[int, ...]) -> Architecture:
    """The backbone with GloRe after these groups (0-based)."""
    indices = [
        decision.candidates.index("glore") if decision.field == "attention" and decision.group in groups else 0
        for decision in space.decisions
    ]
    return Architecture.from_indices(space, indices)


def means(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Over the seeds of each row."""
    result = {}
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        test = np.array([row["test"] for row in own])
        macs = float(np.mean([row["macs"] for row in own]))
        result[name] = {"test": float(test.mean()), "test_sd": float(test.std()), "macs": macs}
    return result


def draw(summary: dict[str, Any]) -> Figure:
    """Accuracy against multiply-adds, a point a row of the table."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, one in summary["means"].items():
        axes.errorbar(one["macs"] / 1e6, one["test"], yerr=one["test_sd"], fmt="o", capsize=2, label=name)
    axes.set(xlabel="multiply-adds, 1e6", ylabel="top-1 trained on its own, %")
    axes.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    main()
