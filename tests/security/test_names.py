"""Names of classes that are markup: of a page, of a terminal, of rich, of mathematics, of a spreadsheet.

They go through a training with TensorBoard, a test, predictions in all forms and the report.
"""

import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest
import simplejson

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.predict.timeline import Segment, Timeline
from pytorchvideo_autox3d.predict.timeline_picture import draw_timeline
from pytorchvideo_autox3d.report.html import render_page
from pytorchvideo_autox3d.report.style import figure_to_png, figure_to_svg
from tests.integration.test_run_net import SMALL
from tests.report.conftest import architecture, models, report  # noqa: F401

NAMES = (
    "<img src=x onerror=alert(1)>",
    "$x^{$ & $\\frac{$",
    "[/bold][red]",
    "\x1b]0;title\x07\x1b[31m",
    "{0.__class__}%s",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training over lists with these names, with TensorBoard."""
    folder = tmp_path_factory.mktemp("names")
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    made = make_demo_data(folder / "demo", settings=settings, show_progress=False)
    videos = read_list(str(made / "train.csv")).paths
    for split in ("train", "val", "test"):
        lines = [f"{video}\t{name}\n" for video, name in zip(videos, NAMES, strict=False)]
        (folder / f"{split}.csv").write_text("".join(lines), encoding="utf8")
    changes = {
        **SMALL, "DATA.PATH_TO_DATA_DIR": folder, "DATA.PATH_PREFIX": made, "OUTPUT_DIR": folder / "out",
        "MODEL.NUM_CLASSES": len(NAMES), "TRAIN.BATCH_SIZE": 2, "TENSORBOARD.ENABLE": True,
    }  # fmt: skip
    options = [str(item) for pair in changes.items() for item in pair]
    assert cli.main(["run", "--cfg", str(config_path("autox3d/demo.yaml")), *options]) == 0
    return folder


def test_tensorboard_has_no_names_that_are_markup(trained):
    (events,) = (trained / "out" / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"Train/loss" in content
    assert not [name for name in NAMES if name.encode() in content]


def test_results_hold_them_letter_by_letter(trained):
    found = simplejson.loads((trained / "out" / "test_results.json").read_text())
    assert set(found["classes"]) == set(NAMES)


@pytest.mark.parametrize("form", [[], ["--segments"], ["--json"]])
def test_predictions_print_them_without_what_steers_a_terminal(trained, capsys, form):
    checkpoint = trained / "out" / "checkpoints" / "checkpoint_epoch_00001.pyth"
    video = read_list(str(trained / "test.csv"), path_prefix=str(trained / "demo")).paths[0]
    arguments = ["--model", str(checkpoint), "--device", "cpu", "--top", str(len(NAMES)), *form, video]
    assert cli.main(["predict", *arguments]) == 0
    assert not {"\x1b", "\x07"} & set(capsys.readouterr().out)


def test_pictures_and_page_show_them_as_they_are(report):  # noqa: F811
    two = (NAMES[0], NAMES[1])
    hostile = [dataclasses.replace(model, name=f"{two[0]} {two[1]} {model.name}") for model in report.models]
    page = render_page(dataclasses.replace(report, class_names=list(two), models=hostile, title=two[0]))
    assert "<img src=x" not in page
    assert "$x^{$ &amp; $\\frac{$" in page


def test_a_timeline_shows_them_as_they_are():
    segments = Segment(0.0, 1.0, NAMES[1], 0.9), Segment(1.0, 2.0, NAMES[0], 0.8)
    timeline = Timeline(
        video="$a^{$.mp4", duration=2.0, labels=NAMES, windows=((0.0, 1.0), (1.0, 2.0)),
        score_NK=np.full((2, len(NAMES)), 0.2), segments=segments, top=((NAMES[0], 0.5),),
    )  # fmt: skip
    svg = figure_to_svg(draw_timeline(timeline))
    assert NAMES[1] in {text.strip() for text in ElementTree.fromstring(svg).itertext()}
    assert figure_to_png(draw_timeline(timeline)).startswith(b"\x89PNG")
