import pytest
import torch

from pytorchvideo_autox3d.engine import (
    Checkpointer,
    build_optimizer,
    read_checkpoint,
)
from pytorchvideo_autox3d.engine.rng import rng_state
from pytorchvideo_autox3d.errors import CheckpointError
from tests.engine.helpers import tiny_model


def loop_state(epoch, step=0):
    means = {"sums": {}, "clips": {}, "times": [0.0, 0.0]}
    history = [{"epoch": n + 1, "loss": 0.5} for n in range(epoch)]
    return {
        "epoch": epoch,
        "step": step,
        "steps_per_epoch": 4,
        "means": means,
        "history": history,
        "rng": rng_state(),
    }


def checkpointer(folder, *, seed=0, **parts):
    model = tiny_model(seed=seed)
    optimizer = build_optimizer(model, base_lr=0.1)
    model(torch.randn(2, 3, 2, 4, 4)).sum().backward()
    optimizer.step()
    return Checkpointer(str(folder), model=model, optimizer=optimizer, cfg_text="A: 1\n", **parts)


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_pyslowfast_layout(tmp_path):
    path = checkpointer(tmp_path, scaler=torch.amp.GradScaler("cpu")).save(loop_state(12))
    assert path == str(tmp_path / "checkpoints" / "checkpoint_epoch_00012.pyth")
    content = torch.load(path, weights_only=True)
    assert content["epoch"] == 11  # PySlowFast stores the epoch just done, from 0, and goes on with the next
    assert content["cfg"] == "A: 1\n"
    assert {"model_state", "optimizer_state", "scaler_state"} <= content.keys()
    assert content["model_state"].keys() == tiny_model().state_dict().keys()


def test_round_trip_of_every_part(tmp_path):
    saved = checkpointer(tmp_path, extras={"policy": torch.nn.Linear(2, 2)})
    path = saved.save(loop_state(3))
    policy = torch.nn.Linear(2, 2)
    loaded = checkpointer(tmp_path, seed=5, extras={"policy": policy})
    assert not equal(saved.model, loaded.model)
    state = loaded.load(path)
    assert equal(saved.model, loaded.model)
    assert equal(saved.extras["policy"], policy)
    ours, theirs = (c.optimizer.state_dict()["state"][0]["momentum_buffer"] for c in (saved, loaded))
    assert torch.equal(ours, theirs)
    assert (state["epoch"], state["step"], len(state["history"])) == (3, 0, 3)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path):
    class Broken:
        def state_dict(self):
            return {"handle": (n for n in ())}  # can't be pickled

        def load_state_dict(self, state):
            pass

    path = checkpointer(tmp_path).save(loop_state(1))
    before = read_checkpoint(path)["model_state"]["6.weight"]
    with pytest.raises(TypeError, match="pickle"):
        checkpointer(tmp_path, seed=3, extras={"broken": Broken()}).save(loop_state(1))
    assert torch.equal(read_checkpoint(path)["model_state"]["6.weight"], before)
    names = sorted(entry.name for entry in (tmp_path / "checkpoints").iterdir())
    assert names == ["checkpoint_epoch_00001.pyth", "latest.pyth"]


class Evil:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "code", "list", "missing", "folder"])
def test_files_that_are_no_checkpoints(tmp_path, kind, capsys):
    path = tmp_path / "bad.pyth"
    good = tmp_path / "good.pyth"
    torch.save({"model_state": tiny_model().state_dict()}, good)
    if kind == "truncated":
        path.write_bytes(good.read_bytes()[:-200])
    elif kind == "folder":
        path.mkdir()
    elif kind in ("code", "list"):
        torch.save({"model_state": Evil()} if kind == "code" else [1, 2], path)
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"this is no checkpoint\n"}[kind])
    with pytest.raises(CheckpointError, match=r"bad\.pyth") as raised:
        read_checkpoint(str(path))
    assert "\n" not in str(raised.value)
    assert "ran" not in capsys.readouterr().out


def test_missing_and_misfit_parts_are_named(tmp_path):
    path = checkpointer(tmp_path).save(loop_state(1))
    with pytest.raises(CheckpointError, match=r"00001\.pyth: has no policy"):
        checkpointer(tmp_path, extras={"policy": torch.nn.Linear(1, 1)}).load(path)
    other = checkpointer(tmp_path)
    other.optimizer = torch.optim.SGD(other.model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match=r"optimizer_state does not fit .*CHECKPOINT_EPOCH_RESET"):
        other.load(path)


def test_a_pyslowfast_checkpoint_gives_its_epoch(tmp_path):
    source = checkpointer(tmp_path)
    content = {
        "epoch": 6,
        "model_state": source.model.state_dict(),
        "optimizer_state": source.optimizer.state_dict(),
        "cfg": "",
    }
    torch.save(content, tmp_path / "theirs.pyth")
    state = checkpointer(tmp_path, seed=1).load(str(tmp_path / "theirs.pyth"))
    assert (state["epoch"], state["step"], state["rng"], state["history"]) == (7, 0, None, [])


class Counter:
    def __init__(self, count=0):
        self.count = count

    def state_dict(self):
        return {"count": self.count}

    def load_state_dicts(self, states):
        self.count = [state["count"] for state in states]


def test_each_process_has_its_own_counters(tmp_path):
    path = checkpointer(tmp_path, process_extras={"faults": Counter(3)}).save(loop_state(1))
    content = read_checkpoint(path)
    assert content["process_states"] == [{"faults": {"count": 3}}]
    counter = Counter()
    torch.save(content | {"process_states": [{"faults": {"count": 3}}, {"faults": {"count": 4}}]}, path)
    checkpointer(tmp_path, process_extras={"faults": counter}).load(path)
    assert counter.count == [3, 4]
    del content["process_states"]  # as checkpoints were before there were any
    torch.save(content, path)
    checkpointer(tmp_path, process_extras={"faults": counter}).load(path)
    assert counter.count == []


def test_another_number_of_processes_is_said(tmp_path, caplog):
    path = checkpointer(tmp_path).save(loop_state(1))
    content = read_checkpoint(path)
    torch.save(content | {"rng_states": content["rng_states"] * 2}, path)
    assert checkpointer(tmp_path).load(path)["rng"] is None
    assert "saved by 2 process(es), this job has 1" in caplog.text
