"""The common look of all pictures: palette, axes, and figures as PNG, SVG or SVG inside a page.

Figures use matplotlib's object interface on the Agg canvas; pyplot, with its global state, is never imported.
The colours of `THEME` double as markers: in an inlined SVG each becomes a CSS variable, so the same picture
follows the reader's light or dark setting. The hues are Okabe and Ito's, told apart by all common kinds of colour
vision, and no picture tells anything by colour alone.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from pytorchvideo_autox3d.files import atomic_write

INK, MUTED, RULE, PAPER = "#1f2430", "#5b6473", "#d5dae2", "#fdfdfe"
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#b0579a", "#818a97"

# CSS variable: (colour on a light page, colour on a dark page). The light one is what the figures are drawn in.
THEME: dict[str, tuple[str, str]] = {
    "ink": (INK, "#e8ebf0"),
    "muted": (MUTED, "#a3acba"),
    "rule": (RULE, "#363d49"),
    "paper": (PAPER, "#14171d"),
    "blue": (BLUE, "#56b4e9"),
    "vermilion": (VERMILION, "#f58f45"),
    "green": (GREEN, "#3ecf9f"),
    "purple": (PURPLE, "#e09bcb"),
    "grey": (GREY, "#8f98a6"),
}
SERIES = (BLUE, VERMILION, GREEN, PURPLE)

TEXT_SIZE, SMALL_SIZE = 9.0, 7.5
PAGE_WIDTH = 10.5  # inches of a picture as wide as the page's column
_PNG_DPI = 160


def new_figure(width: float, height: float, *, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """A transparent figure of `width` x `height` inches on an Agg canvas."""
    figure = Figure(figsize=(width, height), facecolor="none", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Any, *, title: str = "", xlabel: str = "", ylabel: str = "", grid: str = "y") -> None:
    """Give axes the common look: two spines, a light grid along `grid` ("x", "y", "both" or ""), the title left."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(RULE)
    axes.tick_params(colors=MUTED, labelsize=SMALL_SIZE, length=3, width=0.8)
    if grid:
        axes.grid(axis=grid, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
    axes.set_title(title, loc="left", fontsize=TEXT_SIZE, fontweight="bold", color=INK, pad=8)
    axes.set_xlabel(xlabel, fontsize=TEXT_SIZE - 0.5, color=MUTED)
    axes.set_ylabel(ylabel, fontsize=TEXT_SIZE - 0.5, color=MUTED)


def bare_axes(axes: Any) -> None:
    """Remove spines, ticks and background, which leaves a plain canvas in data coordinates."""
    axes.set_axis_off()
    axes.set_facecolor("none")


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move label positions at least `gap` apart, in their order and by as little as possible."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[list[Any]] = []  # [members, centre]: runs of labels that touch share one centre
    for index in order:
        blocks.append([[index], positions[index]])
        while len(blocks) > 1 and blocks[-1][1] - blocks[-2][1] < gap * (len(blocks[-1][0]) + len(blocks[-2][0])) / 2:
            members, _ = blocks.pop()
            blocks[-1][0] += members
            blocks[-1][1] = sum(positions[i] for i in blocks[-1][0]) / len(blocks[-1][0])
    placed = [0.0] * len(positions)
    for members, centre in blocks:
        for rank, index in enumerate(members):
            placed[index] = centre + gap * (rank - (len(members) - 1) / 2)
    return placed


def figure_to_png(figure: Figure, *, dpi: int = _PNG_DPI) -> bytes:
    """The figure as PNG bytes on the light theme's paper."""
    buffer = io.BytesIO()
    with _names_as_they_are(figure):
        figure.savefig(buffer, format="png", dpi=dpi, facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def figure_to_svg(figure: Figure) -> str:
    """The figure as a stand-alone SVG document on the light theme's paper; text stays text."""
    return _svg(figure, facecolor=PAPER)


def figure_to_inline_svg(figure: Figure, *, key: str, alt: str) -> str:
    """The figure as an <svg> element for a page that defines the variables of `THEME`.

    Args:
        figure: the picture.
        key: prefix of every id in the element; unique in the page.
        alt: what the picture shows, for those who can't see it.
    """
    svg = _svg(figure, facecolor="none")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{key}-", svg)
    svg = re.sub(r"font: ([\d. a-z]*?)([\d.]+px) [^;\"]*", r"font: \1\2 var(--sans)", svg)
    for name, (light, _) in THEME.items():
        svg = svg.replace(light, f"var(--{name})")
    # Explicit sizes would defeat the page's own; the viewBox keeps the proportions.
    opening = re.sub(r' (width|height|version)="[^"]*"', "", svg[: svg.index(">")])
    width = figure.get_figwidth() * 96
    attributes = f' role="img" aria-label={quoteattr(alt)} style="max-width:{width:.0f}px"'
    return (opening + attributes + svg[svg.index(">") :]).strip()


def _svg(figure: Figure, *, facecolor: str) -> str:
    buffer = io.StringIO()
    # A fixed salt makes the ids, and so the file, the same on every run.
    with _names_as_they_are(figure), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "autox3d"}):
        figure.savefig(buffer, format="svg", facecolor=facecolor, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


@contextmanager
def _names_as_they_are(figure: Figure) -> Iterator[None]:
    """Draw names of classes, models and files letter by letter: between two $ matplotlib would read a formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with matplotlib.rc_context({"text.parse_math": False}):  # of texts that are made later
        yield


def save_figure(path: str | Path, figure: Figure) -> Path:
    """Write the figure atomically, as SVG where the path ends in .svg and else as PNG; return the path.

    Raises:
        AutoX3DError: the file can't be written.
    """
    path = Path(path)
    data = figure_to_svg(figure).encode() if path.suffix == ".svg" else figure_to_png(figure)
    with atomic_write(path) as beside:
        beside.write_bytes(data)
    return path
