"""Videos in class folders from the command line: one numbering from training to test, and lists without labels."""

import shutil
from pathlib import Path

import pytest
import simplejson
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.engine import read_checkpoint
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels

NAMES = ("1", "2", "10", "11")  # by their value; as text 10 and 11 would come before 2
SMALL = {
    "DATA_LOADER.NUM_WORKERS": 0, "DATA.NUM_FRAMES": 4, "TRAIN.BATCH_SIZE": 2, "TEST.BATCH_SIZE": 4,
    "SOLVER.MAX_EPOCH": 1, "SOLVER.WARMUP_EPOCHS": 0, "BN.NUM_BATCHES_PRECISE": 1, "LOG_PERIOD": 1, "NUM_GPUS": 0,
    "AUTOX3D.DEPTHWISE_KERNELS": False, "MODEL.NUM_CLASSES": 4, "DATA.PATH_PREFIX": "",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):
        yield


def run(*arguments, **changes):
    values = {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}}
    options = [str(item) for pair in values.items() for item in pair]
    return cli.main(["run", "--cfg", str(config_path("autox3d/demo.yaml")), *map(str, arguments), *options])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """train/ and val/ of four classes, test/ of two of them, beside hidden and empty folders."""
    folder = tmp_path_factory.mktemp("data")
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    made = make_demo_data(folder / "demo", settings=settings, show_progress=False)
    videos = list(read_list(str(made / "train.csv"), path_prefix=str(made)).paths)
    for split, names in (("train", NAMES), ("val", NAMES), ("test", ("2", "11"))):
        for number, name in enumerate(names):
            (folder / split / name).mkdir(parents=True)
            shutil.copy(videos[number], folder / split / name / f"own {number}.mp4")
    (folder / "train" / ".thumbnails").mkdir()
    shutil.copy(videos[0], folder / "train" / ".thumbnails" / "a.mp4")
    (folder / "test" / "0").mkdir()
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    assert run(DATA__PATH_TO_DATA_DIR=data, OUTPUT_DIR=output) == 0
    return output


def checkpoint_of(output: Path) -> Path:
    return output / "checkpoints" / "checkpoint_epoch_00001.pyth"


def only_test(trained: Path, output: Path) -> dict:
    return {"TRAIN__ENABLE": False, "TEST__CHECKPOINT_FILE_PATH": checkpoint_of(trained), "OUTPUT_DIR": output}


def results(folder: Path) -> dict:
    return simplejson.loads((folder / "test_results.json").read_text())


def labels_by_folder(tested: dict) -> dict:
    return {Path(video["path"]).parent.name: video["label"] for video in tested["videos"]}


def test_the_training_numbers_the_classes_for_all(trained):
    numbers = {name: number for number, name in enumerate(NAMES)}
    tested = results(trained)
    assert labels_by_folder(tested) == {"2": 1, "11": 3}
    assert tested["classes"] == simplejson.loads((trained / "classes.json").read_text()) == numbers
    assert read_checkpoint(str(checkpoint_of(trained)))["model_card"]["classes"] == list(NAMES)
    assert [video["predicted_class"] for video in tested["videos"]] == [
        NAMES[video["predicted"]] for video in tested["videos"]
    ]


def test_a_later_test_has_the_same_numbering(data, trained, tmp_path, capsys):
    shutil.copytree(data / "test", tmp_path / "lists" / "test")
    later = only_test(trained, tmp_path / "out")
    assert run(DATA__PATH_TO_DATA_DIR=tmp_path / "lists", **later) == 0
    tested, first = results(tmp_path / "out"), results(trained)
    assert labels_by_folder(tested) == {"2": 1, "11": 3}
    assert (tested["classes"], tested["confusion"]) == (first["classes"], first["confusion"])
    (tmp_path / "lists" / "test" / "2").rename(tmp_path / "lists" / "test" / "two")
    assert run(DATA__PATH_TO_DATA_DIR=tmp_path / "lists", **later) == 1
    said = capsys.readouterr().err
    assert said == f"error: {tmp_path}/lists/test: the folder 'two' is no class of {checkpoint_of(trained)}\n"


