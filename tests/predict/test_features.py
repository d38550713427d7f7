import json

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.errors import ConfigError, DataError
from pytorchvideo_autox3d.predict import Recognizer
from pytorchvideo_autox3d.predict.features import FeatureFolder, feature_function, read_features, read_index
from pytorchvideo_autox3d.predict.probe import probe
from tests.models.test_package import tiny_card
from tests.predict.conftest import write_grey

MADE_WITH = {"model": "m", "kind": "pooled", "views": "2x1"}


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    card = tiny_card(num_clips=2, num_crops=1)
    return Recognizer(card.build(), card, device="cpu", workers=0)


@pytest.fixture
def videos(tmp_path):
    return [str(write_grey(tmp_path / f"{n}.mp4", [60 * n] * 12)) for n in range(3)]


def test_pooled_features_make_the_logits_and_maps_the_head(tiny):
    clip = torch.randint(0, 256, (3, 3, 2, 16, 16), dtype=torch.uint8)
    pooled = feature_function(tiny, "pooled")(clip)
    proj = tiny.network.blocks[-1].proj
    assert pooled.shape == (3, 8)
    found = feature_function(tiny, "map")(clip)
    assert found.shape == (3, 8, 2, 4, 4)  # the stem and the only group halve the picture
    with torch.no_grad():
        torch.testing.assert_close(proj(pooled), tiny.logits(clip))
        torch.testing.assert_close(tiny.network.blocks[-1](found), tiny.logits(clip))
    assert not proj._forward_pre_hooks


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_for_every_video_and_what_is_missing_is_made(tiny, videos, broken, tmp_path, suffix):
    folder = FeatureFolder(tmp_path / "f", MADE_WITH, suffix=suffix)
    faults, asked = [], []
    function = feature_function(tiny, "pooled")

    def counted(clip):
        asked.append(clip)
        return function(clip)

    given = [videos[0], str(broken), videos[1]]
    count = folder.extract(tiny, given, counted, labels=[5, 6, 7], on_fault=lambda *fault: faults.append(fault))
    assert count == 2
    assert [video for video, _ in faults] == [str(broken)]
    rows = read_index(tmp_path / "f")["videos"]
    assert [(row["video"], row["label"]) for row in rows] == [(videos[0], 5), (videos[1], 7)]
    features = read_features(tmp_path / "f" / rows[1]["file"])
    clips = tiny._clips(videos[1]).clip_VCTHW
    np.testing.assert_allclose(features, function(clips).numpy(), rtol=1e-5)
    FeatureFolder(tmp_path / "f", MADE_WITH, suffix=suffix).extract(tiny, videos, counted)
    assert len(asked) == 3  # the third video alone
    with pytest.raises(DataError, match="another views"):
        FeatureFolder(tmp_path / "f", {**MADE_WITH, "views": "1x1"}, suffix=suffix)


def test_videos_of_one_name_in_different_lists_have_files_of_their_own(tiny, tmp_path):
    function = feature_function(tiny, "pooled")
    for part in "ab":
        (tmp_path / part).mkdir()
    dark, bright = (str(write_grey(tmp_path / part / "clip.mp4", [60 * n] * 12)) for n, part in enumerate("ab"))
    for videos in ([dark], [bright], [dark]):
        folder = FeatureFolder(tmp_path / "f", MADE_WITH, suffix=".npz")
        assert folder.extract(tiny, videos, function) == 1
        (row,) = read_index(tmp_path / "f")["videos"]
        clips = tiny._clips(videos[0]).clip_VCTHW
        found = read_features(tmp_path / "f" / row["file"])
        np.testing.assert_allclose(found, function(clips).numpy(), rtol=1e-5)
    assert len(list((tmp_path / "f").glob("*.npz"))) == 2


