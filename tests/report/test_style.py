import io
import itertools
import xml.etree.ElementTree as ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pytorchvideo_autox3d.report.style import (
    BLUE,
    figure_to_inline_svg,
    figure_to_png,
    figure_to_svg,
    new_figure,
    save_figure,
    spread,
)


def drawn():
    figure = new_figure(2, 1)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=BLUE)
    axes.set_title("a < b")
    return figure


def test_inline_svg_is_xml_with_theme_colours_and_prefixed_ids():
    svg = figure_to_inline_svg(drawn(), key="k1", alt='slope "up"')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'slope "up"'
    assert root.get("width") is None
    assert BLUE not in svg
    assert "var(--blue)" in svg
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert ids
    assert all(name.startswith("k1-") for name in ids)


def test_saved_by_suffix(tmp_path):
    assert Image.open(save_figure(tmp_path / "a.png", drawn())).format == "PNG"
    assert ElementTree.parse(save_figure(tmp_path / "a.svg", drawn())).getroot().tag.endswith("svg")
    assert figure_to_svg(drawn()) == figure_to_svg(drawn())
    assert Image.open(io.BytesIO(figure_to_png(drawn(), dpi=50))).size == (100, 50)


@given(st.lists(st.floats(0, 100), max_size=6), st.floats(0.1, 20))
@settings(deadline=None, max_examples=80)
def test_spread_labels_are_apart_in_order_and_centred(positions, gap):
    placed = spread(positions, gap)
    ranked = sorted(placed)
    assert all(b - a >= gap * (1 - 1e-6) - 1e-9 for a, b in itertools.pairwise(ranked))
    assert sorted(range(len(placed)), key=placed.__getitem__) == sorted(
        range(len(positions)), key=positions.__getitem__
    )


def test_labels_far_apart_stay():
    assert spread([3.0, 9.0, 1.0], 1.0) == [3.0, 9.0, 1.0]
