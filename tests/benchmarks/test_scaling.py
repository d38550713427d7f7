"""The plan against sums by hand, and its parts on a tiny step."""

import re
from functools import partial

import pytest

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.benchmarks.scaling import (
    Link,
    Measured,
    Step,
    measure,
    named_network,
    named_supernet,
    plan,
    predict,
)
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.kernels import batch_norm_kernels, depthwise_kernels
from tests.small_space import SPACE


@pytest.fixture(autouse=True)
def _plain_layers():
    """The kernels are compiled at their first use, which takes longer than any test here."""
    with depthwise_kernels(False), batch_norm_kernels(False):
        yield


def test_by_hand():
    # 8 MB over 1 MB/s: four processes send and receive 2 * 3/4 of it, 12 s; 15 messages of 0.5 s.
    search = Step(kind="search", network=nothing, samples=13, batch=10)
    link, alone = Link(1e6, 0.5), Measured(2.0, 8_000_000)
    assert predict(alone, search, link, 1) == 2.0
    assert predict(alone, search, link, 4) == pytest.approx(2 + 12 + 7.5)
    one, four = plan(alone, search, link, processes=[1, 4], videos=86_400, epochs=10)
    assert one.days == pytest.approx(86_400 / 10 * 10 * 2 / 86_400)
    assert four.efficiency == pytest.approx(2 / 21.5)
    assert four.days == pytest.approx(2160 * 10 * 21.5 / 86_400)


def nothing():
    raise AssertionError("a sum by hand makes no network")


CLIP = (4, 32, 32)


@pytest.mark.parametrize("name", ["S", "x3d_xs", "MobileNetV2_3D", "table2"])
def test_a_step_is_measured_with_its_gradients(name):
    kind, make = ("search", named_supernet) if name == "table2" else ("train", named_network)
    network = partial(make, name, CLIP)
    found = measure(Step(kind=kind, network=network, clip=CLIP, batch=1, samples=2), repeats=1)
    assert found.seconds > 0
    assert found.gradient_bytes == 4 * sum(one.numel() for one in network().parameters())


def test_the_command(capsys):
    arguments = ["--clip", "4x32", "--batch", "1", "--repeats", "1", "--step-seconds", "1.0", "--processes", "1", "64"]
    assert cli.main(["plan", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "MB of gradients" in printed
    assert "100.0%" in printed


def test_real_processes_are_compared_with_what_was_predicted(capsys):
    """A network without depthwise convolutions, whose kernels each process would compile."""
    arguments = ["--model", "C2D", "--clip", "4x32", "--batch", "1", "--repeats", "1"]
    assert cli.main(["plan", "--check", "1", "2", *arguments]) == 0
    rows = re.findall(r"│ (\d) +│ ([\d.]+) +│ ([\d.]+) +│ ([-+]\d+)% +│", capsys.readouterr().out)
    assert [number for number, *_ in rows] == ["1", "2"]
    assert rows[0][1] == rows[0][2]
    for _, predicted, measured, error in rows:
        assert int(error) == pytest.approx(100 * (float(predicted) / float(measured) - 1), abs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "0"], "--processes"),
        (["--check", "1000000"], "--check is 1000000, expected at most"),
        (["--step-seconds", "0"], "--step-seconds is 0, expected a time above 0"),
        (["--step-seconds", "nan"], "--step-seconds is nan, expected a time above 0"),
        (["--device", "nonesuch"], "--device nonesuch: can't be used here: "),
        (["--model", "nonesuch"], "no model 'nonesuch': it is no architecture's JSON and none of S, M, L, autox3d_s"),
        (["--space", "nonesuch"], "nonesuch"),
        (["--kind", "train", "--space", "table2"], "--space: a train has none"),
        (["--cfg", "none.yaml"], "none.yaml"),
        (["--cfg", str(config_path("autox3d/demo.yaml")), "--model", "S"], "--model: the config of --cfg says that"),
    ],
)
def test_what_names_nothing_is_one_line(arguments, message, capsys):
    assert cli.main(["plan", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("file", "shown"), [("demo.yaml", "train of"), ("search_demo.yaml", "search of")])
def test_the_job_of_a_config(file, shown, capsys, tmp_path):
    """Days by hand: videos / (clips a step) x epochs x seconds a step."""
    (tmp_path / "space.yaml").write_text(SPACE)
    own = {"AUTOX3D.SPACE": tmp_path / "space.yaml", "SEARCH.EPOCHS": 10, "SEARCH.WARMUP_EPOCHS": 1}
    changes = {"TRAIN.BATCH_SIZE": 4, "NUM_GPUS": 2, **(own if "search" in file else {"SOLVER.MAX_EPOCH": 10})}
    options = [str(item) for pair in changes.items() for item in pair]
    plan_of = ["plan", "--cfg", str(config_path(f"autox3d/{file}")), *options, "--step-seconds", "8.64"]
    assert cli.main([*plan_of, "--videos", "2000", "--processes", "1"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert shown in printed
    assert "1.00" in printed  # 2000 / 2 x 10 x 8.64 s
