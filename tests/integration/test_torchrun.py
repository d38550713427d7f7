"""torchrun starts a job again after one of its two workers was killed, and the job goes on where it was."""

import os
import subprocess
import sys
from pathlib import Path

import simplejson

from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from tests.integration.test_run_net import SMALL

ROOT = Path(__file__).parents[2]
# Imported by AUTOX3D.IMPORTS: process 1 is killed in the second epoch, unless torchrun has started it again.
DYING = """
import os, signal
from pytorchvideo_autox3d.data import Kinetics
from pytorchvideo_autox3d.registry import DATASET_REGISTRY


@DATASET_REGISTRY.register(name="dying")
class Dying(Kinetics):
    def __getitem__(self, key):
        if key[0] == 1 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(key)
"""


def test_a_killed_worker_is_started_again_and_the_job_goes_on(tmp_path):
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    data = make_demo_data(tmp_path / "data", settings=settings, show_progress=False)
    (tmp_path / "dying.py").write_text(DYING)
    output = tmp_path / "out"
    changes = {
        **SMALL, "DATA.PATH_TO_DATA_DIR": data, "DATA.PATH_PREFIX": data, "OUTPUT_DIR": output, "TEST.ENABLE": False,
        "TRAIN.DATASET": "dying", "AUTOX3D.IMPORTS": "[dying]", "SOLVER.MAX_EPOCH": 2, "TRAIN.CHECKPOINT_PERIOD": 1,
        "TRAIN.EVAL_PERIOD": 0, "BN.USE_PRECISE_STATS": False,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "--max-restarts", "1",
        str(ROOT / "tools" / "run_net.py"), "--cfg", str(config_path("autox3d/demo.yaml")),
        *(str(item) for pair in changes.items() for item in pair),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "resuming from" in (output / "stdout.log").read_text()
    assert [simplejson.loads(line)["epoch"] for line in (output / "history.jsonl").read_text().splitlines()] == [1, 2]
    assert (output / "checkpoints" / "checkpoint_epoch_00002.pyth").is_file()
