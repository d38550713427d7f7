"""Which videos make which batch of which epoch on which process: a function of a few numbers; so runs can resume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from pytorchvideo_autox3d.errors import DataError

Key = tuple[int, int]
"""(epoch, index of the video): workers outlive an epoch, so that every key says which epoch it is for."""


class ClipBatchSampler(Sampler[list[Key]]):
    """Batches of (epoch, index) for one of `world_size` processes.

    Shuffled: a permutation of the list for each (seed, epoch), cut into global batches of batch_size * world_size, of
    which every process takes an equal part; all processes have equally many batches. With `drop_last` the global batch
    that is not full is left out; without, it is shared out too, short of at most world_size - 1 videos.

    In order: process r takes the videos r, r + world_size, ...; each video exactly once over all processes, none
    repeated to make the parts equal.
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
        self._shuffle, self._seed = shuffle, seed
        self._rank, self._world_size = rank, world_size
        self.epoch, self.start_batch = 0, 0

    def __len__(self) -> int:
        """Batches of a whole epoch on this process."""
        share = len(self._share(np.arange(self._num_videos)))
        return share // self._batch_size if self._drop_last else -(-share // self._batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        share = self._share(self._order())
        for batch in range(self.start_batch, len(self)):
            part = share[batch * self._batch_size : (batch + 1) * self._batch_size]
            yield [(self.epoch, int(index)) for index in part]

    def _order(self) -> npt.NDArray[np.int64]:
        if not self._shuffle:
            return np.arange(self._num_videos)
        return np.random.default_rng([self._seed, self.epoch]).permutation(self._num_videos)

    def _share(self, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's videos: every `world_size`-th, so a global batch is the same on any number of processes."""
        if self._shuffle:
            order = order[: len(order) // self._world_size * self._world_size]
        return order[self._rank :: self._world_size]
