"""Two processes under torchrun: started again after one was killed, stopped by SIGTERM, refused a folder in use."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import simplejson
from torch.distributed import run

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.jobs.output_lock import output_lock
from tests.integration.test_run_net import SMALL
from tests.processes import run_main

ROOT = Path(__file__).parents[2]
# Imported by AUTOX3D.IMPORTS: in the second epoch process 1, or a worker of it, does something else, once: torchrun
# dies of a second signal where it has taken its handler away already.
ACTING = """
import os, pathlib, signal
from pytorchvideo_autox3d.data import Kinetics
from pytorchvideo_autox3d.registry import DATASET_REGISTRY


def parent(process):
    return int(pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def act():
    %s


@DATASET_REGISTRY.register(name="acting")
class Acting(Kinetics):
    def __getitem__(self, key):
        marker = pathlib.Path(__file__).with_name("acted")
        if key[0] == 1 and os.environ["RANK"] == "1" and not marker.exists():
            marker.touch()
            act()
        return super().__getitem__(key)
"""
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
# A loader's worker, its process, torchrun; which sends the signal on to all of each process's group.
STOP_TORCHRUN = "os.kill(parent(os.getppid()), signal.SIGTERM)"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    return make_demo_data(tmp_path_factory.mktemp("data") / "demo", settings=settings, show_progress=False)


def train_under_torchrun(
    data: Path,
    folder: Path,
    act: str,
    *options: str,
    processes: int = 2,
    workers: int = 0,
    epochs: int = 2,
    more: Mapping[str, Any] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Epochs of two steps by processes under torchrun, or by a single one without it, into `folder`/out."""
    (folder / "acting.py").write_text(ACTING % act)
    changes = {
        **SMALL, "DATA.PATH_TO_DATA_DIR": data, "DATA.PATH_PREFIX": data, "OUTPUT_DIR": folder / "out",
        "TEST.ENABLE": False, "TRAIN.DATASET": "acting", "AUTOX3D.IMPORTS": "[acting]", "SOLVER.MAX_EPOCH": epochs,
        "TRAIN.CHECKPOINT_PERIOD": 1, "TRAIN.EVAL_PERIOD": 0, "BN.USE_PRECISE_STATS": False,
        "DATA_LOADER.NUM_WORKERS": workers, **(more or {}),
    }  # fmt: skip
    arguments = ["--cfg", config_path("autox3d/demo.yaml"), *(item for pair in changes.items() for item in pair)]
    if processes == 1:
        return run_main(cli.main, ["run", *arguments], folder, paths=[folder])
    command = [
        "--nproc-per-node", processes, "--standalone", *options,
        ROOT / "tools" / "run_net.py", *arguments,
    ]  # fmt: skip
    return run_main(run.main, command, folder, environment={"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"})


def own_lines(error_output: str) -> list[str]:
    """What the processes said, without what torchrun says; a traceback of theirs fails the test."""
    assert "]: Traceback" not in error_output, error_output
    assert "Warning" not in error_output, error_output
    return [line for line in error_output.splitlines() if line.startswith(("error: ", "interrupted: "))]


def test_a_killed_worker_is_started_again_and_the_job_goes_on(data, tmp_path):
    done = train_under_torchrun(data, tmp_path, DIE, "--max-restarts", "1")
    output = tmp_path / "out"
    assert done.returncode == 0, done.stderr
    assert "resuming from" in (output / "stdout.log").read_text()
    assert [simplejson.loads(line)["epoch"] for line in (output / "history.jsonl").read_text().splitlines()] == [1, 2]
    assert (output / "checkpoints" / "checkpoint_epoch_00002.pyth").is_file()


def test_without_a_restart_the_other_process_ends_with_one_line(data, tmp_path):
    done = train_under_torchrun(data, tmp_path, DIE)
    assert done.returncode == 1
    (line,) = own_lines(done.stderr)
    assert line.startswith("error: the connection to another process of the job is lost")
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_a_stop_that_reaches_the_loaders_workers_too_is_saved_and_said_once(data, tmp_path):
    """So many epochs that the signal gets round before they are over."""
    done = train_under_torchrun(data, tmp_path, STOP_TORCHRUN, workers=1, epochs=200)
    assert done.returncode == 1  # torchrun's
    (line,) = own_lines(done.stderr)
    assert line.startswith("interrupted: training was interrupted in epoch ")
    saved = (tmp_path / "out" / "checkpoints" / "latest.pyth").resolve()
    assert saved.is_file()
    assert f"saved {saved}" in line


def test_a_folder_in_use_is_refused_in_one_line(data, tmp_path):
    with output_lock(str(tmp_path / "out")):
        done = train_under_torchrun(data, tmp_path, "pass")
    assert done.returncode == 1
    (line,) = own_lines(done.stderr)
    assert line.startswith(f"error: OUTPUT_DIR: {tmp_path / 'out'} is in use by process {os.getpid()} on ")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [".lock"]


def test_a_training_of_two_learns_as_that_of_one(data, tmp_path):
    """The job's own batches, rates and averages; `test_processes.py` compares weights, of a network that stays smooth.

    Here a change of the weights by 1e-7 can flip a ReLU and be 1e-2 of a gradient some steps later, in one process too.
    """
    alike = {
        "BN.NORM_TYPE": "sync_batchnorm", "BN.GLOBAL_SYNC": True, "MODEL.DROPOUT_RATE": 0.0, "SOLVER.BASE_LR": 0.01,
        "AUTOX3D.BASE_BATCH_SIZE": 8,
    }  # fmt: skip
    records = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        done = train_under_torchrun(data, folder, "pass", processes=processes, epochs=1, more=alike)
        assert done.returncode == 0, done.stderr
        assert "base learning rate 0.005 for updates of 4 clips" in (folder / "out" / "stdout.log").read_text()
        (line,) = (folder / "out" / "history.jsonl").read_text().splitlines()
        records.append(simplejson.loads(line))
    one, two = records
    for name in ("loss", "top1_err", "top5_err", "grad_norm", "lr"):
        assert two[name] == pytest.approx(one[name], rel=1e-4), name