def test_a_run_of_other_classes_is_not_resumed(data, trained, tmp_path, capsys):
    shutil.copytree(data, tmp_path / "data")
    for split in ("train", "val"):
        (tmp_path / "data" / split / "10").rename(tmp_path / "data" / split / "7")
    assert run(DATA__PATH_TO_DATA_DIR=tmp_path / "data", OUTPUT_DIR=trained, TEST__ENABLE=False) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: OUTPUT_DIR: {tmp_path}/data/train: class 2 is '7', but '10' in {trained}/checkpoints/"
    )
    start = {"TRAIN__CHECKPOINT_FILE_PATH": checkpoint_of(trained), "TRAIN__CHECKPOINT_EPOCH_RESET": True}
    assert (
        run(DATA__PATH_TO_DATA_DIR=tmp_path / "data", OUTPUT_DIR=tmp_path / "tuned", TEST__ENABLE=False, **start) == 0
    )
    log = (tmp_path / "tuned" / "stdout.log").read_text()
    assert f"TRAIN.CHECKPOINT_FILE_PATH: {tmp_path}/data/train: class 2 is '7', but '10' in" in log


def numbered(folder: Path, data: Path) -> Path:
    """The same videos in lists of numbers, whoever numbered them."""
    folder.mkdir()
    for split in ("train", "val", "test"):
        videos = sorted((data / split).glob("[!.]*/*.mp4"))
        lines = [f"{video} {NAMES.index(video.parent.name)}" for video in videos]
        (folder / f"{split}.csv").write_text("\n".join(lines))
    return folder


def test_names_and_a_network_of_numbers_are_not_compared(data, trained, tmp_path, capsys):
    """Nothing says that the numbers of a training are those that a list's names get in their order, or the reverse."""
    numbers, output = numbered(tmp_path / "numbers", data), tmp_path / "of_numbers"
    assert run(DATA__PATH_TO_DATA_DIR=numbers, OUTPUT_DIR=output) == 0
    refused = f"{data}/train: its classes are names, and {checkpoint_of(output)} was trained on numbers: write the name"
    later = only_test(output, tmp_path / "tested")
    capsys.readouterr()
    assert run(DATA__PATH_TO_DATA_DIR=data, **later) == 1
    assert capsys.readouterr().err.startswith(f"error: {refused}")
    assert run(DATA__PATH_TO_DATA_DIR=data, OUTPUT_DIR=output) == 1
    assert capsys.readouterr().err.startswith(f"error: OUTPUT_DIR: {refused}")
    assert run(DATA__PATH_TO_DATA_DIR=numbers, OUTPUT_DIR=trained) == 1
    assert "was trained on names, and the list has numbers: put its classes.json beside" in capsys.readouterr().err
    (numbers / "classes.json").write_text(simplejson.dumps(list(NAMES)))
    assert run(DATA__PATH_TO_DATA_DIR=numbers, **later) == 0  # now the names are those of the numbers


def test_a_start_that_leaves_nothing_to_train_is_refused(data, trained, tmp_path, capsys):
    start = {"TRAIN__CHECKPOINT_FILE_PATH": checkpoint_of(trained), "OUTPUT_DIR": tmp_path / "tuned"}
    assert run(DATA__PATH_TO_DATA_DIR=data, **start) == 1
    said = f"{checkpoint_of(trained)}: has trained 1 epochs, and SOLVER.MAX_EPOCH is 1: nothing is left to train"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize("form", ["csv", "folder"])
def test_a_list_without_labels_gives_predictions(data, trained, tmp_path, form):
    first = results(trained)
    paths = [video["path"] for video in first["videos"]]
    if form == "csv":
        (tmp_path / "test.csv").write_text("".join(f"{path}\n" for path in paths))
    else:
        (tmp_path / "test").mkdir()
        for number, path in enumerate(paths):
            shutil.copy(path, tmp_path / "test" / f"{number}.mp4")
    output = tmp_path / "out"
    later = only_test(trained, output)
    assert run(DATA__PATH_TO_DATA_DIR=tmp_path, **later) == 0
    tested = results(output)
    assert [v["predicted_class"] for v in tested["videos"]] == [v["predicted_class"] for v in first["videos"]]
    log = (output / "stdout.log").read_text()
    assert "the list has no labels" in log
    assert not [word for word in ("top-1", "top1", "_acc") if word in log + simplejson.dumps(tested)]


