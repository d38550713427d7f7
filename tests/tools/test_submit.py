"""Runs through submitit's local executor: to the end, and saved and queued again before they are taken off."""

import importlib.util
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
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


def test_a_training_runs_through_the_local_executor(tool, tmp_path):
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    data = make_demo_data(tmp_path / "data", settings=settings, show_progress=False)
    output = tmp_path / "out"
    changes = {
        **SMALL, "DATA.PATH_TO_DATA_DIR": data, "DATA.PATH_PREFIX": data, "OUTPUT_DIR": output, "TEST.ENABLE": False,
    }  # fmt: skip
    command = [
        "--cfg",
        str(config_path("autox3d/demo.yaml")),
        *(str(item) for pair in changes.items() for item in pair),
    ]
    tool.main(["--cluster", "local", "--folder", str(tmp_path / "logs"), "--gpus", "0", "--wait", "--", *command])
    assert (output / "checkpoints" / "checkpoint_epoch_00001.pyth").is_file()


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
    assert process.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "checkpoint").read_text() == "saved"
    assert again.function.arguments == run.arguments


def piped(popen):
    return lambda command: popen(command, stdout=-1)


def test_several_nodes_meet_at_the_first(tool):
    nodes = [SimpleNamespace(num_nodes=2, node=n, job_id="1234_5", hostnames=["alpha", "beta"]) for n in range(2)]
    first, second = map(tool.place, nodes)
    assert first == ["NUM_SHARDS", "2", "SHARD_ID", "0", "--init_method", "tcp://alpha:32345"]
    assert second[3] == "1"
    assert second[5] == first[5]
    assert tool.place(SimpleNamespace(num_nodes=1)) == []
