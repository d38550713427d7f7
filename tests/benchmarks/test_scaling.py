"""The plan against sums by hand, and its parts on a tiny step."""

import pytest

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.benchmarks.scaling import Link, Measured, Step, measure, plan, predict
from pytorchvideo_autox3d.kernels import batch_norm_kernels, depthwise_kernels


@pytest.fixture(autouse=True)
def _plain_layers():
    """The kernels are compiled at their first use, which takes longer than any test here."""
    with depthwise_kernels(False), batch_norm_kernels(False):
        yield


def test_by_hand():
    # 8 MB over 1 MB/s: four processes send and receive 2 * 3/4 of it, 12 s; 14 messages of 0.5 s.
    search = Step(kind="search", samples=13, batch=10)
    link, alone = Link(1e6, 0.5), Measured(2.0, 8_000_000)
    assert predict(alone, search, link, 1) == 2.0
    assert predict(alone, search, link, 4) == pytest.approx(2 + 12 + 7)
    one, four = plan(alone, search, link, processes=[1, 4], videos=86_400, epochs=10)
    assert one.days == pytest.approx(86_400 / 10 * 10 * 2 / 86_400)
    assert four.efficiency == pytest.approx(2 / 21)
    assert four.days == pytest.approx(2160 * 10 * 21 / 86_400)


@pytest.mark.parametrize("kind", ["train", "search"])
def test_a_step_is_measured_with_its_gradients(kind):
    found = measure(Step(kind=kind, clip=(4, 32, 32), batch=1, samples=1), repeats=1)
    assert found.seconds > 0
    assert found.gradient_bytes > 4 * 3e6  # AutoX3D-S has over three million parameters


def test_the_command(capsys):
    arguments = ["--clip", "4x32", "--batch", "1", "--repeats", "1", "--step-seconds", "1.0", "--processes", "1", "64"]
    assert cli.main(["plan", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "MB of gradients" in printed
    assert "100.0%" in printed
    assert cli.main(["plan", "--processes", "0"]) == 1
    assert "--processes" in capsys.readouterr().err
