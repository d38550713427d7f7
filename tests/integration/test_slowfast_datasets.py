"""PySlowFast's train() and test() on Something-Something and on AVA's boxes, both made here. Skipped without it."""

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import config_path
from tests.integration.slowfast_support import needs_slowfast, scores_of, small_opts, stats_of

cv2 = pytest.importorskip("cv2", reason="PySlowFast's AVA data set reads pictures with it: the [slowfast] extra has it")
pytestmark = [needs_slowfast, pytest.mark.usefixtures("_quiet_process")]

TEMPLATES = ("Pushing [something] from left to right", "Pushing [something] from right to left",
             "Holding [something]", "Opening [something]", "Closing [something]", "Lifting [something]")  # fmt: skip
CLASSES = [template.replace("[", "").replace("]", "") for template in TEMPLATES]
TEST_VIDEOS = 5


def harness(name, **settings):
    """The exit code of the command line."""
    return cli.main(["run", "--harness", "slowfast", "--cfg", str(config_path(name)), *small_opts(**settings)])


def write_webm(path, seed):
    """Twelve frames of a moving bar in VP9, as the data set has them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=12)
        stream.width, stream.height, stream.pix_fmt = 56, 48, "yuv420p"
        for number in range(12):
            picture = np.full((48, 56, 3), 40 * (seed % 5), np.uint8)
            picture[:, 4 * number : 4 * number + 8] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def something(tmp_path_factory):
    """Lists and videos as they are handed out."""
    root = tmp_path_factory.mktemp("ssv2")
    (root / "videos").mkdir()
    (root / "something-something-v2-labels.json").write_text(
        json.dumps({name: str(number) for number, name in enumerate(CLASSES)})
    )
    for split, first, count in (("train", 0, 6), ("validation", 10, TEST_VIDEOS)):
        entries = []
        for video in range(first, first + count):
            write_webm(root / "videos" / f"{video}.webm", video)
            entries.append({"id": str(video), "template": TEMPLATES[video % len(TEMPLATES)]})
        (root / f"something-something-v2-{split}.json").write_text(json.dumps(entries))
    return root


def test_something_something(something, tmp_path):
    settings = {"DATA__PATH_TO_DATA_DIR": something, "DATA__PATH_PREFIX": something / "videos",
                "MODEL__NUM_CLASSES": len(CLASSES), "TEST__SAVE_RESULTS_PATH": "scores.pkl",
                "TEST__DATASET": "autox3d_ssv2"}  # fmt: skip
    assert harness("autox3d/S_ssv2.yaml", OUTPUT_DIR=tmp_path / "theirs", **settings) == 0
    assert len(stats_of(tmp_path / "theirs", "train_epoch")) == 1
    assert len(stats_of(tmp_path / "theirs", "val_epoch")) == 1
    assert len(stats_of(tmp_path / "theirs", "test_final")) == 1
    scores, labels = scores_of(tmp_path / "theirs" / "scores.pkl")
    assert labels.tolist() == [video % len(CLASSES) for video in range(10, 10 + TEST_VIDEOS)]
    torch.testing.assert_close(scores.sum(1), torch.full((TEST_VIDEOS,), 6.0))  # 2 clips x 3 crops

    checkpoint = tmp_path / "theirs" / "checkpoints" / "checkpoint_epoch_00001.pyth"
    settings |= {"TRAIN__ENABLE": False, "TEST__DATASET": "ssv2", "TEST__SAVE_RESULTS_PATH": "",
                 "TEST__CHECKPOINT_FILE_PATH": checkpoint}  # fmt: skip
    native = small_opts(OUTPUT_DIR=tmp_path / "native", **settings)
    assert cli.main(["run", "--cfg", str(config_path("autox3d/S_ssv2.yaml")), *native]) == 0
    saved = np.load(tmp_path / "native" / "test_results.npz")
    np.testing.assert_allclose(saved["score"], scores.numpy() / 6, atol=1e-5)


ACTIONS = (3, 12, 80)
# second, box as shares of the picture, action; PySlowFast's keyframe of second s is frame 30 (s - 900).
KEYFRAMES = ((902, (0.1, 0.1, 0.6, 0.9), 12), (903, (0.0, 0.2, 0.5, 1.0), 3), (904, (0.3, 0.0, 0.9, 0.7), 80),
             (904, (0.1, 0.1, 0.4, 0.6), 12))  # fmt: skip


@pytest.fixture(scope="module")
def ava(tmp_path_factory):
    """Two videos as lists of frames, with boxes, in AVA's form; the frames of a second are one picture."""
    root = tmp_path_factory.mktemp("ava")
    rng = np.random.default_rng(0)
    for second in range(5):
        cv2.imwrite(str(root / f"{second}.jpg"), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    with open(root / "frames.csv", "w") as file:
        file.write("original_vido_id video_id frame_id path labels\n")
        for number, video in enumerate(("first", "second")):
            for frame in range(130):
                file.write(f'{video} {number} {frame} {frame // 30}.jpg ""\n')
    rows = [[video, second, *box, action] for video in ("first", "second") for second, box, action in KEYFRAMES]
    write_rows(root / "boxes.csv", [[*row, 0] for row in rows])
    write_rows(root / "detected.csv", [[*row[:6], "", 0.99] for row in rows])
    write_rows(root / "excluded.csv", [["second", 903]])
    labels = "".join(f'item {{\n  name: "action {one}"\n  id: {one}\n}}\n' for one in ACTIONS)
    (root / "labels.pbtxt").write_text(labels)
    return {
        "AVA__FRAME_DIR": root, "AVA__FRAME_LIST_DIR": root, "AVA__ANNOTATION_DIR": root,
        "AVA__TRAIN_LISTS": ["frames.csv"], "AVA__TEST_LISTS": ["frames.csv"],
        "AVA__TRAIN_GT_BOX_LISTS": ["boxes.csv"], "AVA__TEST_PREDICT_BOX_LISTS": ["detected.csv"],
        "AVA__LABEL_MAP_FILE": "labels.pbtxt", "AVA__EXCLUSION_FILE": "excluded.csv",
        "AVA__GROUNDTRUTH_FILE": "boxes.csv", "TRAIN__DATASET": "ava", "TEST__DATASET": "ava",
        "DETECTION__ENABLE": True, "MODEL__MODEL_NAME": "AutoX3DDetection", "MODEL__NUM_CLASSES": 80,
        "MODEL__HEAD_ACT": "sigmoid", "MODEL__LOSS_FUNC": "bce", "BN__USE_PRECISE_STATS": False,
        "DATA__TRAIN_CROP_SIZE": 32, "DATA__TEST_CROP_SIZE": 32, "TRAIN__BATCH_SIZE": 2, "TRAIN__EVAL_PERIOD": 1,
    }  # fmt: skip


def write_rows(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize("name", ["autox3d/S.yaml", "autox3d/X3D_S.yaml"])
def test_boxes_through_its_own_ava_path(ava, name, tmp_path, monkeypatch):
    """Its data set, collation, meter and evaluation; train() with a validation, then test()."""
    monkeypatch.chdir(tmp_path)  # its evaluation writes detections_latest.csv to the working folder
    assert harness(name, OUTPUT_DIR=tmp_path, X3D__DEPTH_FACTOR=1.0, **ava) == 0
    (validated,) = stats_of(tmp_path, "val_epoch")
    (tested,) = [stats for stats in stats_of(tmp_path, "") if stats.get("mode") == "test" and "_type" not in stats]
    assert 0 <= validated["map"] <= 1
    assert 0 <= tested["map"] <= 1
    detections = list(csv.reader(Path("detections_latest.csv").read_text().splitlines()))
    # Each of the four boxes of both videos has a score for each action of the label map.
    assert len(detections) == 2 * len(KEYFRAMES) * len(ACTIONS)
    assert {row[0] for row in detections} == {"first", "second"}
    state = torch.load(tmp_path / "checkpoints" / "checkpoint_epoch_00001.pyth", weights_only=True)["model_state"]
    assert state["head.proj.weight"].shape[0] == 80


def test_a_classifier_starts_a_detector(ava, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pytorchvideo_autox3d.slowfast import register
    from tests.integration.slowfast_support import load_small

    register()
    from slowfast.models import build_model

    torch.manual_seed(0)
    torch.save({"model_state": build_model(load_small()).state_dict()}, tmp_path / "classifier.pyth")
    settings = {"TEST__ENABLE": False, "TRAIN__CHECKPOINT_FILE_PATH": tmp_path / "classifier.pyth"}
    assert harness("autox3d/S.yaml", OUTPUT_DIR=tmp_path, **ava, **settings) == 0
    start = torch.load(tmp_path / "classifier.pyth", weights_only=True)["model_state"]
    end = torch.load(tmp_path / "checkpoints" / "checkpoint_epoch_00001.pyth", weights_only=True)["model_state"]
    # One epoch at a small rate moves the weights a little; other weights would be far away.
    kernel = "blocks.1.res_blocks.0.branch2.conv_a.weight"
    key = kernel if kernel in start else next(key for key in start if key.endswith("weight") and start[key].ndim == 5)
    assert 0 < (end[key] - start[key]).norm() < 0.1 * start[key].norm()