def test_training_needs_labels(data, tmp_path, capsys):
    (tmp_path / "train.csv").write_text(f"{data}/train/1/own 0.mp4\n" * 4)
    keys = {"TRAIN__EVAL_PERIOD": 0, "TEST__ENABLE": False, "OUTPUT_DIR": tmp_path / "out"}
    assert run(DATA__PATH_TO_DATA_DIR=tmp_path, **keys) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/train.csv: has no labels; only a test can do without\n"


def test_another_input_than_the_trainings_is_said(data, trained, tmp_path):
    output = tmp_path / "out"
    later = only_test(trained, output)
    assert run(DATA__PATH_TO_DATA_DIR=data, DATA__NUM_FRAMES=6, DATA__MEAN="[0.5,0.5,0.5]", **later) == 0
    log = (output / "stdout.log").read_text()
    for said in ("DATA.NUM_FRAMES is 6, and 4 in", "DATA.MEAN is [0.5, 0.5, 0.5], and [0.45, 0.45, 0.45] in"):
        assert f"{said} the config that {checkpoint_of(trained)} was trained with" in log
    assert "DATA.STD" not in log


def test_the_number_of_classes_is_told_where_it_alone_differs(data, trained, tmp_path, capsys):
    assert run(DATA__PATH_TO_DATA_DIR=data, MODEL__NUM_CLASSES=9, **only_test(trained, tmp_path)) == 1
    differs = "does not fit the model: the file has 4 classes, and the model has 9 (MODEL.NUM_CLASSES)"
    assert capsys.readouterr().err == f"error: {checkpoint_of(trained)}: {differs}\n"


def test_a_test_after_its_training_has_the_names_also_without_labels(data, tmp_path):
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(data / split)
    (tmp_path / "test.csv").write_text(f"{data}/test/2/own 0.mp4\n")
    assert run(DATA__PATH_TO_DATA_DIR=tmp_path, OUTPUT_DIR=tmp_path / "out") == 0
    tested = results(tmp_path / "out")
    assert tested["classes"] == {name: number for number, name in enumerate(NAMES)}
    assert tested["videos"][0]["predicted_class"] in NAMES


def test_classes_that_no_video_has_are_said(data, tmp_path):
    keys = {"MODEL__NUM_CLASSES": 6, "TRAIN__EVAL_PERIOD": 0, "TEST__ENABLE": False, "OUTPUT_DIR": tmp_path}
    assert run(DATA__PATH_TO_DATA_DIR=data, **keys) == 0
    assert f"MODEL.NUM_CLASSES is 6, but {data}/train has 4 classes" in (tmp_path / "stdout.log").read_text()
    assert run(DATA__PATH_TO_DATA_DIR=data, **keys | {"TRAIN__ENABLE": False, "TEST__ENABLE": True}) == 0
    assert results(tmp_path)["classes"] == {name: number for number, name in enumerate(NAMES)}
    card = read_checkpoint(str(checkpoint_of(tmp_path)))["model_card"]
    assert card["classes"] == [*NAMES, "unnamed class 4", "unnamed class 5"]


@pytest.mark.parametrize("key", ["TRAIN__CHECKPOINT_FILE_PATH", "TEST__CHECKPOINT_FILE_PATH"])
def test_a_searchs_checkpoint_is_named_as_such(data, tmp_path, capsys, key):
    path = tmp_path / "search" / "checkpoints" / "checkpoint_epoch_00001.pyth"
    path.parent.mkdir(parents=True)
    torch.save({"model_state": {"supernet.a": torch.zeros(1)}, "extra_states": {"search": {}}}, path)
    keys = {"DATA__PATH_TO_DATA_DIR": data, "OUTPUT_DIR": tmp_path / "out", "TRAIN__ENABLE": "TRAIN" in key, key: path}
    assert run(**keys) == 1
    said = capsys.readouterr().err
    assert f"{path}: is a checkpoint of a search and holds its supernet, not a network" in said
    assert "(the retrain.yaml that the search writes when it ends)" in said
    (tmp_path / "search" / "retrain.yaml").touch()
    assert run(**keys) == 1
    assert f"(--cfg {tmp_path}/search/retrain.yaml)" in capsys.readouterr().err