def test_what_an_interrupted_run_made_is_known(tiny, videos, tmp_path):
    function = feature_function(tiny, "pooled")

    def interrupted(clip):
        if len(list((tmp_path / "f").glob("*.npz"))) == 2:
            raise KeyboardInterrupt
        return function(clip)

    with pytest.raises(KeyboardInterrupt):
        FeatureFolder(tmp_path / "f", MADE_WITH, suffix=".npz").extract(tiny, videos, interrupted)
    asked = []
    FeatureFolder(tmp_path / "f", MADE_WITH, suffix=".npz").extract(
        tiny, videos, lambda clip: asked.append(clip) or function(clip)
    )
    assert len(asked) == 1
    assert [row["video"] for row in read_index(tmp_path / "f")["videos"]] == videos


def test_where_nothing_can_be_read_nothing_is_left(tiny, broken, tmp_path):
    folder = FeatureFolder(tmp_path / "f", MADE_WITH, suffix=".npz")
    assert folder.extract(tiny, [str(broken)], feature_function(tiny, "pooled"), on_fault=lambda *_: None) == 0
    assert list((tmp_path / "f").iterdir()) == []


def test_what_has_no_features_is_named(recognizer, tmp_path):
    with pytest.raises(ConfigError, match="exported"):
        feature_function(recognizer, "pooled")
    (tmp_path / "a.npz").write_bytes(b"none")
    (tmp_path / "a.safetensors").write_bytes(b"none")
    for name in ("a.npz", "a.safetensors", "b.npz"):
        with pytest.raises(DataError, match=name):
            read_features(tmp_path / name)


def write_folder(folder, features, labels, *, shape=()):
    folder.mkdir()
    rows = []
    for n, (feature, label) in enumerate(zip(features, labels, strict=True)):
        np.savez(folder / f"{n}.npz", features=np.broadcast_to(feature.reshape(-1, *shape), (2, feature.size, *shape)))
        rows.append({"video": f"{n}.mp4", "label": int(label), "file": f"{n}.npz"})
    (folder / "index.json").write_text(json.dumps({"made_with": {}, "videos": rows}))
    return folder


def test_probe_tells_apart_what_can_be(tmp_path):
    """Classes on two half-lines: by angle they part, one channel is noise of a thousand times the size."""
    random = np.random.default_rng(0)

    def drawn(count):
        label_N = random.integers(0, 2, count)
        signal = np.where(label_N, 1.0, -1.0)[:, None] * random.uniform(1, 2, (count, 3))
        return np.concatenate([signal, 1000 * random.normal(size=(count, 1))], axis=1), label_N

    train = write_folder(tmp_path / "train", *drawn(80))
    features, label_N = drawn(40)
    found = probe(train, write_folder(tmp_path / "test", features, label_N))
    assert found.linear_acc == 100.0
    assert found.knn_acc >= 95.0
    assert (found.train_videos, found.test_videos) == (80, 40)
    wrong = probe(train, write_folder(tmp_path / "wrong", features, 1 - label_N))
    assert wrong.linear_acc == 0.0


def test_probe_names_what_is_wrong(tmp_path, videos):
    ones = np.ones((4, 3))
    good = write_folder(tmp_path / "good", np.ones((6, 3)) * np.arange(6)[:, None], [0, 1] * 3)
    maps = write_folder(tmp_path / "maps", ones, [0, 1, 0, 1], shape=(1, 1, 1))
    wide = write_folder(tmp_path / "wide", np.ones((2, 5)), [0, 1])
    named = write_folder(tmp_path / "named", ones[:2], [0, 1])
    index = json.loads((named / "index.json").read_text())
    rows = [{**row, "label": "ab"[row["label"]]} for row in index["videos"]]
    (named / "index.json").write_text(json.dumps({**index, "videos": rows}))
    same = write_folder(tmp_path / "same", ones, [1, 1, 1, 1])
    cases = [
        ((good, maps), {}, "maps"),
        ((good, wide), {}, "5 channels"),
        ((same, good), {}, "one class"),
        ((good, named), {}, "named: classes are names, those of .*good are numbers"),
        ((good, tmp_path), {}, "no index"),
        ((good, good), {"neighbours": 9}, "neighbours"),
        ((good, good), {"regularisation": 0.0}, "regularisation"),
    ]
    for folders, options, words in cases:
        with pytest.raises((DataError, ConfigError), match=words):
            probe(*folders, **options)
