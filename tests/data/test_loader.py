import os
from dataclasses import replace

import pytest
import torch

from pytorchvideo_autox3d.data import Kinetics, build_loader
from pytorchvideo_autox3d.errors import DecodeError

CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32), "auto_augment": "imagenet"}
TRAIN = {"batch_size": 4, "shuffle": True, "drop_last": True, "seed": 7}
TEST = {"batch_size": 3, "shuffle": False, "drop_last": False}


@pytest.fixture
def dataset(video_list):
    def build(mode="train", manifest=video_list):
        return Kinetics(manifest=str(manifest), path_prefix=str(manifest.parent), mode=mode, num_clips=2, **CLIP)

    return build


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.clip_BCTHW, b.clip_BCTHW)
        assert torch.equal(a.video_B, b.video_B)
        assert torch.equal(a.view_B, b.view_B)
        assert torch.equal(a.label_B, b.label_B)


def test_batches_of_training(dataset):
    loader = build_loader(dataset(), **TRAIN)
    batches = list(loader)
    assert len(batches) == len(loader) == 2
    assert batches[0].clip_BCTHW.shape == (4, 3, 4, 24, 24)
    assert batches[0].clip_BCTHW.is_contiguous(memory_format=torch.channels_last_3d)
    assert [int(v) % 5 for v in batches[0].video_B] == batches[0].label_B.tolist()
    assert loader.dataset.num_videos == 10


def test_batches_of_tests_hold_all_views(dataset):
    batches = list(build_loader(dataset("test"), **TEST))
    assert [len(batch) for batch in batches] == [18, 18, 18, 6]
    pairs = [(int(v), int(w)) for batch in batches for v, w in zip(batch.video_B, batch.view_B, strict=True)]
    assert pairs == [(video, view) for video in range(10) for view in range(6)]


class Signed:
    """A data set whose items say in `view_B` which process decoded them."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, key):
        return replace(self.dataset[key], view_B=torch.tensor([os.getpid()]))


@pytest.mark.parametrize(("workers", "context"), [(1, "fork"), (2, "fork"), (1, "spawn")])
def test_workers_decode_what_the_data_set_gives(dataset, workers, context):
    """Another process, the same clip: that of the video and the epoch, whoever decodes it and when."""
    loader = build_loader(Signed(dataset()), **TRAIN, num_workers=workers, multiprocessing_context=context)
    clips, decoders, orders = {}, set(), []
    for epoch in (3, 4):
        loader.set_epoch(epoch)
        batches = list(loader)
        orders.append(torch.cat([batch.video_B for batch in batches]).tolist())
        decoders |= {int(pid) for batch in batches for pid in batch.view_B}
        for batch in batches:
            for video, label, clip in zip(
                batch.video_B.tolist(), batch.label_B.tolist(), batch.clip_BCTHW, strict=True
            ):
                expected = dataset()[epoch, video]
                assert torch.equal(clip, expected.clip_BCTHW[0])
                assert label == video % 5
                clips[epoch, video] = clip
    assert len(decoders) == workers
    assert os.getpid() not in decoders
    assert [sorted(order) for order in orders] != orders
    assert orders[0] != orders[1]
    both = [video for epoch, video in clips if epoch == 3 and (4, video) in clips]
    assert not any(torch.equal(clips[3, video], clips[4, video]) for video in both)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generator_is_left_alone(dataset, workers):
    """Dropout must not depend on the number of workers, nor on where a run was resumed."""
    state = torch.get_rng_state()
    list(build_loader(dataset(), **TRAIN, num_workers=workers))
    assert torch.equal(torch.get_rng_state(), state)


def test_two_processes_see_what_one_sees(dataset):
    one = build_loader(dataset(), **TRAIN)
    clips = {int(v): clip for batch in one for v, clip in zip(batch.video_B, batch.clip_BCTHW, strict=True)}
    for rank in range(2):
        for batch in build_loader(dataset(), **{**TRAIN, "batch_size": 2}, rank=rank, world_size=2):
            for video, clip in zip(batch.video_B.tolist(), batch.clip_BCTHW, strict=True):
                assert torch.equal(clips[video], clip)


def test_resumes_within_an_epoch(dataset):
    loader = build_loader(dataset(), **TRAIN)
    loader.set_epoch(5)
    whole = list(loader)
    loader.set_epoch(5, start_batch=1)
    assert_same(list(loader), whole[1:])
    loader.set_epoch(5)
    assert_same(list(loader), whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_file_arrives_as_one_line(dataset, video_list, tmp_path, workers):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    (tmp_path / "list.csv").write_text(f"{video_list.parent}/v0.mp4 0\nbad.mp4 1\n")
    loader = build_loader(dataset(manifest=tmp_path / "list.csv"), **{**TEST, "batch_size": 2}, num_workers=workers)
    with pytest.raises(DecodeError) as caught:
        list(loader)
    assert str(caught.value).startswith(f"{tmp_path}/bad.mp4: not a readable video")
    assert str(caught.value).endswith(f"({tmp_path}/list.csv:2)")
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pinned_batches(dataset):
    for batch in build_loader(dataset(), **TRAIN, pin_memory=True):
        assert batch.clip_BCTHW.is_pinned()
        assert batch.clip_BCTHW.to("cuda", non_blocking=True).is_cuda
