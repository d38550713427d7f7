"""A picture of an architecture in the manner of the paper's Figure 5.

Each row is a stage and each box a block, read left to right and top to bottom. The number in a box is its output
channels. A box's width shows its expansion ratio, on the same scale in every row. Its colour shows its kernel, the hue
for the temporal and the shade for the spatial extent; both are written under each group. A round marker after a group
is its attention block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

from pytorchvideo_autox3d.report.style import (
    GREEN,
    INK,
    MUTED,
    PAGE_WIDTH,
    PAPER,
    RULE,
    SMALL_SIZE,
    TEXT_SIZE,
    bare_axes,
    new_figure,
)
from pytorchvideo_autox3d.space import Architecture, GroupChoice, block_plan, stages

# Hue by temporal extent, (3 x 3, 5 x 5 and larger) by shade. Fills that carry their own text colour, so they are
# the same on a light and on a dark page.
_HUES = {1: ("#f3d795", "#c98a12"), 3: ("#9fcdec", "#1f6fae"), 5: ("#e0b3d3", "#974285")}
_OTHER_HUE = ("#c9ced6", "#5d6674")
_DARK_TEXT, _LIGHT_TEXT = "#10141b", "#ffffff"

# Lengths in points, before the whole is scaled to the figure.
_LABEL, _GAP, _GROUP_GAP, _MARK = 84.0, 3.0, 12.0, 17.0
_BOX, _ROW = 30.0, 76.0
# A box narrower than this can't hold a three-digit number; rows that would need it show groups with a repeat count.
_MIN_BOX = 21.0
_MAX_UNIT = 19.0


@dataclass(frozen=True)
class _Group:
    """A group as it is drawn: `boxes` equal boxes, each standing for `repeat` blocks."""

    choice: GroupChoice
    boxes: int
    repeat: int
    stride: int

    @property
    def has_attention(self) -> bool:
        return self.choice.attention != "none"

    def length(self, unit: float) -> float:
        boxes = self.boxes * self.choice.expansion * unit + (self.boxes - 1) * _GAP
        return boxes + (_MARK + _GAP if self.has_attention else 0.0)


def kernel_colours(kernel: tuple[int, int]) -> tuple[str, str]:
    """Fill and text colour of a t x s^2 kernel."""
    t, s = kernel
    large = s > 3
    return _HUES.get(t, _OTHER_HUE)[large], _LIGHT_TEXT if large else _DARK_TEXT


def kernel_name(kernel: tuple[int, int]) -> str:
    """A kernel (t, s) as the paper writes it: (3, 5) is 3×5²."""
    return f"{kernel[0]}×{kernel[1]}²" if kernel[1] > 1 else f"{kernel[0]}×1²"


def attention_name(name: str) -> str:
    """An attention's registered name as text, such as GloRe for glore."""
    return {"glore": "GloRe", "nonlocal": "Non-local"}.get(name, name)


