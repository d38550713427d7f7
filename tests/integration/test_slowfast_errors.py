"""What a user gets wrong under `--harness slowfast`: one line and exit code 1. Skipped without PySlowFast."""

import pickle

import pytest
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data import ClassNames
from tests.integration.slowfast_support import load_small, needs_slowfast, small_opts

pytestmark = [needs_slowfast, pytest.mark.usefixtures("_quiet_process")]


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Lists over files that are no videos: nothing here gets as far as opening one."""
    folder = tmp_path_factory.mktemp("lists")
    for number in range(8):
        (folder / f"{number}.mp4").touch()
    for split in ("train", "val", "test"):
        (folder / f"{split}.csv").write_text("".join(f"{number}.mp4 {number}\n" for number in range(8)))
    return folder


@pytest.fixture
def refused(lists, tmp_path, capsys):
    """Run it with settings; return the one line that it ends in."""

    def run(*more, cfg="autox3d/S.yaml", **settings):
        settings = {
            "OUTPUT_DIR": tmp_path / "output",
            "DATA__PATH_TO_DATA_DIR": lists,
            "DATA__PATH_PREFIX": lists,
        } | settings
        code = cli.main(
            ["run", "--harness", "slowfast", "--cfg", str(config_path(cfg)), *small_opts(**settings), *more]
        )
        captured = capsys.readouterr()
        assert code == 1
        assert "Traceback" not in captured.err + captured.out
        last = captured.err.strip().splitlines()[-1]
        assert last.startswith("error: ")
        return last.removeprefix("error: ")

    return run


@pytest.fixture(scope="module")
def states():
    """Networks of the small settings: by name."""
    from pytorchvideo_autox3d.slowfast import register

    register()
    from slowfast.models import build_model

    torch.manual_seed(0)
    return {
        "AutoX3D": build_model(load_small()).state_dict(),
        "X3D": build_model(load_small("autox3d/X3D_S.yaml", X3D__DEPTH_FACTOR=1.0)).state_dict(),
    }


X3D = {"cfg": "autox3d/X3D_S.yaml", "X3D__DEPTH_FACTOR": 1.0}
TEST_ALONE = {"TRAIN__ENABLE": False}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"AUTOX3D__ARCHITECTUR": "S"}, "command line: unknown key AUTOX3D.ARCHITECTUR; did you mean AUTOX3D.ARCHITEC"),
        ({"AUTO3D__GROUPS": []}, "command line: unknown key AUTO3D.GROUPS; did you mean AUTOX3D.GROUPS"),
        ({"TRAIN__BATCH_SIZE": "many"}, "command line: TRAIN.BATCH_SIZE must be of type int, got 'many'"),
        ({"TRAIN__BATCH_SIZE": 0}, "TRAIN.BATCH_SIZE is 0, expected 1 or more"),
        ({"SOLVER__WARMUP_EPOCHS": 2.0}, "SOLVER.WARMUP_EPOCHS is 2, expected less than SOLVER.MAX_EPOCH 1"),
        ({"TRAIN__EVAL_PERIOD": 0}, "TRAIN.EVAL_PERIOD is 0, expected 1 or more"),
        ({"MODEL__NUM_CLASSES": 3}, "MODEL.NUM_CLASSES is 3, expected 5 or more"),
        ({"MODEL__NUM_CLASSES": 6}, "3 things to mend: (1) {lists}/train.csv:7: "),
        ({"MODEL__MODEL_NAME": "AutoX4D"}, "MODEL.MODEL_NAME 'AutoX4D': known are AutoX3D, AutoX3DDetection, "),
        ({"MODEL__ARCH": "autox4d"}, "MODEL.ARCH 'autox4d': known are 2d, c2d, "),
        ({"MODEL__HEAD_ACT": "tanh"}, "MODEL.HEAD_ACT 'tanh': known are softmax, sigmoid"),
        ({"MODEL__LOSS_FUNC": "crossentropy"}, "MODEL.LOSS_FUNC 'crossentropy': PySlowFast has no loss of that name"),
        ({"SOLVER__LR_POLICY": "cosinus"}, "SOLVER.LR_POLICY 'cosinus': PySlowFast has none of that name"),
        ({"SOLVER__OPTIMIZING_METHOD": "sdg"}, "SOLVER.OPTIMIZING_METHOD 'sdg': PySlowFast has none of that name"),
        (
            {"SOLVER__LAYER_DECAY": 0.5},
            "SOLVER.LAYER_DECAY is 0.5: PySlowFast refuses it with AutoX3D: BN is not supported",
        ),
        ({"SOLVER__LAYER_DECAY": 1.5}, "SOLVER.LAYER_DECAY is 1.5: PySlowFast refuses it with AutoX3D: Layer decay"),
        ({"DEMO__ENABLE": True}, "DEMO.ENABLE is True, which is read only with PySlowFast's own tools"),
        ({"AVA__FRAME_DIR": "x"}, "AVA.FRAME_DIR is 'x', which is read only with DETECTION.ENABLE True"),
        ({"TASK": "ssl"}, "TASK is 'ssl', which counts only with MODEL.MODEL_NAME ContrastiveModel or MaskMViT"),
        ({"BN__NORM_TYPE": "batchnrm"}, "BN.NORM_TYPE 'batchnrm': known are batchnorm, sub_batchnorm, "),
        (
            {"SEARCH__ENABLE": True, "SEARCH__METHOD": "guesswork"},
            "SEARCH.METHOD: no entry named 'guesswork'",
        ),
        ({"TEST__DATASET": "kinetic"}, "TEST.DATASET 'kinetic': known are autox3d_kinetics, "),
        (
            {"TRAIN__DATASET": "ptvkinetics"},
            "TRAIN.DATASET 'ptvkinetics': PySlowFast's data sets over",
        ),
        ({"TEST__CHECKPOINT_TYPE": "caffe"}, "PySlowFast refuses the config: "),
        ({"AUTOX3D__ARCHITECTURE": "XXL", "AUTOX3D__GROUPS": []}, "AUTOX3D.ARCHITECTURE: 'XXL' is neither"),
        ({"TRAIN__ENABLE": False, "TEST__ENABLE": False}, "nothing to do: SEARCH.ENABLE, TRAIN.ENABLE and TEST.ENABLE"),
        (
            {"DATA__PATH_TO_DATA_DIR": "/no/such/folder"},
            "3 things to mend: (1) DATA.PATH_TO_DATA_DIR: /no/such",
        ),
        ({"DATA__PATH_TO_DATA_DIR": ""}, "DATA.PATH_TO_DATA_DIR is empty"),
        ({"DETECTION__ENABLE": True}, "DETECTION.ENABLE True with MODEL.MODEL_NAME 'AutoX3D'"),
        (X3D | {"DETECTION__ENABLE": True}, "DETECTION.ENABLE True with MODEL.MODEL_NAME 'X3D'"),
        ({"NUM_SHARDS": 2}, "NUM_SHARDS 2 with NUM_GPUS 0: PySlowFast would run 2 separate jobs"),
        ({"AUG__NUM_SAMPLE": 2}, "AUG.NUM_SAMPLE is 2, expected 1"),
        ({"OUTPUT_DIR": "/proc/none"}, "OUTPUT_DIR: can't write to /proc/none"),
        (TEST_ALONE, "nothing to test: TEST.CHECKPOINT_FILE_PATH is empty and "),
        (TEST_ALONE | {"TEST__CHECKPOINT_FILE_PATH": "/none.pyth"}, "/none.pyth: no such checkpoint"),
        ({"TEST__CHECKPOINT_FILE_PATH": "/none.pyth"}, "/none.pyth: no such checkpoint"),
        ({"TRAIN__CHECKPOINT_FILE_PATH": "/none.pyth"}, "/none.pyth: no such checkpoint"),
    ],
    ids=lambda value: None if isinstance(value, str) else ",".join(f"{key}={one}"[:40] for key, one in value.items()),
)
def test_refused_before_it_starts(refused, lists, settings, message):
    assert refused(**settings).startswith(message.format(lists=lists))


def test_options_come_in_pairs(refused):
    assert refused("--opts", "NUM_GPUS").startswith("options come in pairs KEY VALUE, but 'NUM_GPUS' has no value")


def test_from_another_folder_the_shipped_config_is_meant(lists, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = small_opts(DATA__PATH_TO_DATA_DIR=lists, TRAIN__EVAL_PERIOD=0)
    assert cli.main(["run", "--harness", "slowfast", "--cfg", "configs/autox3d/S.yaml", *options]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: TRAIN.EVAL_PERIOD is 0")
    assert cli.main(["run", "--harness", "slowfast", "--cfg", "configs/autox3d/T.yaml"]) == 1
    assert "no config file 'configs/autox3d/T.yaml'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_caffe2_pickle(refused, tmp_path):
    path = tmp_path / "zoo.pkl"
    path.write_bytes(pickle.dumps({"blobs": {"conv1_w": [0.0]}}, protocol=2))
    for settings in (TEST_ALONE | {"TEST__CHECKPOINT_FILE_PATH": path}, {"TRAIN__CHECKPOINT_FILE_PATH": path}):
        assert refused(**settings, **X3D).startswith(f"{path}: a caffe2 pickle, refused, since unpickling runs")


def test_another_format_names_its_keys_and_the_conversion(refused, states, tmp_path):
    from pytorchvideo_autox3d.models.x3d_checkpoints import convert_state

    path = tmp_path / "hub.pyth"
    torch.save({"model_state": convert_state(states["X3D"], "pytorchvideo")}, path)
    for settings in (TEST_ALONE | {"TEST__CHECKPOINT_FILE_PATH": path}, {"TRAIN__CHECKPOINT_FILE_PATH": path}):
        line = refused(**settings, **X3D)
        assert line.startswith(f"{path}: does not fit the model, which lacks blocks.0.conv.")
        assert line.endswith("; autox3d convert-checkpoint writes it --to slowfast")


def test_another_network(refused, states, tmp_path):
    torch.save({"model_state": {"backbone.weight": torch.zeros(2)}}, tmp_path / "other.pyth")
    settings = TEST_ALONE | {"TEST__CHECKPOINT_FILE_PATH": tmp_path / "other.pyth"}
    assert "does not fit the model, which lacks backbone.weight" in refused(**settings)
    one_fits = {**states["AutoX3D"]}
    kept = next(iter(one_fits))
    one_fits = {kept: one_fits[kept], "backbone.weight": torch.zeros(2)}
    torch.save({"model_state": one_fits}, tmp_path / "start.pyth")
    line = refused(TRAIN__CHECKPOINT_FILE_PATH=tmp_path / "start.pyth", TRAIN__CHECKPOINT_EPOCH_RESET=True)
    assert f"does not fit the model: 1 of its {len(states['AutoX3D'])} tensors" in line
    torch.save({"model_state": states["AutoX3D"]}, tmp_path / "classes.pyth")
    settings = TEST_ALONE | {"TEST__CHECKPOINT_FILE_PATH": tmp_path / "classes.pyth", "MODEL__NUM_CLASSES": 9}
    assert "the file has 8 classes, and the model has 9 (MODEL.NUM_CLASSES)" in refused(**settings)
    torch.save(states["AutoX3D"], tmp_path / "bare.pyth")
    settings = TEST_ALONE | {"TEST__CHECKPOINT_FILE_PATH": tmp_path / "bare.pyth"}
    assert "has no model_state" in refused(**settings)


def test_a_run_of_the_other_harness_is_not_resumed(refused, states, tmp_path):
    folder = tmp_path / "output" / "checkpoints"
    folder.mkdir(parents=True)
    native = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1).state_dict()
    torch.save({"epoch": 0, "model_state": states["AutoX3D"], "optimizer_state": native},
               folder / "checkpoint_epoch_00001.pyth")  # fmt: skip
    assert "PySlowFast can't resume it, so name another OUTPUT_DIR" in refused()
    line = refused(OUTPUT_DIR=tmp_path, TRAIN__CHECKPOINT_FILE_PATH=folder / "checkpoint_epoch_00001.pyth")
    assert "set TRAIN.CHECKPOINT_EPOCH_RESET True to take the weights" in line


def test_a_folder_of_another_network_is_not_resumed(refused, states, tmp_path):
    folder = tmp_path / "output" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"epoch": 0, "model_state": states["AutoX3D"]}, folder / "checkpoint_epoch_00001.pyth")
    assert "checkpoint_epoch_00001.pyth: does not fit the model" in refused(**X3D)


def test_a_video_that_cannot_be_decoded_in_a_worker(refused, states, lists, tmp_path):
    """Past the checks: the error of a data worker is one line too."""
    torch.save({"model_state": states["AutoX3D"]}, tmp_path / "model.pyth")
    settings = TEST_ALONE | {"TEST__CHECKPOINT_FILE_PATH": tmp_path / "model.pyth", "DATA_LOADER__NUM_WORKERS": 1}
    assert "0.mp4" in refused(**settings)


@pytest.fixture
def folders(tmp_path):
    """Class folders of six classes, of which the test has the last two."""
    names = ("1", "2", "3", "4", "10", "11")
    for split, present in (("train", names), ("val", names), ("test", names[4:])):
        for name in present:
            (tmp_path / "data" / split / name).mkdir(parents=True)
            (tmp_path / "data" / split / name / "a.mp4").touch()
    return tmp_path / "data"


def test_the_training_numbers_the_classes_for_all(folders, tmp_path):
    from pytorchvideo_autox3d.slowfast import preflight, register, tested

    register()
    settings = {"DATA__PATH_TO_DATA_DIR": folders, "MODEL__NUM_CLASSES": 6, "OUTPUT_DIR": tmp_path / "run"}
    cfg = load_small(**settings)
    checked = preflight.check(cfg)
    classes = checked.classes
    assert classes.names == ("1", "2", "3", "4", "10", "11")
    assert checked.lists["test"].labels.tolist() == [4, 5]
    assert tested.classes_for(cfg, "test") == tested.classes_for(cfg, "train") == ClassNames()
    path = tmp_path / "run" / "checkpoints" / "checkpoint_epoch_00001.pyth"
    path.parent.mkdir(parents=True)
    torch.save({"model_state": {"a": torch.zeros(1)}}, path)  # as PySlowFast's, which say no classes
    classes.write(tmp_path / "run")
    alone = load_small(**settings, **TEST_ALONE, TEST__CHECKPOINT_FILE_PATH=path)
    assert tested.classes_for(alone, "test") == classes


def test_a_run_of_other_classes_is_not_resumed(refused, states, folders, tmp_path):
    run = tmp_path / "output"
    (run / "checkpoints").mkdir(parents=True)
    network = dict(states["AutoX3D"])
    torch.save({"model_state": network}, run / "checkpoints" / "checkpoint_epoch_00001.pyth")
    (run / "classes.json").write_text('["1", "2", "3", "4", "10", "eleven"]')
    said = refused(DATA__PATH_TO_DATA_DIR=folders, TEST__ENABLE=False)
    assert (
        said == f"OUTPUT_DIR: {folders}/train: class 5 is '11', but 'eleven' in {run}/classes.json: the classes differ"
    )


def test_a_list_without_labels_is_for_the_native_harness(refused, lists, tmp_path):
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text((lists / f"{split}.csv").read_text())
    (tmp_path / "test.csv").write_text("0.mp4\n1.mp4\n")
    said = refused(DATA__PATH_TO_DATA_DIR=tmp_path)
    assert said == f"{tmp_path}/test.csv: has no labels, and PySlowFast's test needs them; --harness native does not"


@pytest.mark.parametrize("key", ["TRAIN__CHECKPOINT_FILE_PATH", "TEST__CHECKPOINT_FILE_PATH"])
def test_a_searchs_checkpoint_is_named_as_such(refused, tmp_path, key):
    path = tmp_path / "search.pyth"
    torch.save({"model_state": {"supernet.a": torch.zeros(1)}, "extra_states": {"search": {}}}, path)
    said = refused(**{key: path, "TRAIN__ENABLE": "TRAIN" in key})
    assert said.startswith(f"{path}: is a checkpoint of a search and holds its supernet, not a network")
