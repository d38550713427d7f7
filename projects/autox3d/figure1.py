"""Figure 1 of the paper on any data: accuracy against the cost of a video, from the runs of table5.py.

    python projects/autox3d/figure1.py --data demo/data --overlay baselines/on_demo.yaml --frame-scale 0.25

Left as the paper draws it, its own figures: top-1 on Kinetics-400 against GFLOPs of one view. Right this data's: a
curve a system over its number of clips and crops, against the total cost of a video; each video was decoded once.
"""

from __future__ import annotations

import paper_tables
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from paper_tables import Result


def main() -> None:
    """Train and test what table5.py has not; the picture to <output>/figure1.png."""
    args = paper_tables.parse_arguments(__doc__ or "", 5)
    results = paper_tables.report(5, args)
    draw(results).savefig(args.output / "figure1.png", dpi=150, bbox_inches="tight")
    print(f"picture: {args.output / 'figure1.png'}")


def draw(results: list[Result]) -> Figure:
    """The paper's points, and the curves measured here."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    paper, here = figure.subplots(1, 2)
    markers = "osD^v<>Ph*Xd"
    for number, one in enumerate(results):
        style = {"color": f"C{number % 10}", "marker": markers[number // 10 % len(markers)], "label": one.system.name}
        paper.plot([one.system.gflops], [one.system.top1], linestyle="none", **style)
        curve = sorted(one.sweep, key=lambda point: (point.crops, point.clips))
        for crops in sorted({point.crops for point in curve}):
            points = [point for point in curve if point.crops == crops]
            line = {**style, "label": None if crops > 1 else one.system.name}
            costs = [point.views * one.gflops for point in points]
            dashes = "-" if crops > 1 else ":"
            here.plot(costs, [point.top1 for point in points], linestyle=dashes, markersize=4, **line)
    paper.set(xscale="log", xlabel="GFLOPs of one view", ylabel="top-1, %", title="The paper's figures, Kinetics-400")
    here.set(
        xscale="log",
        xlabel="GFLOPs of a video (views x clip)",
        ylabel="top-1, %",
        title="This data; dotted: centre crop, solid: all",
    )
    figure.legend(*paper.get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=8, ncols=6)
    for axes in (paper, here):
        axes.xaxis.set_minor_formatter(NullFormatter())
    return figure


if __name__ == "__main__":
    main()
