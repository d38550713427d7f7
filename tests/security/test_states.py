"""Checkpoints that hold plain values, but of other kinds than a resume expects: refused in one line, or resumed."""

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pytorchvideo_autox3d.data.faults import FaultCounter
from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    Keeping,
    Runtime,
    TrainSettings,
    build_optimizer,
    make_schedule,
    read_checkpoint,
    train,
)
from pytorchvideo_autox3d.engine.rng import check_rng_state, rng_state
from pytorchvideo_autox3d.errors import AutoX3DError
from pytorchvideo_autox3d.search import Policy, SearchSettings, search
from pytorchvideo_autox3d.supernet import Supernet
from tests.engine.helpers import SyntheticLoader, tiny_model, to_float
from tests.search.test_distributed import SPACE
from tests.security.limits import HANDLED, limited

CPU = torch.device("cpu")
STRANGE = (None, -1, 10**30, 0.5, "x", [], [[]], {}, {"x": None}, torch.zeros(2, 3), torch.zeros(0))


def fit(folder: str) -> None:
    model = tiny_model(seed=3, dropout=0.5)
    train(
        model,
        SyntheticLoader(batches=3),
        optimizer=build_optimizer(model, base_lr=0.1),
        schedule=make_schedule(base_lr=0.1, max_epoch=2),
        loss=CrossEntropy(),
        runtime=Runtime(device=CPU, preprocess=to_float),
        output_dir=folder,
        settings=TrainSettings(max_epoch=2, keeping=Keeping(minutes=1e-9), log_period=100),
        process_extras={"faults": FaultCounter(5)},
    )


def find(folder: str) -> None:
    torch.manual_seed(0)
    supernet = Supernet(SPACE, model_num_class=3, input_clip_length=2, input_crop_size=4, dropout_rate=0.0)
    search(
        supernet,
        Policy(space=SPACE),
        SyntheticLoader(batches=3, seed=1),
        SyntheticLoader(batches=3, seed=2),
        optimizer=build_optimizer(supernet, base_lr=0.1),
        schedule=make_schedule(base_lr=0.1, max_epoch=2),
        settings=SearchSettings(epochs=2, warmup_epochs=0, num_samples=2, keeping=Keeping(minutes=1e-9)),
        budgets=[],
        runtime=Runtime(device=CPU, preprocess=to_float),
        output_dir=folder,
    )


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Where a checkpoint holds a value: every key of a mapping, but one of many alike, and the first of a list."""
    if path:
        yield path
    parts = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    alike = isinstance(value, list) or all(
        isinstance(part, torch.Tensor) or isinstance(key, int) for key, part in parts
    )
    for key, part in parts[:1] if alike else parts:
        yield from places(part, (*path, key))


def changed(checkpoint: dict, path: tuple, value: Any) -> dict:
    """A copy with another value there."""
    copied = copy.deepcopy(checkpoint)
    holder = copied
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return copied


def resume_all(job: Callable[[str], None], folder: Path, each: int) -> None:
    """Resume from changed checkpoints: so many of `STRANGE` at each place. Refused is in one line, with the file."""
    torch.set_num_threads(1)
    job(str(folder))
    path = folder / "checkpoints" / "checkpoint_epoch_00002_step_00000002.pyth"
    whole = read_checkpoint(path)
    every = list(places(whole))
    assert {"loop_state", "rng_states", "optimizer_state"} <= {place[0] for place in every}
    for number, place in enumerate(every):
        for turn in range(each):
            value = STRANGE[(each * number + turn) % len(STRANGE)]
            shutil.rmtree(path.parent)
            path.parent.mkdir()
            torch.save(changed(whole, place, value), path)
            said = str(path)
            try:
                job(str(folder))
            except AutoX3DError as error:
                said = str(error)
            except Exception as error:
                raise AssertionError(f"{place} {value!r}: {error!r}") from error
            assert str(path) in said, f"{place} {value!r}: {said}"


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize(("job", "each"), [(fit, 3), (find, 1)])
def test_a_resume_refuses_or_takes_them(job, each, tmp_path):
    assert limited(resume_all, job, tmp_path, each, megabytes=1024, seconds=300) == HANDLED


def test_a_generator_is_not_read_beyond_its_end():
    """NumPy takes any position, and reads there."""
    state = rng_state()
    position, *rest = state["numpy_rest"]
    check_rng_state(state)
    for wrong in (-1, 625, 10**9):
        with pytest.raises(ValueError, match="position"):
            check_rng_state({**state, "numpy_rest": [wrong, *rest]})
    assert position <= 624
