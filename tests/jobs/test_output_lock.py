"""One run in a folder: a second process is refused, and a process that was killed holds nothing."""

import os
import signal

import pytest

from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs.output_lock import output_lock
from tests.processes import FRESH


def _hold(folder: str, pipe) -> None:
    with output_lock(folder):
        pipe.send("held")
        pipe.recv()


@pytest.fixture
def holder(tmp_path):
    ours, theirs = FRESH.Pipe()
    process = FRESH.Process(target=_hold, args=(str(tmp_path), theirs))
    process.start()
    theirs.close()
    assert ours.recv() == "held"
    yield process
    process.kill()
    process.join()


def test_a_second_run_is_refused_while_the_first_goes(holder, tmp_path):
    expected = rf"OUTPUT_DIR: .* is in use by process {holder.pid} on "
    with pytest.raises(ConfigError, match=expected), output_lock(str(tmp_path)):
        pass


def test_a_killed_process_leaves_the_folder_free(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with output_lock(str(tmp_path)):
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("as it was")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").symlink_to(outside)
    with pytest.raises(ConfigError, match="can't write to"), output_lock(str(tmp_path / "out")):
        pass
    assert outside.read_text() == "as it was"


def test_a_folder_that_is_none_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"OUTPUT_DIR: can't write to .*file"), output_lock(str(tmp_path / "file")):
        pass
