"""Our data sets as the five values that PySlowFast's trainer and tester unpack; needs nothing of PySlowFast.

An item is (pathways, label, index, time, meta): a list of float clips (C, T, H, W), the class, the clip's number, a
tensor that only its contrastive models read, and an empty dictionary. Its meters divide the number of a test clip by
the views to find the video, and take `num_videos` for the number of clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from pytorchvideo_autox3d.data import FaultPolicy
from pytorchvideo_autox3d.data.faults import Fault, FaultCounter
from pytorchvideo_autox3d.errors import DataError, DecodeError

Item = tuple[list[Tensor], int, int, Tensor, dict[str, Any]]
ToPathways = Callable[[Tensor], list[Tensor]]


class TrainClips(Dataset[Item]):
    """One clip of each video, for training and validation.

    Args:
        datasets: our data sets by the phase of multigrid training's short cycle; None is the plain one. Where a phase
            has several, which differ in the sampling rate, one is drawn for each clip.
        to_pathways: turns a uint8 clip (C, T, H, W) into normalised float pathways.
        seed: of that draw, together with the epoch and the number of the clip.
        policy: what happens with a video that can't be decoded: an error, or the next of the list takes its place, is
            logged, and counts towards a limit for each worker and epoch.
    """

    def __init__(
        self,
        datasets: Mapping[int | None, Sequence[Any]],
        to_pathways: ToPathways,
        *,
        seed: int = 0,
        policy: FaultPolicy | None = None,
    ) -> None:
        self.datasets = datasets
        self.to_pathways = to_pathways
        self.seed = seed
        self.epoch = 0
        self.policy = policy or FaultPolicy()
        self._faults = FaultCounter(self.policy.limit)

    @property
    def num_videos(self) -> int:
        """The number of clips, one for each video."""
        return len(self.datasets[None][0])

    def __len__(self) -> int:
        return self.num_videos

    def __getitem__(self, index: int | tuple[int, int]) -> Item:
        """The clip of video `index`; PySlowFast's short-cycle sampler gives (index, phase), with phases 0, 1 and 2.

        Raises:
            DecodeError: the video can't be decoded, and the policy is "error".
            DataError: more videos than the policy's limit can't be decoded.
        """
        index, phase = index if isinstance(index, tuple) else (index, None)
        for _ in range(len(self)):
            try:
                return self._item(index, phase)
            except DecodeError as error:
                if self.policy.action == "error":
                    raise
                self._faults.add(Fault(index, str(error)))
            index = (index + 1) % len(self)
        raise DataError(f"none of the {len(self)} videos of the list can be decoded")

    def _item(self, index: int, phase: int | None) -> Item:
        rates = self.datasets.get(phase, self.datasets[None])
        # Another stream than that of the clip's own draws, which starts from the same three numbers.
        drawn = int(np.random.default_rng([self.seed, self.epoch, index, 1]).integers(len(rates)))
        batch = rates[drawn][index]
        return self.to_pathways(batch.clip_BCTHW[0]), int(batch.label_B[0]), index, torch.zeros(1), {}

    def _set_epoch_num(self, epoch: int) -> None:
        """PySlowFast calls this, where a data set has it, before each epoch."""
        self.epoch = epoch
        for rates in self.datasets.values():
            for dataset in rates:
                dataset.set_epoch(epoch)


class TestClips(IterableDataset[Item]):
    """Every view of every video in order, each video decoded once by the worker that reads it.

    Each process gets an equal stretch of the clips, which is divided into whole batches among its workers, so that all
    processes see batches of the same sizes. Where the clips can't be divided equally, the last process takes the first
    clips again; `meters` counts them once.

    Args:
        dataset: ours; an item is a video with all of its views, in order.
        to_pathways: turns a uint8 clip (C, T, H, W) into normalised float pathways.
        batch_size: clips in a batch of this process.
        rank, world_size: which of how many processes this is.
    """

    __test__ = False  # not a test, whatever pytest thinks of its name

    def __init__(
        self, dataset: Any, to_pathways: ToPathways, *, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.dataset = dataset
        self.to_pathways = to_pathways
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size

    @property
    def num_videos(self) -> int:
        """The number of clips of all processes: videos times views."""
        return self.dataset.num_videos * self.dataset.num_views

    def __len__(self) -> int:
        """The number of clips of this process."""
        return -(-self.num_videos // self.world_size)

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        batches = -(-len(self) // self.batch_size)
        first, end = (batches * one // workers * self.batch_size for one in (number, number + 1))
        video, views = None, None
        for position in range(first, min(end, len(self))):
            clip = (self.rank * len(self) + position) % self.num_videos
            if clip // self.dataset.num_views != video:
                video = clip // self.dataset.num_views
                views = self.dataset[video]
            assert views is not None
            view = clip % self.dataset.num_views
            yield self.to_pathways(views.clip_BCTHW[view]), int(views.label_B[view]), clip, torch.zeros(1), {}
