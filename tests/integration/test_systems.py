"""Systems of the tables from video files to fused scores, by their shipped configs: one of frames, two streams."""

from pathlib import Path

import pytest
import simplejson
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    folder = make_demo_data(tmp_path_factory.mktemp("data") / "demo", settings=settings, show_progress=False)
    lists = [str(folder / f"{mode}.csv") for mode in ("train", "val", "test")]
    assert cli.main(["make-flow", *lists, "--prefix", str(folder), "--workers", "0"]) == 0
    return folder


def run(name: str, data: Path, output: Path, **changes) -> dict:
    values = {
        "DATA.PATH_TO_DATA_DIR": data, "DATA.PATH_PREFIX": data, "OUTPUT_DIR": output, "DATA.NUM_FRAMES": 4,
        "TRAIN.BATCH_SIZE": 4, "TEST.NUM_ENSEMBLE_VIEWS": 1, "BN.NUM_BATCHES_PRECISE": 1, "NUM_GPUS": 0,
        "AUTOX3D.DEPTHWISE_KERNELS": False, **changes,
    }  # fmt: skip
    opts = [str(part) for pair in values.items() for part in pair]
    with depthwise_kernels(False):
        assert cli.main(["run", "--cfg", f"baselines/{name}.yaml", "baselines/on_demo.yaml", *opts]) == 0
    return simplejson.loads((output / "test_results.json").read_text())


def test_a_network_of_frames_by_segments(data, tmp_path):
    result = run("tsm_mobilenetv2", data, tmp_path / "tsm")
    assert result["num_videos"] == 8
    card = torch.load(tmp_path / "tsm" / "checkpoints" / "checkpoint_epoch_00001.pyth", weights_only=True)["model_card"]
    assert card["preprocessing"]["frame_sampling"] == "segments"


def test_two_streams_are_fused(data, tmp_path, capsys):
    run("i3d", data, tmp_path / "rgb")
    run("i3d_flow", data, tmp_path / "flow")
    results = [str(tmp_path / stream / "test_results.npz") for stream in ("rgb", "flow")]
    assert cli.main(["fuse", *results, "--output", str(tmp_path / "fused")]) == 0
    assert "fused: top-1" in capsys.readouterr().out
    assert simplejson.loads((tmp_path / "fused" / "test_results.json").read_text())["num_views"] == 2
