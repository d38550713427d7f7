import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from pytorchvideo_autox3d.engine import Hook, Runtime, build_optimizer, make_schedule
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Budget, Budgets, Policy, SearchSettings, cost_table, search
from tests.search.conftest import ToyLoader


class Killed(Exception):
    """Stands for a kill -9: nothing is saved on the way out."""


class KillAfter(Hook):
    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, loop) -> None:
        if loop.global_step == self.step:
            raise Killed


class StopAfter(Hook):
    """Stands for Ctrl-C between two steps: the loop saves where it stands."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, loop) -> None:
        if loop.global_step == self.step:
            loop._interrupt()


def settings(**values) -> SearchSettings:
    base = {"epochs": 3, "warmup_epochs": 1, "num_samples": 3, "log_period": 100, "seed": 7}
    return SearchSettings(**{**base, **values})


def run(pair, make_loader, output_dir, *, hooks=(), budgets=None, batches=(3, 2), config=None):
    supernet, policy = pair
    low, high = Budgets(cost_table(supernet)).range("gflops")
    limits = [Budget("gflops", (low + high) / 2)] if budgets is None else budgets
    config = config or settings()
    history = search(
        supernet,
        policy,
        make_loader(batches=batches[0], seed=1),
        None if config.shared else make_loader(batches=batches[1], seed=2),
        optimizer=build_optimizer(supernet, base_lr=0.1, nesterov=False, weight_decay=5e-5),
        schedule=make_schedule(base_lr=0.1, max_epoch=config.epochs),
        settings=config,
        budgets=limits,
        runtime=Runtime(device=torch.device("cpu"), preprocess=lambda clip: clip),
        output_dir=str(output_dir),
        extra_hooks=hooks,
    )
    return supernet, policy, history


def assert_same(first, second) -> None:
    for one, other in zip(first, second, strict=True):
        for (name, tensor), again in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(tensor, again), name


def without_times(history):
    return [{key: value for key, value in record.items() if not key.endswith("_time")} for record in history]


def test_history_has_the_search_curve(make_pair, make_loader, tmp_path):
    supernet, policy, history = run(make_pair(), make_loader, tmp_path)
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert {"loss", "ess", "samples", "entropy", "gflops", "params_m", "lr"} <= history[0].keys()
    assert "policy_loss" not in history[0]
    assert "policy_loss" in history[1]
    assert history[0]["entropy"] == pytest.approx(float(torch.log(torch.tensor(supernet.space.size))), rel=1e-5)
    assert history[-1]["entropy"] < history[0]["entropy"]
    lines = Path(tmp_path, "search_history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    assert history[-1]["gflops"] == pytest.approx(Budgets(cost_table(supernet)).cost_of(policy.most_likely())["gflops"])


@pytest.mark.parametrize(("log_period", "expected"), [(100, 3), (2, 6)])
def test_entropy_and_costs_are_computed_when_they_are_logged(
    make_pair, make_loader, tmp_path, monkeypatch, log_period, expected
):
    """Three epochs of three steps: at the end of each, or at its second step too."""
    computed = []
    entropy, cost_of = Policy.entropy, Budgets.cost_of
    monkeypatch.setattr(Policy, "entropy", lambda policy: computed.append("entropy") or entropy(policy))
    monkeypatch.setattr(Budgets, "cost_of", lambda *args: computed.append("costs") or cost_of(*args))
    run(make_pair(), make_loader, tmp_path, config=settings(log_period=log_period))
    assert sorted(computed) == ["costs"] * expected + ["entropy"] * expected


@pytest.mark.parametrize("hook", [KillAfter(5), StopAfter(5), KillAfter(2), StopAfter(8)])
def test_resumed_search_ends_bit_for_bit_as_one_that_ran_through(make_pair, make_loader, tmp_path, hook):
    through = run(make_pair(), make_loader, tmp_path / "through")
    with pytest.raises(Exception, match=r"interrupted|^$"):
        run(make_pair(), make_loader, tmp_path / "stopped", hooks=[hook])
    torch.randn(3)  # whatever happens between two runs
    resumed = run(make_pair(), make_loader, tmp_path / "stopped")
    assert_same(through[:2], resumed[:2])
    assert without_times(through[2]) == without_times(resumed[2])


def test_shared_search_needs_one_loader(make_pair, make_loader, tmp_path):
    _, policy, history = run(make_pair(), make_loader, tmp_path, config=settings(shared=True, adaptive_samples=True))
    assert policy.alpha.detach().any()
    assert not any("policy_loss" in record for record in history)


def dear_pair(make_pair):
    """A search that begins with the policy at the dearest candidates: the last of each decision."""
    supernet, policy = make_pair()
    with torch.no_grad():
        for alpha in policy.alpha.split(policy.sizes):
            alpha[-1] = 1.0
    return supernet, policy


FAST = settings(epochs=6, policy_lr=0.5, num_samples=6, control_variate=True)


def target_of(pair, metric: str, share: float) -> float:
    low, high = Budgets(cost_table(pair[0])).range(metric)
    return low + share * (high - low)


def test_two_strong_budgets_are_met_both(make_pair, make_loader, tmp_path):
    """With a weight far above what accuracy can give, the policy must end within the targets that it began above.

    Few architectures are within both, so that chance does not end there.
    """
    pair = dear_pair(make_pair)
    budgets = [Budget(metric, target_of(pair, metric, 0.05), weight=200.0) for metric in ("gflops", "params_m")]
    *_, history = run(pair, make_loader, tmp_path, budgets=budgets, config=FAST)
    for budget in budgets:
        assert history[0][budget.metric] > budget.target
        assert history[-1][budget.metric] <= budget.target


def test_bad_input_is_refused_before_anything_is_written(make_pair, make_loader, tmp_path):
    with pytest.raises(SearchError, match="below the cheapest"):
        run(make_pair(), make_loader, tmp_path, budgets=[Budget("gflops", 1e-12)])
    with pytest.raises(SearchError, match="alpha learns from has no batch"):
        run(make_pair(), make_loader, tmp_path, batches=(3, 0))
    with pytest.raises(SearchError, match="weights learn from has no batch"):
        run(make_pair(), make_loader, tmp_path, batches=(0, 3))
    assert not list(tmp_path.iterdir())


def test_resume_with_another_selection_is_refused(make_pair, make_loader, tmp_path):
    run(make_pair("fair"), make_loader, tmp_path)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SearchError, match="another space or channel selection"):
        run(make_pair("naive"), make_loader, tmp_path)
    assert kept == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


class NamedLoader(ToyLoader):
    """Files are named by the part of the list and the video; after the first epoch the second batch has a NaN."""

    poisoned = 0

    def __iter__(self):
        for number, batch in enumerate(super().__iter__()):
            if self.epoch > 0 and number == 1 and self.seed == self.poisoned:
                batch.clip_BCTHW[0, 0, 0, 0, 0] = float("nan")
            yield replace(batch, video_B=batch.video_B + number * self.batch_size)

    def files(self, batch) -> list[str]:
        return [f"part{self.seed}/{video}.mp4" for video in batch.video_B.tolist()]


@pytest.mark.parametrize("part", [1, 2])
def test_a_nan_in_a_search_names_epoch_step_sample_and_files(make_pair, tmp_path, monkeypatch, part):
    """In the weights' part, of three batches, or in alpha's, of two."""
    monkeypatch.setattr(NamedLoader, "poisoned", part)
    make_loader = partial(NamedLoader, batch_size=2)
    with pytest.raises(SearchError, match=r"^epoch 2, step 2 of 3: the loss of the sample \[.*\] is nan; ") as raised:
        run(make_pair(), make_loader, tmp_path)
    files = "part1/2.mp4, part1/3.mp4, part2/2.mp4, part2/3.mp4"
    assert f"is nan; it learnt from {files}; the last checkpoint is intact" in str(raised.value)


def test_a_nan_stops_the_search_and_leaves_the_last_checkpoint(make_pair, make_loader, tmp_path):
    class Poison(Hook):
        def before_step(self, loop) -> None:
            if loop.global_step == 4:
                with torch.no_grad():
                    supernet.head.proj.bias.fill_(float("nan"))

    supernet, policy = make_pair()
    with pytest.raises(SearchError, match=r"epoch 2, step 2 of 3: the loss of the sample \["):
        run((supernet, policy), make_loader, tmp_path, hooks=[Poison()])
    (checkpoint,) = (tmp_path / "checkpoints").glob("checkpoint_*")
    assert checkpoint.name == "checkpoint_epoch_00001.pyth"
    state = torch.load(checkpoint, weights_only=True)["model_state"]
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
