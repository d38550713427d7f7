import pickle

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.checkpoint_files import checkpoint_model_state, plain_key, read_checkpoint
from pytorchvideo_autox3d.errors import CheckpointError

WEIGHT = torch.arange(3.0)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "content",
    [{"w": WEIGHT}, {"model_state": {"w": WEIGHT}}, {"state_dict": {"module._orig_mod.w": WEIGHT}, "epoch": 3}],
)
def test_every_layout_gives_the_networks_tensors(tmp_path, content, zipped):
    path = tmp_path / "c.pyth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    state = checkpoint_model_state(read_checkpoint(path), path)
    assert list(state) == ["w"]
    assert torch.equal(state["w"], WEIGHT)


class Harmful:
    """What a pickle could run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit",))


def damaged(path):
    torch.save({"w": WEIGHT}, path)
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no such checkpoint"),
        (damaged, "truncated, or no checkpoint of tensors and plain values"),
        (lambda path: torch.save(Harmful(), path), "truncated, or no checkpoint of tensors and plain values"),
        (lambda path: torch.save([WEIGHT], path), "holds a list, not a checkpoint"),
        (lambda path: torch.save({}, path), "holds a dict, not a checkpoint"),
        (lambda path: path.write_bytes(pickle.dumps({"blobs": {}}, protocol=2)), "a caffe2 pickle, refused"),
    ],
)
def test_anything_else_is_one_line_that_names_the_file(tmp_path, write, message):
    path = tmp_path / "c.pyth"
    write(path)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_a_network_says_what_it_holds():
    with pytest.raises(CheckpointError, match=r"c\.pyth: has no model_state, .*: it holds epoch, cfg"):
        checkpoint_model_state({"epoch": 1, "cfg": ""}, "c.pyth")


def test_wrappers_leave_no_trace_in_a_key():
    wrapped = nn.DataParallel(nn.Linear(1, 1))
    assert [plain_key(key) for key in wrapped.state_dict()] == ["weight", "bias"]
