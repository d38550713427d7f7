"""The sections of the report: each is a function from the results to HTML, which is empty where its data is absent."""

from collections.abc import Callable
from html import escape

from pytorchvideo_autox3d.report.architecture import draw_architecture
from pytorchvideo_autox3d.report.confusion import draw_confusion, draw_per_class
from pytorchvideo_autox3d.report.curves import draw_accuracy_cost, draw_training_curves
from pytorchvideo_autox3d.report.markup import (
    facts_html,
    figure_html,
    image_html,
    row_html,
    significant,
    table_html,
)
from pytorchvideo_autox3d.report.results import DemoReport
from pytorchvideo_autox3d.report.search import draw_coverage, draw_policy, draw_search_curve
from pytorchvideo_autox3d.report.verdict import ROLE_TEXT, header, verdict


def accuracy_cost(report: DemoReport) -> str:
    """The picture of accuracy over cost; empty for a single model."""
    if len(report.models) < 2:
        return ""
    figure = draw_accuracy_cost(report.ordered, num_test_videos=report.num_test_videos, chance=report.chance)
    alt = "Top-1 against GFLOPs: " + "; ".join(
        f"{model.name} {model.top1:.1f}% at {significant(model.gflops)}" for model in report.named
    )
    caption = f"Top-1 on {report.num_test_videos} videos with 95% intervals. Cheaper is left, better is up."
    return f"<h2>Accuracy and cost</h2>{figure_html(figure, key='cost', alt=alt, caption_html=caption)}"


def clips(report: DemoReport) -> str:
    """A strip of frames for each class."""
    if not report.clips:
        return ""
    rows = "".join(
        f"<dt>{escape(strip.label)}</dt><dd>{image_html(strip.png, alt=f'frames of a clip: {strip.label}')}</dd>"
        for strip in report.clips
    )
    caption = "Frames from left to right, evenly spread over a clip. "
    return f'<h2>The data</h2><dl class="clips">{rows}</dl><p class="small" style="margin-top:8px">{caption}</p>'


def architectures(report: DemoReport) -> str:
    """A picture of each named model that has an architecture."""
    parts = []
    for index, model in enumerate(model for model in report.named if model.architecture is not None):
        assert model.architecture is not None
        figure = draw_architecture(model.architecture, depth_factor=model.depth_factor, clip=report.clip)
        alt = f"Architecture of {model.name}: " + "; ".join(model.architecture.describe().splitlines())
        caption = (
            f"{escape(model.name)}, {ROLE_TEXT[model.role]}. One box a block (or a stack of so many): the number is "
            "its output channels, its width the expansion ratio e, its colour the depthwise kernel t×s². "
            "Under the stage's name: frames × height and width."
        )
        parts.append(figure_html(figure, key=f"arch{index}", alt=alt, caption_html=caption, wide=True))
    return f"<h2>Architecture</h2>{''.join(parts)}" if parts else ""


def search(report: DemoReport) -> str:
    """The search's curve, its final policy, and the coverage of the filters."""
    result = report.search
    if result is None:
        return ""
    parts = []
    if result.history:
        figure = draw_search_curve(
            result.history,
            target_gflops=result.target_gflops,
            num_samples=result.num_samples,
            warmup_epochs=result.warmup_epochs,
        )
        shaded = " Shaded: warm-up, the policy stays uniform." if result.warmup_epochs else ""
        caption = f"The search by epoch, as the paper's Figure 4.{shaded}"
        alt = f"Search over {len(result.history)} epochs"
        parts.append(figure_html(figure, key="search", alt=alt, caption_html=caption, wide=True))
    if any(len(row) > 1 for table in result.policy for row in table.candidates):
        caption = (
            "What the search came to believe: shade is the probability of a candidate, the outline marks the "
            "likeliest. An even row was not decided by the data."
        )
        alt = "Probabilities of every candidate of every group"
        figure = draw_policy(result.policy)
        parts.append(figure_html(figure, key="policy", alt=alt, caption_html=caption, wide=True))
    if result.coverage:
        caption = (
            "Above: the filters of the super-kernel that each channel candidate uses. Below: how many candidates use "
            "each filter. Naive selection trains the first filters most (the paper's Figure 3)."
        )
        alt = f"Filters used by each candidate under {' and '.join(result.coverage)} selection"
        figure = draw_coverage(result.coverage)
        parts.append(figure_html(figure, key="coverage", alt=alt, caption_html=caption, wide=True))
    return f"<h2>Search</h2>{''.join(parts)}" if parts else ""


