import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d import __version__, cli
from pytorchvideo_autox3d.errors import AutoX3DError, TrainingInterrupted


def test_help_lists_every_command_and_imports_no_torch():
    code = (
        "import sys; from pytorchvideo_autox3d import cli\n"
        "try: cli.main(['--help'])\n"
        "finally: print('torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.endswith("False\n")
    for name in cli.COMMANDS:
        assert name in printed


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    module = importlib.import_module(f"pytorchvideo_autox3d.commands.{name.replace('-', '_')}")
    assert callable(module.run)
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: autox3d {name}")


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (AutoX3DError("key A.B is odd"), 1, "error: key A.B is odd\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            1,
            "error: a worker of the loader is gone (DataLoader worker (pid 7) is killed by signal: Killed.): it had no "
            "file under way; is there enough memory for DATA_LOADER.NUM_WORKERS?\n",
        ),
        (TrainingInterrupted("saved c.pyth"), 130, "interrupted: saved c.pyth\n"),
    ],
)
def test_user_errors_are_one_line(raised, code, said, capsys):
    def command():
        raise raised

    assert cli.run_safely(command) == code
    assert capsys.readouterr().err == said


def _on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a capacity of 8 GiB")


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (lambda: torch.empty(1 << 52, dtype=torch.uint8), f", asked for {1 << 52} bytes more"),
        (lambda: np.empty(1 << 52, dtype=np.uint8), ""),
        (_on_a_gpu, ", asked for 2.50 GiB more"),
    ],
)
def test_too_little_memory_is_one_line(command, wanted, capsys):
    assert cli.run_safely(command) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: out of memory{wanted}: smaller batches")
    assert said.count("\n") == 1


def test_our_own_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run_safely(lambda: 1 // 0)


def test_python_dash_m_is_the_same_command():
    command = [sys.executable, "-m", "pytorchvideo_autox3d", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == __version__
