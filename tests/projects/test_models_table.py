"""docs/models.md: it is what the script writes, and every figure is near the published one or explained."""

from pathlib import Path

import pytest

from pytorchvideo_autox3d.models.hub import HUB

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("models_table")


def test_the_page_is_what_is_counted(script):
    assert PAGE.read_text(encoding="utf8") == script.table()


def test_every_figure_is_near_or_explained(script):
    for system in script.SYSTEMS:
        here = script.counted(system)
        for published, own in zip((system.gflops, system.params), here, strict=True):
            assert published is None or abs(own / published - 1) <= script.TOLERANCE or system.note, system


def test_every_network_of_the_hub_is_in_it(script):
    assert {system.hub for system in script.SYSTEMS} == set(HUB) - {"x3d_xs"}