def draw_architecture(
    architecture: Architecture,
    *,
    depth_factor: float = 1.0,
    clip: tuple[int, int, int] | None = None,
    title: str = "",
    width: float = PAGE_WIDTH,
) -> Figure:
    """Draw an architecture, with a row for each stage.

    Args:
        depth_factor: multiplies the blocks of each group, as in `create_autox3d`.
        clip: (T, S, S) of the input; where it is given, each row shows its resolution.
        title: above the picture.
        width: of the figure, in inches; the height follows from the number of stages.
    """
    rows, unit = _layout(architecture, depth_factor, width * 72.0)
    height = _ROW * (len(rows) + 1.72) + (52.0 if title else 30.0)
    figure = new_figure(width, height / 72.0, layout=None)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    bare_axes(axes)
    axes.set_xlim(0, width * 72.0)
    axes.set_ylim(height, 0)  # points, downwards
    top = 8.0
    if title:
        axes.text(8, 13, title, fontsize=TEXT_SIZE + 1, fontweight="bold", color=INK, va="center")
        top = 30.0
    size = None if clip is None else clip[1]
    size = _draw_stem(axes, architecture, clip, size, top)
    for number, row in enumerate(rows, start=1):
        top += _ROW if number > 1 else _ROW * 0.72
        size = None if size is None else -(-size // row[0].stride)
        if number % 2:
            _box(axes, 0, top - 1, width * 72.0, RULE, height=_ROW - 2, alpha=0.28)
        _draw_label(axes, f"Stage {number}", _resolution(clip, size), top)
        _draw_stage(axes, row, unit, top)
    _draw_head(axes, architecture, top + _ROW)
    _draw_legend(axes, architecture, unit, top + _ROW + 74.0)
    return figure


def _layout(architecture: Architecture, depth_factor: float, width: float) -> tuple[list[list[_Group]], float]:
    """The rows of groups, and points per unit of expansion; blocks are drawn singly where they fit, else by groups."""
    plan = block_plan(architecture.space, depth_factor)
    for by_block in (True, False):
        rows = [
            [
                _Group(
                    choice=architecture.groups[index],
                    boxes=len(plan[index]) if by_block else 1,
                    repeat=1 if by_block else len(plan[index]),
                    stride=plan[index][0].stride,
                )
                for index in stage
            ]
            for stage in stages(architecture.space)
        ]
        unit = min(_unit_that_fits(row, width - _LABEL - 8.0) for row in rows)
        narrowest = min(group.choice.expansion for row in rows for group in row) * unit
        if by_block and narrowest >= _MIN_BOX:
            break
    return rows, min(unit, _MAX_UNIT)


def _unit_that_fits(row: Sequence[_Group], space: float) -> float:
    fixed = sum(group.length(0.0) for group in row) + (len(row) - 1) * _GROUP_GAP
    return max(space - fixed, 1.0) / sum(group.boxes * group.choice.expansion for group in row)


def _draw_stem(axes: Any, architecture: Architecture, clip: Any, size: int | None, top: float) -> int | None:
    stem = architecture.space.stem
    size = None if size is None else -(-size // 2)
    kernel = "1×3²" if stem.temporal_kernel == 1 else f"1×3² + {stem.temporal_kernel}×1²"
    _draw_label(axes, "Stem", _resolution(clip, size), top - 8)
    _plain_box(axes, _LABEL, top + 6, 54, str(stem.channels))
    axes.text(_LABEL + 62, top + 6 + _BOX / 2, f"{kernel} conv, spatial stride 2", va="center", **_small())
    return size


def _draw_head(axes: Any, architecture: Architecture, top: float) -> None:
    head = architecture.space.head
    _draw_label(axes, "Head", "", top - 3)
    _plain_box(axes, _LABEL, top + 11, 54, str(head.channels))
    _plain_box(axes, _LABEL + 112, top + 11, 54, str(head.hidden))
    _plain_box(axes, _LABEL + 204, top + 11, 54, "classes")
    for x, text in ((_LABEL + 83, "average\npool"), (_LABEL + 185, "linear")):
        axes.text(x, top + 11 + _BOX / 2, text, va="center", ha="center", linespacing=1.05, **_small())
    axes.text(_LABEL + 27, top + 11 + _BOX + 8, "1×1² conv", va="center", ha="center", **_small())


def _draw_stage(axes: Any, row: Sequence[_Group], unit: float, top: float) -> None:
    x = _LABEL
    for group in row:
        x = _draw_group(axes, group, unit, x, top + 14) + _GROUP_GAP


def _draw_group(axes: Any, group: _Group, unit: float, x: float, y: float) -> float:
    """Draw the group from x on; return the x where it ends."""
    fill, text = kernel_colours(group.choice.kernel)
    width, start = group.choice.expansion * unit, x
    for index in range(group.boxes):
        if group.repeat > 1:  # a second card behind the first
            _box(axes, x + 3, y - 3, width - 3, fill, alpha=0.45)
        _box(axes, x, y, width - (3 if group.repeat > 1 else 0), fill)
        if index == 0 and group.stride > 1:
            _stride_mark(axes, x, y, group.stride)
        middle = x + (width - 3 if group.repeat > 1 else width) / 2
        axes.text(middle, y + _BOX / 2, str(group.choice.channels), ha="center", va="center_baseline",
                  fontsize=TEXT_SIZE - 0.5, fontweight="bold", color=text)  # fmt: skip
        if group.repeat > 1:
            axes.text(x + width, y - 9, f"×{group.repeat}", ha="right", va="center_baseline",
                      fontsize=SMALL_SIZE, fontweight="bold", color=INK)  # fmt: skip
        x += width + _GAP
    end = x - _GAP
    axes.plot([start, end], [y + _BOX + 5] * 2, color=RULE, linewidth=1.2, solid_capstyle="butt")
    label = f"{kernel_name(group.choice.kernel)}\ne {group.choice.expansion:g}"
    axes.text((start + end) / 2, y + _BOX + 8, label, ha="center", va="top", linespacing=1.15, **_small())
    if group.has_attention:
        centre = end + _GAP + _MARK / 2
        axes.add_patch(Circle((centre, y + _BOX / 2), _MARK / 2 - 0.5, facecolor=GREEN, edgecolor="none"))
        axes.text(
            centre, y + _BOX / 2, group.choice.attention[:1].upper(), ha="center", va="center_baseline",
            fontsize=SMALL_SIZE + 0.5, fontweight="bold", color=PAPER,
        )  # fmt: skip
        end += _GAP + _MARK
    return end


def _draw_legend(axes: Any, architecture: Architecture, unit: float, y: float) -> None:
    """Draw the legend in one line: the space's kernels, expansion scale, stride mark and attention blocks."""
    x = 8.0
    kernels = sorted({kernel for spec in architecture.space.groups for kernel in spec.kernels})
    for kernel in kernels:
        fill, _ = kernel_colours(kernel)
        _box(axes, x, y, 11, fill, height=11)
        axes.text(x + 15, y + 5.5, kernel_name(kernel), va="center_baseline", **_small())
        x += 46
    x += 8
    end = x + 3 * unit
    axes.plot([x, x, x, end, end, end], [y + dy for dy in (2, 9, 5.5, 5.5, 2, 9)], color=MUTED, linewidth=0.9)
    axes.text(end + 5, y + 5.5, "expansion e = 3", va="center_baseline", **_small())
    x = end + 84
    _stride_mark(axes, x, y + 11, 2)
    axes.text(x + 13, y + 5.5, "spatial stride 2", va="center_baseline", **_small())
    x += 90
    names = sorted({a for spec in architecture.space.groups for a in spec.attentions if a != "none"})
    for name in names:
        axes.add_patch(Circle((x + 5.5, y + 5.5), 5.5, facecolor=GREEN, edgecolor="none"))
        axes.text(x + 5.5, y + 5.5, name[:1].upper(), ha="center", va="center_baseline", fontsize=6.5,
                  fontweight="bold", color=PAPER)  # fmt: skip
        axes.text(x + 15, y + 5.5, attention_name(name), va="center_baseline", **_small())
        x += 62


def _draw_label(axes: Any, name: str, detail: str, top: float) -> None:
    y = top + 14 + _BOX / 2
    axes.text(8, y - (6 if detail else 0), name, fontsize=TEXT_SIZE, fontweight="bold", color=INK, va="center")
    axes.text(8, y + 6, detail, va="center", **_small())


def _box(axes: Any, x: float, y: float, width: float, fill: str, height: float = _BOX, alpha: float = 1.0) -> None:
    style = f"round,pad=0,rounding_size={min(3.0, width / 3):.2f}"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=fill, edgecolor="none", alpha=alpha))


def _plain_box(axes: Any, x: float, y: float, width: float, text: str) -> None:
    style = "round,pad=0,rounding_size=3"
    axes.add_patch(
        FancyBboxPatch((x, y), width, _BOX, boxstyle=style, facecolor="none", edgecolor=MUTED, linewidth=1.0)
    )
    axes.text(x + width / 2, y + _BOX / 2, text, ha="center", va="center_baseline", fontsize=TEXT_SIZE, color=INK)


def _stride_mark(axes: Any, x: float, y: float, stride: int) -> None:
    """A small wedge on a box's upper left corner, pointing down; strides other than 2 say their number."""
    axes.add_patch(Polygon([(x, y - 8), (x + 9, y - 8), (x + 4.5, y - 2)], facecolor=INK, edgecolor="none"))
    if stride > 2:
        axes.text(x + 12, y - 4, f"/{stride}", va="center", **_small())


def _resolution(clip: tuple[int, int, int] | None, size: int | None) -> str:
    return "" if clip is None or size is None else f"{clip[0]} × {size}²"


def _small() -> dict[str, Any]:
    return {"fontsize": SMALL_SIZE, "color": MUTED}
