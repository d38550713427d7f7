"""Queries of the table: accuracy, loss and costs of a network, and how far single trainings agree with one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.nasbench.table import SPLITS, Array, Table, all_architectures, read_table
from pytorchvideo_autox3d.space import Architecture, SearchSpace

TABLE_FILE = Path(__file__).with_name("table.npz")


@dataclass(frozen=True)
class Trained:
    """What the table says of one network.

    Attributes:
        accuracy, val_accuracy: top-1 in percent, on the test and on the validation videos.
        loss, val_loss: mean cross-entropy in nats, on the test and on the validation videos.
        macs: multiply-adds of one clip.
        params: number of parameters.
        milliseconds: latency of one clip; NaN where it was not measured.
        seconds: CPU time of one training up to the epoch asked for; the mean where several seeds were asked for.
    """

    accuracy: float
    val_accuracy: float
    loss: float
    val_loss: float
    macs: int
    params: int
    milliseconds: float
    seconds: float


class NasBench:
    """Every network of a space, trained from scratch from several seeds.

    Args:
        table: what `read_table` gives.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    @property
    def space(self) -> SearchSpace:
        """The space that all the networks are of."""
        return self.table.space

    @cached_property
    def architectures(self) -> tuple[Architecture, ...]:
        """Every network that is trained from at least one seed, in the order of the space's candidates."""
        networks = all_architectures(self.space)
        return tuple(networks[number] for number in np.flatnonzero(self.table.trained_NS.any(axis=1)))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the trainings; while the table is not complete, not every network has all of them."""
        return tuple(self.table.seeds_S.tolist())

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs after which networks were tested, counted from 1; the last is the end of training."""
        return tuple(self.table.epochs_E.tolist())

    @property
    def complete(self) -> bool:
        """Whether every network is trained from every seed."""
        return bool(self.table.trained_NS.all())

    def query(self, architecture: Architecture, *, seed: int | None = None, epoch: int | None = None) -> Trained:
        """Look a network up.

        Args:
            architecture: of the table's space.
            seed: of the training; None is the mean over the seeds that the network has.
            epoch: after which it was tested; None is the last.

        Raises:
            SearchError: the network is not of the table's space or not trained from that seed, or there is no such
                seed or epoch.
        """
        network, column = self.index(architecture), self._columns(seed)
        epoch = self.epochs[-1] if epoch is None else epoch
        if epoch not in self.epochs:
            raise SearchError(f"nasbench: no test after epoch {epoch}; after {', '.join(map(str, self.epochs))}")
        last = self.epochs.index(epoch)
        table = self.table
        there = [s for s in column if table.trained_NS[network, s]]
        if not there:
            which = "any seed" if seed is None else f"seed {seed}"
            raise SearchError(f"nasbench: the network is not trained from {which} yet: the table is not complete")
        percent = {s: 100.0 * getattr(table, f"{s}_right_NSE")[network, there, last] / self._videos(s) for s in SPLITS}
        losses = {s: getattr(table, f"{s}_loss_NSE")[network, there, last] for s in SPLITS}
        return Trained(
            accuracy=float(percent["test"].mean()),
            val_accuracy=float(percent["val"].mean()),
            loss=float(losses["test"].mean()),
            val_loss=float(losses["val"].mean()),
            macs=int(table.macs_N[network]),
            params=int(table.params_N[network]),
            milliseconds=float(table.milliseconds_N[network]),
            seconds=float(table.seconds_NS[network, there].mean()) * epoch / self.epochs[-1],
        )

    def index(self, architecture: Architecture) -> int:
        """The network's place in the table's arrays.

        Raises:
            SearchError: it is of another space, or no architecture.
        """
        if not isinstance(architecture, Architecture):
            raise SearchError(f"nasbench: {architecture!r} is no Architecture; `architectures` has those of the table")
        if architecture.space != self.space:
            raise SearchError(f"nasbench: {_difference(architecture.space, self.space)}")
        sizes = [len(decision.candidates) for decision in self.space.decisions]
        return int(np.ravel_multi_index(architecture.indices, sizes))

    def accuracies(self, split: str = "test", *, seed: int | None = None) -> Array:
        """Final top-1 in percent of every network of the space (N,); NaN where it is not trained.

        Args:
            split: "test" or "val".
            seed: of the trainings; None is the mean over the seeds that a network has.

        Raises:
            SearchError: there is no such split or seed.
        """
        if split not in SPLITS:
            raise SearchError(f"nasbench: no split {split!r}; there are {', '.join(SPLITS)}")
        right_NS = getattr(self.table, f"{split}_right_NSE")[:, self._columns(seed), -1].astype(float)
        right_NS[right_NS < 0] = np.nan
        counts_N = (~np.isnan(right_NS)).sum(axis=1)
        sums_N = np.nansum(right_NS, axis=1)
        mean_N = np.divide(sums_N, counts_N, out=np.full(len(sums_N), np.nan), where=counts_N > 0)
        return np.asarray(100.0 * mean_N / self._videos(split))

    def noise_ceiling(self) -> float:
        """Kendall's tau between the test accuracy from one seed and the mean over the others, averaged over the seeds.

        No score can be expected to agree with single trainings better than they agree with one another. Only networks
        that have every seed count, where a seed that fewer than three networks or a tenth of them have is left out; the
        result is NaN if they are fewer than three, or if there is only one seed.
        """
        least = max(3.0, 0.1 * len(self.architectures))
        accuracy_SN = np.stack([self.accuracies(seed=seed) for seed in self.seeds])
        accuracy_SN = accuracy_SN[(~np.isnan(accuracy_SN)).sum(axis=1) >= least]
        accuracy_SN = accuracy_SN[:, ~np.isnan(accuracy_SN).any(axis=0)]
        if len(accuracy_SN) < 2 or accuracy_SN.shape[1] < 3:
            return float("nan")
        others = [np.delete(accuracy_SN, s, axis=0).mean(axis=0) for s in range(len(accuracy_SN))]
        return float(np.mean([kendalltau(one, rest).statistic for one, rest in zip(accuracy_SN, others, strict=True)]))

    def column(self, seed: int) -> int:
        """The seed's place in the table's arrays.

        Raises:
            SearchError: there is no such seed.
        """
        if seed not in self.seeds:
            raise SearchError(f"nasbench: no seed {seed}; there are {', '.join(map(str, self.seeds))}")
        return self.seeds.index(seed)

    def _columns(self, seed: int | None) -> list[int]:
        return list(range(len(self.seeds))) if seed is None else [self.column(seed)]

    def _videos(self, split: str) -> int:
        return int(self.table.card["videos"][split])


def load(path: str | Path | None = None) -> NasBench:
    """The table that comes with the package, or the one at `path`.

    Raises:
        DataError: there is no such file, or it is not a table, or a table of another version.
    """
    return NasBench(read_table(TABLE_FILE if path is None else path))


def _difference(network: SearchSpace, table: SearchSpace) -> str:
    """The first thing in which a network's space and the table's differ."""
    if network.name != table.name:
        return f"the network is of space {network.name!r}, the table of {table.name!r}"
    groups = zip(network.groups, table.groups, strict=False)
    parts = [("stem", (network.stem, table.stem)), ("head", (network.head, table.head))]
    for where, (one, other) in [*parts, *((f"group {number}", pair) for number, pair in enumerate(groups, start=1))]:
        for key, value in vars(one).items():
            if value != vars(other)[key]:
                return f"the network's space has {where}: {key} {value}, the table's {vars(other)[key]}"
    return f"the network's space has {len(network.groups)} groups, the table's {len(table.groups)}"
