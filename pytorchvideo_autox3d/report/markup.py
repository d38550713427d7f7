"""Small pieces of HTML: numbers with sensible digits, figures with captions, tables, definition lists.

Arguments named `html` are markup already; everything else is escaped here.
"""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure

from pytorchvideo_autox3d.report.style import figure_to_inline_svg

MISSING = "–"


def significant(value: float, digits: int = 3) -> str:
    """A positive number with so many significant digits, never in exponent form: 0.0473, 1.96, 152."""
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def count(value: int) -> str:
    """A number of parameters as text: 3.79 M, 512 k, 640."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return significant(value / unit) + name
    return str(value)


def points(value: float) -> str:
    """A difference in percentage points with its sign: +3.1, −0.6."""
    return f"{value:+.1f}".replace("-", "−")


def figure_html(figure: Figure, *, key: str, alt: str, caption_html: str = "", wide: bool = False) -> str:
    """A picture with its caption.

    Args:
        figure: drawn as an inline SVG.
        key: prefix of the ids in it; unique in the page.
        alt: what the picture shows, for those who can't see it.
        caption_html: markup of the caption.
        wide: let it scroll sideways on a small screen instead of shrinking.
    """
    svg = figure_to_inline_svg(figure, key=key, alt=alt)
    caption = f"<figcaption>{caption_html}</figcaption>" if caption_html else ""
    return f'<figure><div class="scroll{" wide" if wide else ""}">{svg}</div>{caption}</figure>'


def table_html(head: Sequence[str], rows: Iterable[str], *, css: str = "") -> str:
    """A table from its headings and its finished rows; class "words" sets all of it flush left."""
    cells = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    opening = f'<table class="{css}">' if css else "<table>"
    return f'<div class="scroll">{opening}<thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def row_html(name_html: str, cells_html: Sequence[str], *, css: str = "") -> str:
    """A table row, its first cell a heading."""
    opening = f'<tr class="{css}">' if css else "<tr>"
    cells = "".join(f"<td>{cell}</td>" for cell in cells_html)
    return f'{opening}<th scope="row">{name_html}</th>{cells}</tr>'


def facts_html(facts: Mapping[str, Any]) -> str:
    """Names with their values, one on each line."""
    items = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return f'<dl class="facts">{items}</dl>'


def image_html(png: bytes, *, alt: str) -> str:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode("ascii")
    return f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}">'