def training(report: DemoReport) -> str:
    """Loss and accuracy by epoch."""
    if not any(model.history for model in report.models):
        return ""
    figure = draw_training_curves(report.ordered, chance=report.chance)
    held_out = any("val_top1_err" in entry for model in report.models for entry in model.history)
    caption = (
        "Loss on training clips; top-1 of single clips, held-out solid and training dashed."
        if held_out
        else "Loss and top-1 on augmented training clips, one view each."
    )
    caption += " The result above is the multi-view test after the last epoch."
    alt = "Training loss and accuracy by epoch of " + ", ".join(model.name for model in report.named)
    times = _time_table(report)
    return f"<h2>Training</h2>{figure_html(figure, key='train', alt=alt, caption_html=caption, wide=True)}{times}"


def _time_table(report: DemoReport) -> str:
    """A table of the seconds spent waiting for data and computing, where the histories have them."""
    rows = []
    for model in report.named:
        data, compute = (sum(entry.get(key) or 0.0 for entry in model.history) for key in ("data_time", "compute_time"))
        if data + compute > 0:
            cells = [str(len(model.history)), significant(data + compute), f"{100 * data / (data + compute):.1f}"]
            rows.append(row_html(escape(model.name), cells))
    return table_html(["Training time", "Epochs", "Seconds", "Waiting for data, %"], rows) if rows else ""


def classes(report: DemoReport) -> str:
    """Confusion matrices and accuracy by class."""
    figures = []
    for index, model in enumerate(report.named):
        if model.confusion is not None:
            figure = draw_confusion(model.confusion, report.class_names, title=model.name)
            alt = f"Confusion matrix of {model.name}"
            figures.append(figure_html(figure, key=f"confusion{index}", alt=alt))
    body = f'<div class="grid">{"".join(figures)}</div>' if figures else ""
    if figures:
        body += (
            '<p class="small">Number of test videos; shade is the share of the row. Right answers on the diagonal.</p>'
        )
    known = [model for model in report.named if model.per_class is not None]
    if known:
        figure = draw_per_class(known, report.class_names, chance=report.chance)
        alt = "Accuracy of each class by model"
        body += figure_html(figure, key="classes", alt=alt)
    return f"<h2>Classes and errors</h2>{body}" if body else ""


def method(report: DemoReport) -> str:
    """The machine, the settings, the notes, and the commands that made the results."""
    items = [
        "A test video's scores are the mean of the softmax scores of all of its views.",
        "Differences between models are given with Newcombe's 95% interval for independent results. The models saw the "
        "same videos, so that interval is, if anything, too wide.",
        *report.notes,
    ]
    body = f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
    if report.commands:
        rows = [row_html(escape(what), [f"<code>{escape(how)}</code>"]) for what, how in report.commands]
        body += f"<h3>Commands</h3>{table_html(['To get', 'Run'], rows, css='words')}"
    if report.machine:
        body += f"<h3>Machine</h3>{facts_html(report.machine)}"
    settings = {model.name: model.settings for model in report.named if model.settings}
    if report.search is not None and report.search.settings:
        settings = {"search": report.search.settings, **settings}
    for name, values in settings.items():
        body += f"<details><summary>Settings: {escape(name)}</summary>{facts_html(values)}</details>"
    return f"<h2>How this was measured</h2>{body}"


SECTIONS: tuple[Callable[[DemoReport], str], ...] = (
    header,
    verdict,
    accuracy_cost,
    clips,
    architectures,
    search,
    training,
    classes,
    method,
)
