"""Runs through submitit's local executor: to the end, and saved and queued again before they are taken off."""

import importlib.util
import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import simplejson

from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.errors import AutoX3DError
from tests.integration.test_run_net import SMALL

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    """The script as a module that the executor's process finds too."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setenv("PYTHONPATH", f"{TOOLS}:{TOOLS.parent}")
    specification = importlib.util.spec_from_file_location("submit", TOOLS / "submit.py")
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "submit", module)
    specification.loader.exec_module(module)
    return module


LOCAL = ["--cluster", "local", "--gpus", "0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    return make_demo_data(tmp_path_factory.mktemp("data") / "demo", settings=settings, show_progress=False)


def command_of(changes) -> list[str]:
    options = [str(item) for pair in changes.items() for item in pair]
    return ["--cfg", str(config_path("autox3d/demo.yaml")), *options]


# Imported by AUTOX3D.IMPORTS: in the second epoch of the first run, what Slurm does to pre-empt a job.
PREEMPTED = """
import os, pathlib, signal
from pytorchvideo_autox3d.data import Kinetics
from pytorchvideo_autox3d.registry import DATASET_REGISTRY


@DATASET_REGISTRY.register(name="preempted")
class Preempted(Kinetics):
    def __getitem__(self, key):
        marker = pathlib.Path(__file__).with_name("preempted")
        if key[0] == 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getppid(), signal.SIGUSR2)
        return super().__getitem__(key)
"""


def test_a_preempted_job_saves_is_queued_again_and_goes_on(tool, data, tmp_path, monkeypatch):
    (tmp_path / "preempting.py").write_text(PREEMPTED)
    monkeypatch.setenv("PYTHONPATH", f"{TOOLS}:{TOOLS.parent}:{tmp_path}")
    output = tmp_path / "out"
    changes = {
        **SMALL, "DATA.PATH_TO_DATA_DIR": data, "DATA.PATH_PREFIX": data, "OUTPUT_DIR": output, "TEST.ENABLE": False,
        "TRAIN.DATASET": "preempted", "AUTOX3D.IMPORTS": "[preempting]", "SOLVER.MAX_EPOCH": 2,
        "TRAIN.CHECKPOINT_PERIOD": 1, "TRAIN.EVAL_PERIOD": 0, "BN.USE_PRECISE_STATS": False,
    }  # fmt: skip
    assert tool.main([*LOCAL, "--folder", str(tmp_path / "logs"), "--wait", "--", *command_of(changes)]) == 0
    log = (output / "stdout.log").read_text()
    saved = re.search(r"resuming from (\S+)", log)[1]
    # In the second epoch, after the step in which it was asked to stop.
    assert saved.endswith("checkpoint_epoch_00002_step_00000001.pyth")
    assert [simplejson.loads(line)["epoch"] for line in (output / "history.jsonl").read_text().splitlines()] == [1, 2]
    assert (output / "checkpoints" / "checkpoint_epoch_00002.pyth").is_file()


def test_a_failed_job_and_a_machine_without_slurm_are_one_line(tool, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "logs"
    assert tool.main([*LOCAL, "--folder", str(folder), "--wait", "--", "--cfg", "none.yaml"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    log = Path(said[0].partition("its log is ")[2])
    assert "none.yaml" in log.read_text()
    for option, said in (("--hours", "0.017"), ("--nodes", "1"), ("--cpus", "1")):
        assert tool.main([*LOCAL, "--folder", str(folder), option, "0", "--", "--cfg", "none.yaml"]) == 1
        assert capsys.readouterr().err == f"error: {option} is 0, expected {said} or more\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool.main(["--folder", str(folder), "--", "--cfg", "none.yaml"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --cluster slurm: the job can't be submitted: ")


def test_a_command_that_slurm_itself_stopped_waits_to_be_queued_again(tool, monkeypatch, tmp_path):
    """The job must still be there when submitit's signal comes; where none comes, it ends as stopped."""
    script = tmp_path / "run_net.py"
    script.write_text("import sys\nsys.exit(143)\n")
    monkeypatch.setattr(tool, "RUN_NET", script)
    monkeypatch.setattr(tool.submitit, "JobEnvironment", lambda: SimpleNamespace(num_nodes=1))
    waited = []
    monkeypatch.setattr(tool.threading.Event, "wait", lambda event, seconds: waited.append(seconds))
    with pytest.raises(AutoX3DError, match="exit code 143"):
        tool.Run([])()
    assert waited == [tool._GRACE_SECONDS]


def test_before_it_is_taken_off_the_command_is_asked_to_save(tool, monkeypatch, tmp_path):
    """In the place of run_net.py something that saves at SIGTERM and ends as a run does."""
    script = tmp_path / "run_net.py"
    script.write_text(
        "import signal, sys\n"
        "def save(*_):\n    open(sys.argv[1], 'w').write('saved')\n    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\nsignal.pause()\n"
    )
    monkeypatch.setattr(tool, "RUN_NET", script)
    run = tool.Run([str(tmp_path / "checkpoint")])
    monkeypatch.setattr(tool.subprocess, "Popen", piped(tool.subprocess.Popen))
    process = run.start([])
    assert process.stdout.readline() == b"ready\n"
    again = run.checkpoint()
    assert process.wait() == 128 + signal.SIGTERM
    assert (tmp_path / "checkpoint").read_text() == "saved"
    assert again.function.arguments == run.arguments


def piped(popen):
    return lambda command, **options: popen(command, stdout=-1, **options)


def test_several_nodes_meet_at_the_first(tool):
    nodes = [SimpleNamespace(num_nodes=2, node=n, job_id="1234_5", hostnames=["alpha", "beta"]) for n in range(2)]
    first, second = map(tool.place, nodes)
    assert first == ["NUM_SHARDS", "2", "SHARD_ID", "0", "--init_method", "tcp://alpha:32345"]
    assert second[3] == "1"
    assert second[5] == first[5]
    assert tool.place(SimpleNamespace(num_nodes=1)) == []
