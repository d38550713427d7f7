"""Which videos make each batch of each epoch on each process: a function of a few numbers, so that runs can resume."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from pytorchvideo_autox3d.errors import DataError

Key = tuple[int, int]
"""(epoch, index of the video); workers live longer than an epoch, so every key says which epoch it is for."""


class ClipBatchSampler(Sampler[list[Key]]):
    """Batches of (epoch, index) for one of `world_size` processes.

    With `shuffle` each epoch is a permutation of the list, cut into global batches of batch_size * world_size videos,
    of which every process takes an equal part; all processes have the same number of batches. With `drop_last` the
    last global batch is left out where it is not full; without, it is divided too, except for at most world_size - 1
    videos.

    Without `shuffle`, process r takes the videos r, r + world_size, ...: each video exactly once over all processes,
    and none is repeated to make the parts equal.

    Args:
        num_videos: of the list.
        batch_size: videos in a batch on this process.
        shuffle, drop_last: see above.
        seed: of the permutations.
        rank, world_size: which of how many processes this is.

    Raises:
        DataError: the batch size or the rank is out of range, or there are too few videos for one batch.
    """

    def __init__(
        self,
        num_videos: int,
        *,
        batch_size: int,
        shuffle: bool,
        drop_last: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size is {batch_size}, expected 1 or more")
        if not 0 <= rank < world_size:
            raise DataError(f"rank {rank} is not one of {world_size} processes")
        if shuffle and num_videos < (batch_size if drop_last else 1) * world_size:
            raise DataError(
                f"{num_videos} videos don't make one batch of {batch_size} on each of {world_size} processes"
            )
        self._num_videos, self._batch_size, self._drop_last = num_videos, batch_size, drop_last
        self.shuffle, self._seed = shuffle, seed
        self._rank, self._world_size = rank, world_size
        self.epoch, self.start_batch = 0, 0
        self._left_out: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def leave_out(self, videos: Collection[int]) -> None:
        """Give no key of these videos any more; the others stay with their process. Not with `shuffle`."""
        assert not self.shuffle, "a shuffled epoch is all of its list"
        self._left_out = np.array(sorted(videos), dtype=np.int64)

    def __len__(self) -> int:
        """The number of batches of a whole epoch on this process."""
        share = len(self._share(np.arange(self._num_videos)))
        return share // self._batch_size if self._drop_last else -(-share // self._batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        share = self._share(self._order())
        start, self.start_batch = self.start_batch, 0  # of this iteration alone: the next is whole
        for batch in range(start, len(self)):
            part = share[batch * self._batch_size : (batch + 1) * self._batch_size]
            yield [(self.epoch, int(index)) for index in part]

    def successors(self) -> Successors:
        """The order of videos on this process, for workers that must replace a bad one by the next."""
        return Successors(self._num_videos, seed=self._seed, rank=self._rank, world_size=self._world_size)

    def _order(self) -> npt.NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(self._num_videos)
        return _permutation(self._num_videos, self._seed, self.epoch)

    def _share(self, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's videos: every `world_size`-th, so a global batch is the same on any number of processes."""
        if self.shuffle:
            return _equal_share(order, self._rank, self._world_size)
        share = order[self._rank :: self._world_size]
        return share[~np.isin(share, self._left_out)]


class Successors:
    """The order of a shuffled epoch on one process, made when it is first needed and kept for that epoch."""

    def __init__(self, num_videos: int, *, seed: int, rank: int, world_size: int) -> None:
        self._num_videos, self._seed = num_videos, seed
        self._rank, self._world_size = rank, world_size
        self._epoch = -1

    def after(self, key: Key) -> Key:
        """The key that follows in the epoch's order; the first follows the last."""
        epoch, index = key
        if epoch != self._epoch:
            order = _permutation(self._num_videos, self._seed, epoch)
            self._share = _equal_share(order, self._rank, self._world_size)
            self._epoch = epoch
        position = int(np.flatnonzero(self._share == index)[0])
        return epoch, int(self._share[(position + 1) % len(self._share)])


def _permutation(num_videos: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(num_videos)


def _equal_share(order: npt.NDArray[np.int64], rank: int, world_size: int) -> npt.NDArray[np.int64]:
    return order[: len(order) // world_size * world_size][rank::world_size]
