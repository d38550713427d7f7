import json
import random

import pytest
from PIL import Image

from pytorchvideo_autox3d.data import ClassNames, SomethingSomething
from pytorchvideo_autox3d.data.something import mirrored_label
from pytorchvideo_autox3d.errors import DataError, DecodeError
from pytorchvideo_autox3d.registry import DATASET_REGISTRY

LABELS = {
    "Pushing something from left to right": "0",
    "Pushing something from right to left": "1",
    "Holding something": "2",
    "Turning the camera left": "3",
}
CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32)}


def write_lists(root, *, prefix="something-something-v2-"):
    train = [
        {"id": "78687", "template": "Pushing [something] from left to right"},
        {"id": "1", "template": "Holding [something]"},
    ]
    (root / f"{prefix}labels.json").write_text(json.dumps(LABELS))
    (root / f"{prefix}train.json").write_text(json.dumps(train))
    (root / f"{prefix}validation.json").write_text(json.dumps(train[::-1]))


@pytest.fixture
def videos(tmp_path, make_video):
    write_lists(tmp_path)
    for name in ("78687", "1"):
        make_video(tmp_path / f"{name}.webm", range(40), codec="libvpx-vp9", rate=12)
    return tmp_path


@pytest.fixture
def frames(tmp_path, make_video):
    """Extracted frames that show their own numbers, listed as PySlowFast has it."""
    from tests.data.conftest import numbered_picture

    write_lists(tmp_path)
    lines = ["original_vido_id video_id frame_id path labels"]
    for number, name in enumerate(("78687", "1")):
        (tmp_path / name).mkdir()
        for frame in range(30):
            Image.fromarray(numbered_picture(frame)).save(tmp_path / name / f"{frame:06d}.png")
            lines.append(f'{name} {number} {frame} {name}/{frame:06d}.png ""')
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text("\n".join(lines))
    return tmp_path


def build(folder, mode, **arguments):
    manifest = SomethingSomething.find(str(folder), mode, path_prefix=str(folder), num_classes=4)
    return SomethingSomething(manifest=manifest, mode=mode, **{**CLIP, **arguments})


def test_the_published_lists_over_webm(videos):
    dataset = build(videos, "train", horizontal_flip=False)
    assert DATASET_REGISTRY.get("ssv2") is SomethingSomething
    assert list(dataset.labels) == [0, 2]
    assert dataset.paths[0].endswith("/78687.webm")
    item = dataset[0]
    assert item.clip_BCTHW.shape == (1, 3, 4, 24, 24)
    assert item.label_B.tolist() == [0]
    assert list(build(videos, "test").labels) == [2, 0]  # tests are on the validation videos


def test_later_releases_name_the_lists_shortly(tmp_path):
    write_lists(tmp_path, prefix="")
    assert list(SomethingSomething.find(str(tmp_path), "val").labels) == [2, 0]


def test_frame_lists(frames, number_of):
    dataset = build(frames, "val", crop_size=48, jitter_scales=(48, 48))
    clip = dataset[0].clip_BCTHW[0]
    assert clip.shape == (3, 4, 48, 48)
    part = dataset.manifest.subset([1])
    assert part.frame_paths(0) == [f"{frames}/78687/{n:06d}.png" for n in range(30)]
    assert part.labels.tolist() == [0]
    whole = SomethingSomething(manifest=part, mode="val", **CLIP)
    with whole._open(whole.manifest.record(0)) as reader:
        assert reader.metadata().num_frames == 30
        assert [number_of(frame) for frame in reader.read([29, 3, 3, 11])] == [29, 3, 3, 11]
        assert reader.read([4], short_side=24).shape == (1, 3, 24, 28)


def test_a_bad_frame_is_named(frames):
    (frames / "1" / "000012.png").unlink()
    (frames / "78687" / "000003.png").write_bytes(b"no picture")
    dataset = build(frames, "test", num_clips=10)
    with pytest.raises(DecodeError, match=r"1/000012\.png: no such file"):
        dataset[0]
    with pytest.raises(DecodeError, match=r"78687/000003\.png: not a readable image"):
        dataset[1]


def test_views_of_a_test_differ_in_their_pixels(videos):
    views = build(videos, "test", num_clips=3, num_crops=3)[0].clip_BCTHW
    assert views.shape == (9, 3, 4, 24, 24)
    assert len({view.numpy().tobytes() for view in views}) == 9


def test_mirrored_labels():
    names = ClassNames(tuple(LABELS))
    assert [mirrored_label(label, names) for label in range(4)] == [1, 0, 2, 3]


def test_a_mirrored_clip_changes_its_label(videos):
    plain = build(videos, "train", horizontal_flip=False, jitter_scales=(24, 24))
    mirroring = build(videos, "train", horizontal_flip=True, jitter_scales=(24, 24))
    labels = random_labels(mirroring, 0)
    assert set(labels) == {0, 1}
    assert set(random_labels(mirroring, 1)) == {2}
    assert set(random_labels(plain, 0)) == {0}


def random_labels(dataset, index):
    epochs = random.Random(0).sample(range(1000), 12)
    return [int(dataset[epoch, index].label_B) for epoch in epochs]


def test_faults(tmp_path):
    with pytest.raises(DataError, match=r"holds neither something-something-v2-labels\.json nor labels\.json"):
        SomethingSomething.find(str(tmp_path), "train")
    write_lists(tmp_path)
    with pytest.raises(DataError, match="has 4 classes, expected 174"):
        SomethingSomething.find(str(tmp_path), "train", num_classes=174)
    (tmp_path / "train.csv").write_text("path label\n")
    with pytest.raises(DataError, match=r"train\.csv:1: expected the header of a frame list"):
        SomethingSomething.find(str(tmp_path), "train")
    (tmp_path / "something-something-v2-train.json").write_text('[{"id": "3", "template": "Eating [something]"}]')
    with pytest.raises(DataError, match=r"entry 1: video 3: the template 'Eating something' is not among the labels"):
        SomethingSomething.find(str(tmp_path), "train")


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("labels", "[]", r"labels\.json: expected the templates of the labels with their numbers"),
        ("labels", '{"a": "x"}', r"labels\.json: 'a': the number 'x' is wrong, expected 0 to 0"),
        ("train", "{}", r"train\.json: expected a list of videos, found dict"),
        ("train", "[3]", r"train\.json: entry 1: expected an id and a template, found 3"),
        ("train", '[{"id": "1"}]', r"train\.json: entry 1: expected an id and a template"),
        ("train", "[", r"train\.json:1: not json"),
    ],
)
def test_faults_in_json(tmp_path, part, content, message):
    write_lists(tmp_path)
    (tmp_path / f"something-something-v2-{part}.json").write_text(content)
    with pytest.raises(DataError, match=message):
        SomethingSomething.find(str(tmp_path), "train")


def test_a_missing_video_names_its_entry(tmp_path):
    write_lists(tmp_path)
    with pytest.raises(DecodeError) as caught:
        build(tmp_path, "train")[1]
    assert (
        str(caught.value) == f"{tmp_path}/1.webm: no such file ({tmp_path}/something-something-v2-train.json: entry 2)"
    )


def test_a_video_without_frames_is_a_bad_video(frames):
    lines = (frames / "val.csv").read_text().splitlines()
    (frames / "val.csv").write_text("\n".join(line for line in lines if not line.startswith("1 ")) + "\n\n")
    dataset = build(frames, "val")
    assert len(dataset) == 2
    with pytest.raises(DecodeError, match=r"1: has no frames \(.*validation\.json: entry 1\)"):
        dataset[0]
    assert dataset[1].label_B.tolist() == [0]
