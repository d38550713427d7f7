"""How much of alpha's gradient is signal? Against the samples K, the batch, the likelihood's scale and the baseline.

    python projects/autox3d/alpha_gradient.py

A supernet over the space of the table of networks is trained on uniform samples (`SupernetRecipe`; or taken from
--output), and the loss of every network on every batch of clips it has not learnt from is computed once, batch norm by
the batch. From that table any number of steps is drawn, so that means and spreads are of thousands of gradients at the
uniform policy. Writes results/alpha_gradient.json. Shapes: N networks, B batches, K samples, A entries of alpha.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import nasbench_recipe
import numpy as np
import torch
from bench_supernet import RUNTIME, SupernetRecipe, TrainingClips, kept_supernets
from rich.progress import track

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.files import atomic_write, write_json
from pytorchvideo_autox3d.nasbench.table import all_architectures
from pytorchvideo_autox3d.search.batch_statistics import batch_statistics
from pytorchvideo_autox3d.space import SearchSpace
from pytorchvideo_autox3d.supernet import Supernet

RESULTS = Path(__file__).parent / "results" / "alpha_gradient.json"
BATCH, BATCHES, DRAWS = 32, 48, 8000
ESTIMATORS = ("weights", "control variate", "multi-sample bound, leave-one-out", "REINFORCE, leave-one-out")


@dataclass(frozen=True)
class Setting:
    """One way of estimating; `batch` is a multiple of 32 clips, and 0 samples means all networks at once."""

    samples: int = 13
    batch: int = 32
    temperature: float = 1.0
    likelihood: str = "mean"
    estimator: str = "control variate"


def settings() -> list[Setting]:
    """What is compared: each row changes one thing of the first."""
    base = Setting()
    return [
        *(replace(base, estimator=one) for one in ESTIMATORS),
        *(replace(base, samples=count) for count in (2, 4, 8, 26, 52, 0)),
        *(replace(base, batch=clips) for clips in (64, 128, 512, BATCH * BATCHES)),
        *(replace(base, temperature=value) for value in (0.3, 0.1, 0.03, 0.01)),
        replace(base, likelihood="sum"),
        replace(base, likelihood="sum", batch=128),
        replace(base, temperature=0.1, batch=128),
        *(replace(base, temperature=0.1, estimator=one) for one in ESTIMATORS if one != base.estimator),
    ]


def main() -> None:
    """Measure, print a line a setting, and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"), help="made if not there")
    parser.add_argument("--output", type=Path, default=Path("output/nasbench/supernets"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    space, data = nasbench.load().space, nasbench_recipe.load_bench(args.data)
    loss_NB = kept_losses(args.output, space, data)
    score_NA = score_table(space)
    rows = [{**asdict(one), **measure(loss_NB, score_NA, one)} for one in settings()]
    kept = {"supernet": SupernetRecipe().to_dict(), "networks": len(loss_NB), "clips": BATCH * BATCHES, "draws": DRAWS}
    spread = {"loss": float(loss_NB.mean()), "deviation_of_networks": float(loss_NB.mean(axis=1).std())}
    write_json(args.results, {**kept, **spread, "rows": rows, "command": "projects/autox3d/alpha_gradient.py"})
    for row in rows:
        print(line(row))


def kept_losses(folder: Path, space: SearchSpace, data: dict[str, nasbench_recipe.Videos]) -> np.ndarray:
    """`losses` of the supernet "base" of `folder` on validation videos, computed once and kept there."""
    recipe = SupernetRecipe()
    what = repr((space.name, sorted(recipe.to_dict().items())))
    kept = folder / f"base_0_losses_{blake2b(what.encode(), digest_size=6).hexdigest()}.npy"
    if not kept.is_file():
        _, supernets = kept_supernets(folder, "base", space, data, recipe, seed=0)
        with atomic_write(kept) as beside, beside.open("wb") as file:
            np.save(file, losses(supernets["weights"], data["val"]))
    return np.load(kept)


def losses(supernet: Supernet, videos: nasbench_recipe.Videos) -> np.ndarray:
    """The mean loss of every network on each of the batches: (N, B)."""
    loader, batches = TrainingClips(videos, BATCH, seed=1), []
    while len(batches) < BATCHES:
        batches += list(loader)
        loader.set_epoch(loader.epoch + 1)
    clips = [(RUNTIME.prepare(batch.clip_BCTHW), batch.label_B) for batch in batches[:BATCHES]]
    rows = []
    with batch_statistics(supernet):
        for architecture in track(all_architectures(supernet.space), description="losses", transient=True):
            rows.append([
                float(torch.nn.functional.cross_entropy(supernet(clip_BCTHW, architecture), label_B))
                for clip_BCTHW, label_B in clips
            ])  # fmt: skip
    return np.array(rows)


def score_table(space: SearchSpace) -> np.ndarray:
    """grad log P(A | alpha) of every network at the uniform policy: (N, A)."""
    rows = []
    for architecture in all_architectures(space):
        parts = [np.full(len(decision.candidates), -1.0 / len(decision.candidates)) for decision in space.decisions]
        for part, index in zip(parts, architecture.indices, strict=True):
            part[index] += 1.0
        rows.append(np.concatenate(parts))
    return np.array(rows)


def coefficients(loss_RK: np.ndarray, setting: Setting) -> np.ndarray:
    """What each sample's score is multiplied by, for R steps of K samples: (R, K)."""
    clips = setting.batch if setting.likelihood == "sum" else 1
    log_RK = -clips * loss_RK / setting.temperature
    count = loss_RK.shape[1]
    if setting.estimator.startswith("REINFORCE"):
        others_RK = (log_RK.sum(axis=1, keepdims=True) - log_RK) / (count - 1)
        return (log_RK - others_RK) / count
    weight_RK = np.exp(log_RK - log_RK.max(axis=1, keepdims=True))
    weight_RK /= weight_RK.sum(axis=1, keepdims=True)
    if setting.estimator == "weights":
        return weight_RK
    if setting.estimator == "control variate":
        return weight_RK - 1.0 / count
    # The log of the mean weight less that of the other samples' mean, which the sample itself has no part in.
    return -np.log1p(-np.minimum(weight_RK, 1.0 - 1e-12)) + np.log1p(-1.0 / count)


def measure(loss_NB: np.ndarray, score_NA: np.ndarray, setting: Setting) -> dict[str, float]:
    """Signal to noise of one step, the direction of the mean gradient, and the effective sample size.

    The direction is the cosine with the gradient of the expected log-likelihood over all clips and all networks.
    """
    random = np.random.default_rng(0)
    networks, multiple = len(loss_NB), setting.batch // BATCH
    batch_RM = random.random((DRAWS, loss_NB.shape[1])).argpartition(multiple - 1, axis=1)[:, :multiple]
    if setting.samples:
        network_RK = random.integers(0, networks, (DRAWS, setting.samples))
    else:
        network_RK = np.broadcast_to(np.arange(networks), (DRAWS, networks))
    loss_RK = np.stack([loss_NB[nets][:, few].mean(axis=1) for nets, few in zip(network_RK, batch_RM, strict=True)])
    gradient_RA = np.stack(
        [c @ score_NA[nets] for c, nets in zip(coefficients(loss_RK, setting), network_RK, strict=True)]
    )
    mean_A = gradient_RA.mean(axis=0)
    variance = gradient_RA.var(axis=0, ddof=1).sum()
    signal = max(0.0, float(mean_A @ mean_A - variance / DRAWS))
    truth_A = -(loss_NB.mean(axis=1) @ score_NA) / networks
    weight_RK = coefficients(loss_RK, replace(setting, estimator="weights"))
    return {
        "signal_to_noise": float(np.sqrt(signal / variance)),
        "cosine": float(mean_A @ truth_A / np.linalg.norm(mean_A) / np.linalg.norm(truth_A)),
        "effective_samples": float((1.0 / (weight_RK**2).sum(axis=1)).mean()),
    }


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    samples, scale = row["samples"] or "all", f"{row['likelihood']:4} / {row['temperature']:<5g}"
    return (
        f"{row['estimator']:35}  K {samples!s:>3}  {row['batch']:4} clips  {scale}"
        f"  S/N {row['signal_to_noise']:.3f}  cosine {row['cosine']:.2f}  ess {row['effective_samples']:.1f}"
    )


if __name__ == "__main__":
    main()
