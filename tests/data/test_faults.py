import logging
import threading

import pytest
import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.data import FaultPolicy, Kinetics, build_loader
from pytorchvideo_autox3d.data.faults import Fault, FaultCounter
from pytorchvideo_autox3d.data.sampler import ClipBatchSampler
from pytorchvideo_autox3d.errors import DataError, DecodeError

CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32), "num_clips": 2}
TRAIN = {"batch_size": 4, "shuffle": True, "drop_last": True, "seed": 7}
BAD = {2, 5}


@pytest.fixture
def broken_list(video_list, tmp_path):
    """The ten videos, of which number 2 is missing and number 5 is no video."""
    lines = video_list.read_text().splitlines()
    (tmp_path / "text.mp4").write_bytes(b"no video at all")
    lines[2], lines[5] = "nowhere.mp4 2", f"{tmp_path}/text.mp4 0"
    (tmp_path / "list.csv").write_text("\n".join(lines))
    return tmp_path / "list.csv"


@pytest.fixture
def dataset(broken_list, video_list):
    def build(mode="train", **arguments):
        return Kinetics(manifest=str(broken_list), path_prefix=str(video_list.parent), mode=mode, **CLIP, **arguments)

    return build


def batches(loader, epochs=(0, 1)):
    found = []
    for epoch in epochs:
        loader.set_epoch(epoch)
        found += list(loader)
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_training_takes_the_samplers_next_and_counts(dataset, workers):
    loader = build_loader(dataset(), **TRAIN, num_workers=workers, faults=FaultPolicy("skip", limit=2))
    epochs = range(4)
    got = batches(loader, epochs)
    expected, met = [], {}
    for epoch in epochs:
        sampler = ClipBatchSampler(10, batch_size=4, shuffle=True, drop_last=False, seed=7)
        sampler.epoch = epoch
        order = [index for keys in sampler for _, index in keys]
        for position in range(8):
            while order[position % 10] in BAD:
                met[order[position % 10]] = met.get(order[position % 10], 0) + 1
                position += 1
            expected.append((epoch, order[position % 10]))
    assert [int(v) for batch in got for v in batch.video_B] == [index for _, index in expected]
    clips = torch.cat([batch.clip_BCTHW for batch in got])
    for clip, key in zip(clips, expected, strict=True):
        assert torch.equal(clip, dataset()[key].clip_BCTHW[0])
    assert dict(loader.faults.counts) == met
    assert set(met) == BAD
    assert loader.faults.metrics() == {"skipped": sum(met.values()), "bad_videos": 2}
    assert "nowhere.mp4: no such file" in loader.faults.state_dict()["messages"][2]


def test_past_the_limit_it_stops_and_names_the_offenders(dataset):
    loader = build_loader(dataset(), **TRAIN, faults=FaultPolicy("skip", limit=1))
    with pytest.raises(DataError, match=r"2 bad videos, more than the 1 allowed .*(nowhere|text)\.mp4: .*\.mp4: "):
        batches(loader, range(5))


def test_a_test_leaves_the_video_out(dataset):
    loader = build_loader(
        dataset("test"), batch_size=1, shuffle=False, drop_last=False, faults=FaultPolicy("skip", limit=5)
    )
    videos = [batch.video_B.unique().tolist() for batch in loader]
    assert videos == [[v] for v in range(10) if v not in BAD]
    assert set(loader.faults.counts) == BAD


def test_the_default_is_an_error(dataset):
    with pytest.raises(DecodeError):
        batches(build_loader(dataset(), **TRAIN))


def test_a_list_of_bad_videos_ends(tmp_path):
    (tmp_path / "list.csv").write_text("a.mp4 0\nb.mp4 1\n")
    data = Kinetics(manifest=str(tmp_path / "list.csv"), mode="train", **CLIP)
    loader = build_loader(data, batch_size=1, shuffle=True, drop_last=True, faults=FaultPolicy("skip", limit=9))
    with pytest.raises(DataError, match="no video that can be decoded in place of"):
        list(loader)


def test_the_rest_of_another_process_is_not_taken(dataset):
    for rank in range(2):
        loader = build_loader(
            dataset(), **{**TRAIN, "batch_size": 1}, rank=rank, world_size=2, faults=FaultPolicy("skip", limit=2)
        )
        sampler = ClipBatchSampler(10, batch_size=1, shuffle=True, drop_last=True, seed=7, rank=rank, world_size=2)
        own = {index for keys in sampler for _, index in keys}
        assert {int(v) for batch in batches(loader, [0]) for v in batch.video_B} == own - BAD


def test_a_file_that_never_answers_is_a_bad_video(dataset):
    data, storage_is_back = dataset(decode_seconds=0.2), threading.Event()
    data._open_reader = lambda path: storage_is_back.wait()
    try:
        with pytest.raises(DecodeError, match=r"0\.mp4: decoding took more than 0\.2 s and .*\(.*list\.csv:1"):
            data[0]
    finally:
        storage_is_back.set()  # lets the abandoned thread end


def test_each_file_is_logged_once(caplog):
    counter = FaultCounter(limit=9)
    with caplog.at_level(logging.WARNING):
        for video in (3, 4, 3):
            counter.add(Fault(video, f"v{video}.mp4: broken"))
    assert [record.getMessage() for record in caplog.records] == ["skipped: v3.mp4: broken", "skipped: v4.mp4: broken"]
    assert counter.metrics() == {"skipped": 3.0, "bad_videos": 2.0}


def counted(*videos):
    counter = FaultCounter(limit=9)
    for video in videos:
        counter.add(Fault(video, f"v{video}.mp4: broken"))
    return counter


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        (2, [{3: 2, 4: 1}, {4: 1, 5: 1}]),
        (1, [{3: 2, 4: 2, 5: 1}]),  # all of them, however many processes count from now on
        (3, [{3: 2, 4: 2, 5: 1}, {}, {}]),
    ],
)
def test_counts_go_on_after_a_resume(monkeypatch, caplog, processes, expected):
    states = [counted(3, 4, 3).state_dict(), counted(4, 5).state_dict()]
    caplog.clear()
    for rank, counts in enumerate(expected):
        monkeypatch.setattr(distributed, "world_size", lambda: processes)
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(distributed, "is_main", lambda rank=rank: rank == 0)
        counter = FaultCounter(limit=len(counts))
        counter.load_state_dicts(states)
        assert counter.counts == counts
        assert set(counter.state_dict()["messages"]) == set(counts)
    assert not caplog.records
    with pytest.raises(DataError, match=f"{len(counts) + 1} bad videos, more than the {len(counts)} allowed"):
        counter.add(Fault(9, "v9.mp4: broken"))


def test_policies():
    assert FaultPolicy.with_share("skip", 0.01, 240_000).limit == 2400
    assert FaultPolicy.with_share("skip", 0.01, 10).limit == 1
    with pytest.raises(DataError, match="fault policy 'ignore'"):
        FaultPolicy("ignore")
    with pytest.raises(DataError, match="share of bad videos"):
        FaultPolicy.with_share("skip", 2.0, 10)
