"""The files of a run: which stay, which is the last whole one, and what a disk that fails leaves."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pytorchvideo_autox3d.engine import (
    Checkpointer,
    CheckpointHook,
    Keeping,
    TrainLoop,
    checkpoint_path,
    last_checkpoint,
    read_checkpoint,
)
from pytorchvideo_autox3d.engine.checkpoint_folder import is_whole
from pytorchvideo_autox3d.errors import AutoX3DError, CheckpointError
from tests.engine.helpers import SyntheticLoader, tiny_model
from tests.engine.test_checkpoint import checkpointer, loop_state


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_the_last_is_the_furthest_and_older_ones_give_way(tmp_path):
    assert last_checkpoint(str(tmp_path)) is None
    saver = checkpointer(tmp_path)
    paths = [saver.save(loop_state(*position)) for position in [(9,), (10,), (10, 3), (10, 5), (10, 12)]]
    assert paths[-1].endswith("checkpoint_epoch_00011_step_00000012.pyth")
    assert last_checkpoint(str(tmp_path)) == paths[-1]
    assert not Path(paths[2]).exists()
    assert Path(paths[3]).exists()  # the one before stays, should the last be damaged
    (tmp_path / "checkpoints" / "notes.txt").touch()
    saver.save(loop_state(11))
    saver.save(loop_state(12))
    whole = [f"checkpoint_epoch_000{n:02d}.pyth" for n in (9, 10, 11, 12)]
    assert names(tmp_path) == [*whole, "latest.pyth", "notes.txt"]
    assert last_checkpoint(str(tmp_path)) == checkpoint_path(str(tmp_path), 12)
    assert os.readlink(tmp_path / "checkpoints" / "latest.pyth") == "checkpoint_epoch_00012.pyth"


def test_so_many_whole_epochs_stay(tmp_path):
    saver = checkpointer(tmp_path, keeping=Keeping(epochs=2, last=1))
    for position in [(1,), (2,), (2, 1), (3,), (3, 1), (3, 2)]:
        saver.save(loop_state(*position))
    two = [f"checkpoint_epoch_0000{n}.pyth" for n in (2, 3)]
    assert names(tmp_path) == [*two, "checkpoint_epoch_00004_step_00000002.pyth", "latest.pyth"]


def test_a_folder_named_with_slashes_at_its_end(tmp_path):
    saver = checkpointer(f"{tmp_path}//")
    for epoch in (1, 2):
        saver.save(loop_state(epoch))
    assert names(tmp_path) == ["checkpoint_epoch_00001.pyth", "checkpoint_epoch_00002.pyth", "latest.pyth"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "one bit", "text"])
def test_a_damaged_last_one_falls_back_to_the_one_before_and_says_so(tmp_path, caplog, damage):
    saver = checkpointer(tmp_path)
    paths = [Path(saver.save(loop_state(*position))) for position in [(1,), (1, 2)]]
    content = bytearray(paths[1].read_bytes())
    start = content.index(
        saver.model[0].weight.detach().numpy().tobytes()
    )  # where a changed bit loads as another weight
    content[start] ^= 1
    damaged = {"truncated": content[:-300], "empty": b"", "one bit": bytes(content), "text": b"no checkpoint"}
    paths[1].write_bytes(damaged[damage])
    assert last_checkpoint(str(tmp_path)) == str(paths[0])
    resumed = checkpointer(tmp_path, seed=4)
    state = resumed.resume()
    assert (state["epoch"], state["step"]) == (1, 0)
    assert torch.equal(resumed.model[0].weight, saver.model[0].weight)
    assert f"{paths[1]} is damaged" in caplog.text
    assert f"going on from {paths[0]}" in caplog.text
    # The link names a whole file again, and so does the next save.
    assert os.readlink(tmp_path / "checkpoints" / "latest.pyth") == paths[0].name


def test_inside_an_epoch_by_the_minutes_on_a_clock(tmp_path):
    seconds = iter(range(0, 10_000, 40))  # each look at the clock is 40 s after the one before
    saver = checkpointer(tmp_path, keeping=Keeping(last=9))
    saves = CheckpointHook(saver, period=1, minutes=1.5, clock=lambda: next(seconds))
    TrainLoop(lambda batches, loop: {"loss": 1.0}, SyntheticLoader(batches=12), max_epoch=1, hooks=[saves]).run()
    # Looks at 40, 80, 120 s after steps 1 to 3, so step 4 saves, which looks at 160 s; on from there 90 s later.
    steps = [f"checkpoint_epoch_00001_step_{step:08d}.pyth" for step in (4, 8)]
    assert names(tmp_path) == ["checkpoint_epoch_00001.pyth", *steps, "latest.pyth"]


def test_nothing_but_damaged_ones_is_an_error_and_not_a_new_start(tmp_path):
    path = Path(checkpointer(tmp_path).save(loop_state(1)))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"00001\.pyth: truncated.*remove it to start anew"):
        checkpointer(tmp_path).resume()


def test_the_older_form_of_torch_is_whole_too(tmp_path):
    path = tmp_path / "old.pyth"
    torch.save({"model_state": tiny_model().state_dict()}, path, _use_new_zipfile_serialization=False)
    assert is_whole(str(path))
    path.write_bytes(path.read_bytes()[:-100])
    assert not is_whole(str(path))


def test_checkpoints_without_links(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no links here")

    monkeypatch.setattr(os, "symlink", refuse)
    checkpointer(tmp_path).save(loop_state(1))
    assert names(tmp_path) == ["checkpoint_epoch_00001.pyth"]


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """`folder` on a disk of `size` bytes; where that can't be mounted, with files of at most so many bytes."""
    options = f"size={size}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoint(tmp_path):
    with small_disk(tmp_path, 1 << 20):
        path = checkpointer(tmp_path).save(loop_state(1))
        before = Path(path).read_bytes()
        large = Checkpointer(str(tmp_path), model=torch.nn.Linear(1024, 1024))
        with pytest.raises(AutoX3DError, match=r"can't write .*00002\.pyth: (No space left|File too large)") as raised:
            large.save(loop_state(2))
        assert "\n" not in str(raised.value)
        assert Path(path).read_bytes() == before
        assert names(tmp_path) == ["checkpoint_epoch_00001.pyth", "latest.pyth"]
        assert last_checkpoint(str(tmp_path)) == path


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """`folder` so that nothing can be written to it: for root by a mount or as another user, else by its mode."""
    bound = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False)
    if bound.returncode == 0:
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    folder.chmod(0o500)
    user = os.geteuid()
    try:
        os.seteuid(user or 65534)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


def test_a_folder_that_became_read_only_is_one_line(tmp_path):
    path = checkpointer(tmp_path).save(loop_state(1))
    with (
        read_only(tmp_path / "checkpoints"),
        pytest.raises(AutoX3DError, match=r"can't write .*00002\.pyth: (Read-only|Permission)"),
    ):
        checkpointer(tmp_path).save(loop_state(2))
    assert last_checkpoint(str(tmp_path)) == path
    assert read_checkpoint(path)["epoch"] == 0
