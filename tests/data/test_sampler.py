from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.data import ClipBatchSampler
from pytorchvideo_autox3d.errors import DataError


def samplers(num_videos, world_size, **arguments):
    return [ClipBatchSampler(num_videos, rank=rank, world_size=world_size, **arguments) for rank in range(world_size)]


def indices(sampler):
    return [index for batch in sampler for _, index in batch]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 9), st.integers(0, 5), st.booleans())
def test_training_shares(num_videos, world_size, batch_size, epoch, drop_last):
    arguments = {"batch_size": batch_size, "shuffle": True, "drop_last": drop_last, "seed": 3}
    if num_videos < world_size * (batch_size if drop_last else 1):
        with pytest.raises(DataError, match="videos don't make one batch"):
            samplers(num_videos, world_size, **arguments)
        return
    shares = samplers(num_videos, world_size, **arguments)
    for sampler in shares:
        sampler.epoch = epoch
    batches = [list(sampler) for sampler in shares]
    assert {len(part) for part in batches} == {len(shares[0])}
    seen = [index for part in batches for batch in part for _, index in batch]
    assert len(seen) == len(set(seen))
    assert all(key[0] == epoch for part in batches for batch in part for key in batch)
    if drop_last:
        assert all(len(batch) == batch_size for part in batches for batch in part)
        assert num_videos - len(seen) < batch_size * world_size
    else:
        assert num_videos - len(seen) < world_size


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 100), st.integers(1, 5), st.integers(1, 9))
def test_in_order_gives_each_video_exactly_once(num_videos, world_size, batch_size):
    shares = samplers(num_videos, world_size, batch_size=batch_size, shuffle=False, drop_last=False)
    seen = [index for sampler in shares for index in indices(sampler)]
    assert sorted(seen) == list(range(num_videos))
    assert all(len(list(sampler)) == len(sampler) for sampler in shares)


def test_global_batches_are_the_same_on_any_number_of_processes():
    one = [
        sorted(index for _, index in batch) for batch in samplers(50, 1, batch_size=8, shuffle=True, drop_last=True)[0]
    ]
    four = samplers(50, 4, batch_size=2, shuffle=True, drop_last=True)
    joined = [sorted(index for part in parts for _, index in part) for parts in zip(*four, strict=True)]
    assert joined == one


def test_epochs_differ_seeds_differ_and_repeat():
    def order(seed, epoch):
        sampler = ClipBatchSampler(100, batch_size=10, shuffle=True, drop_last=True, seed=seed)
        sampler.epoch = epoch
        return indices(sampler)

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_resumes_within_an_epoch():
    whole = ClipBatchSampler(30, batch_size=4, shuffle=True, drop_last=True, seed=1)
    resumed = ClipBatchSampler(30, batch_size=4, shuffle=True, drop_last=True, seed=1)
    whole.epoch = resumed.epoch = 2
    resumed.start_batch = 3
    assert list(resumed) == list(whole)[3:]
    assert len(resumed) == len(whole) == 7


def test_wrong_arguments():
    with pytest.raises(DataError, match="batch_size is 0"):
        ClipBatchSampler(3, batch_size=0, shuffle=False, drop_last=False)
    with pytest.raises(DataError, match="rank 2 is not one of 2"):
        ClipBatchSampler(3, batch_size=1, shuffle=False, drop_last=False, rank=2, world_size=2)


def test_videos_that_are_left_out_change_no_other_ones_process():
    kept = []
    for rank in range(2):
        sampler = ClipBatchSampler(9, batch_size=2, shuffle=False, drop_last=False, rank=rank, world_size=2)
        sampler.leave_out({0, 1, 2, 8})
        kept.append([index for batch in sampler for _, index in batch])
        assert len(sampler) == len(list(sampler)) == (1 if rank == 0 else 2)
    assert kept == [[4, 6], [3, 5, 7]]


def test_a_million_videos_over_64_processes_with_restarts():
    """Each process is stopped at a batch of its own and goes on: every clip of the epoch once, none twice."""
    videos, processes, batch_size = 1_000_000, 64, 16
    draw, seen = np.random.default_rng(0), []
    for rank in range(processes):
        parts = []
        sampler = ClipBatchSampler(
            videos, batch_size=batch_size, shuffle=True, drop_last=True, rank=rank, world_size=processes
        )
        restart = int(draw.integers(1, len(sampler)))
        for start, stop in ((0, restart), (restart, len(sampler))):
            resumed = ClipBatchSampler(
                videos, batch_size=batch_size, shuffle=True, drop_last=True, rank=rank, world_size=processes
            )
            resumed.epoch, resumed.start_batch = 5, start
            parts += [index for batch in islice(resumed, stop - start) for _, index in batch]
        seen.append(parts)
    assert len({len(parts) for parts in seen}) == 1
    found = np.concatenate(seen)
    assert len(found) == videos // (processes * batch_size) * processes * batch_size
    assert len(np.unique(found)) == len(found)
