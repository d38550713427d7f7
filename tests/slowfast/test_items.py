"""The five values, and that test clips arrive once over any processes and workers; over a made-up data set of ours."""

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from pytorchvideo_autox3d.data import FaultPolicy
from pytorchvideo_autox3d.errors import DataError, DecodeError
from pytorchvideo_autox3d.slowfast.items import TestClips, TrainClips


class Videos:
    """Video v, view w is a clip full of 10 v + w; remembers what was decoded."""

    def __init__(self, num_videos, num_views=1, size=2):
        self.num_videos, self.num_views, self.size = num_videos, num_views, size
        self.decoded = []
        self.epoch = 0

    def __len__(self):
        return self.num_videos

    def __getitem__(self, video):
        self.decoded.append(video)
        values = torch.arange(self.num_views) + 10 * video
        clip = values.to(torch.uint8).view(-1, 1, 1, 1, 1).expand(-1, 3, 2, self.size, self.size)
        label = torch.full((self.num_views,), video % 5)
        return SimpleNamespace(clip_BCTHW=clip, label_B=label)

    def set_epoch(self, epoch):
        self.epoch = epoch


def halves(clip):
    return [clip.float() / 2]


def test_a_training_item_is_five_values():
    clips = TrainClips({None: [Videos(7)]}, halves)
    assert len(clips) == clips.num_videos == 7
    pathways, label, index, time, meta = clips[6]
    assert [tuple(pathway.shape) for pathway in pathways] == [(3, 2, 2, 2)]
    assert pathways[0].dtype == torch.float32
    assert pathways[0].unique().tolist() == [30.0]
    assert (label, index, meta) == (1, 6, {})
    assert isinstance(time, torch.Tensor)


def test_the_default_collation_gives_what_the_trainer_unpacks():
    inputs, labels, index, time, meta = next(iter(DataLoader(TrainClips({None: [Videos(4)]}, halves), batch_size=4)))
    assert inputs[0].shape == (4, 3, 2, 2, 2)
    assert labels.tolist() == [0, 1, 2, 3]
    assert labels.dtype == torch.int64
    assert index.tolist() == [0, 1, 2, 3]
    assert time.shape[0] == 4
    assert meta == {}


def test_the_short_cycle_chooses_the_clip_size():
    clips = TrainClips({None: [Videos(3, size=8)], 0: [Videos(3, size=4)], 1: [Videos(3, size=6)]}, halves)
    sizes = [clips[index][0][0].shape[-1] for index in (2, (2, 0), (2, 1), (2, 2))]
    assert sizes == [8, 4, 6, 8]
    clips._set_epoch_num(3)
    assert {dataset.epoch for rates in clips.datasets.values() for dataset in rates} == {3}


def test_the_long_cycle_draws_among_sampling_rates():
    def sizes(seed, epoch):
        clips = TrainClips({None: [Videos(40, size=size) for size in (1, 2, 3)]}, halves, seed=seed)
        clips._set_epoch_num(epoch)
        return [clips[index][0][0].shape[-1] for index in range(40)]

    assert set(sizes(0, 0)) == {1, 2, 3}
    assert sizes(0, 0) == sizes(0, 0)
    assert sizes(0, 0) != sizes(0, 1)
    assert sizes(0, 0) != sizes(1, 0)


class Damaged(Videos):
    def __getitem__(self, video):
        if video in (2, 3):
            raise DecodeError(f"video {video} is damaged")
        return super().__getitem__(video)


def test_a_bad_video_is_an_error_or_gives_way_to_the_next(caplog):
    with pytest.raises(DecodeError, match="video 2 is damaged"):
        TrainClips({None: [Damaged(5)]}, halves)[2]
    clips = TrainClips({None: [Damaged(5)]}, halves, policy=FaultPolicy("skip", limit=2))
    pathways, label, index, *_ = clips[2]
    assert (index, label, pathways[0].unique().item() * 2) == (4, 4, 40)
    assert ["video 2" in record.message for record in caplog.records] == [True, False]
    with pytest.raises(DataError, match="2 bad videos, more than the 1 allowed"):
        TrainClips({None: [Damaged(5)]}, halves, policy=FaultPolicy("skip", limit=1))[2]


def test_a_test_item_counts_clips_as_the_meters_do():
    videos = Videos(2, num_views=3)
    items = list(TestClips(videos, halves, batch_size=2))
    assert [index // 3 for *_, index, _, _ in items] == [0, 0, 0, 1, 1, 1]
    assert [pathways[0].unique().item() * 2 for pathways, *_ in items] == [0, 1, 2, 10, 11, 12]
    assert videos.decoded == [0, 1]


@settings(deadline=None, max_examples=60)
@given(
    num_videos=st.integers(1, 9),
    num_views=st.integers(1, 5),
    batch_size=st.integers(1, 7),
    world_size=st.integers(1, 4),
)
def test_every_clip_arrives_and_only_padding_twice(num_videos, num_views, batch_size, world_size):
    ranks = [
        TestClips(Videos(num_videos, num_views), halves, batch_size=batch_size, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    indices = [[item[2] for item in clips] for clips in ranks]
    total = num_videos * num_views
    assert {len(one) for one in indices} == {len(ranks[0])}
    assert ranks[0].num_videos == total
    counts = Counter(index for one in indices for index in one)
    assert set(counts) == set(range(total))
    assert sum(counts.values()) - total == -total % world_size


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_workers_share_the_clips_in_whole_batches(workers):
    batches = []
    for rank in range(2):
        clips = TestClips(Videos(5, num_views=3), halves, batch_size=3, rank=rank, world_size=2)
        loader = DataLoader(clips, batch_size=3, num_workers=workers)
        batches.append([index.tolist() for _, _, index, _, _ in loader])
        assert len(batches[-1]) == len(loader) == 3
    assert [len(one) for one in batches[0]] == [len(one) for one in batches[1]]
    assert sorted(index for one in batches[0] + batches[1] for index in one) == sorted([*range(15), 0])
