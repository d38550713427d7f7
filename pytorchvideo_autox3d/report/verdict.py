"""The top of the report: what was tested, and which model wins at equal multiply-adds, with the numbers."""

from html import escape

from pytorchvideo_autox3d.report.markup import MISSING, count, points, row_html, significant, table_html
from pytorchvideo_autox3d.report.model_result import Comparison, ModelResult
from pytorchvideo_autox3d.report.results import DemoReport

# In the table; "reconstructed" is explained under it.
_SHORT_ROLES = {
    "searched": "searched",
    "reference": "reference, reconstructed",
    "X3D": "baseline",
    "random": "random",
    "designed": "designed by hand",
}
ROLE_TEXT = {
    "searched": "searched",
    "reference": "reference architecture, reconstructed from published constraints",
    "designed": "designed by hand within the space",
    "X3D": "baseline",
    "random": "random architecture of the space",
}


def header(report: DemoReport) -> str:
    """Title, task, and which models were tested on which videos."""
    frames, height, width = report.clip
    views = "1 view" if report.num_views == 1 else f"{report.num_views} views"
    task = f'<p class="lede">{escape(report.task)}</p>' if report.task else ""
    return (
        f"<header><h1>{escape(report.title)}</h1>{task}"
        f'<p class="lede">{len(report.class_names)} classes, chance {report.chance:.3g}%. '
        f"Clips of {frames} × {height} × {width}. Tested on {report.num_test_videos} held-out videos, "
        f"{views} each.</p></header>"
    )


def verdict(report: DemoReport) -> str:
    """Which model wins at equal multiply-adds, in words and as a table with intervals."""
    sentences = "".join(f'<p class="verdict">{text}</p>' for text in _verdict_sentences(report))
    head = ["Model", "Top-1, %", "95% interval", "Top-5, %", "GFLOPs", "Parameters", "Latency, ms"]
    rows = [_model_row(report, model) for model in report.named]
    if len(report.named) < len(report.ordered):
        rows += [_random_row(report)]
    note = (
        "GFLOPs are multiply-adds of convolutions, linear layers and matrix products for one clip, in units of 10⁹. "
        "Intervals are Wilson's; they take the test videos as independent draws and say nothing of how accuracy "
        "varies from one training run to the next. Latency is the median of one forward pass of one clip"
        f"{_machine_clause(report)}."
    )
    if any(model.role == "reference" for model in report.models):
        note += (
            " A reference architecture is reconstructed from the published constraints; it is not the authors' network."
        )
    body = f'{table_html(head, rows)}<p class="small" style="margin-top:10px">{escape(note)}</p>'
    return f'<section aria-label="Result">{sentences}{body}{_comparison_table(report)}</section>'


def _verdict_sentences(report: DemoReport) -> list[str]:
    ours = report.ours
    sentences = [_against(pair, report) for pair in report.comparisons if pair.equal_macs][:1]
    if ours is not None and not sentences:
        sentences = [f"<strong>{escape(ours.name)}</strong> reaches <strong>{ours.top1:.1f}%</strong> top-1."]
        if report.comparisons:
            sentences[0] += " No other model here has equal multiply-adds, so none is compared with it outright."
    summary = report.random_summary
    if summary and ours is not None:
        pair = report.rivals[-1]
        sentences.append(
            f"It beats {summary['beaten']:.0f} of {summary['count']:.0f} randomly drawn architectures; "
            f"their median is {summary['median_top1']:.1f}%. "
            f"It is {pair.relation} {escape(pair.theirs)}, that median: "
            f"{points(pair.difference)} points, 95% interval {points(pair.low)} to {points(pair.high)}."
        )
    return sentences


def _against(pair: Comparison, report: DemoReport) -> str:
    models = {model.name: model for model in report.models}
    a, b = models[pair.ours], models[pair.theirs]
    ours, theirs = (f"<strong>{escape(name)}</strong>" for name in (pair.ours, pair.theirs))
    numbers = f"{a.top1:.1f}% against {b.top1:.1f}% top-1"
    margin = f"{points(pair.difference)} points, 95% interval {points(pair.low)} to {points(pair.high)}"
    cost = " and ".join(dict.fromkeys((significant(a.gflops), significant(b.gflops))))
    opening = f"At equal multiply-adds ({cost} GFLOPs) {ours}"
    if pair.verdict == "level":
        told = f"level within what {report.num_test_videos} videos can tell"
        return f"{opening} and {theirs} are {told}: {numbers} ({margin})."
    return f"{opening} is <strong>{pair.relation}</strong> {theirs}: {numbers} ({margin})."


def _model_row(report: DemoReport, model: ModelResult) -> str:
    low, high = model.interval(report.num_test_videos)
    name = f'{escape(model.name)} <span class="interval">{_SHORT_ROLES[model.role]}</span>'
    cells = [
        f"<strong>{model.top1:.1f}</strong>",
        f"{low:.1f} to {high:.1f}",
        MISSING if model.top5 is None else f"{model.top5:.1f}",
        significant(model.gflops),
        count(model.params),
        MISSING if model.latency_ms is None else significant(model.latency_ms),
    ]
    return row_html(name, cells, css="ours" if model is report.ours else "")


def _random_row(report: DemoReport) -> str:
    """The random architectures as one row: the median of each column, the range of top-1."""
    models, summary = report.randoms, report.random_summary or {}
    macs = sorted(model.macs for model in models)
    name = f'Random architectures <span class="interval">median of {len(models)}</span>'
    scores = f"range {models[-1].top1:.1f} to {models[0].top1:.1f}"
    middle = macs[len(macs) // 2] / 1e9
    parameters = sorted(model.params for model in models)[len(models) // 2]
    cells = [f"{summary['median_top1']:.1f}", scores, MISSING, significant(middle), count(parameters), MISSING]
    return row_html(name, cells)


def _comparison_table(report: DemoReport) -> str:
    if len(report.comparisons) < 2:
        return ""
    rows = [
        row_html(
            f"against {escape(pair.theirs)}",
            [
                points(pair.difference),
                f"{points(pair.low)} to {points(pair.high)}",
                f"{significant(pair.macs_ratio)} ×",
                pair.verdict,
            ],
        )
        for pair in report.comparisons
    ]
    head = [report.comparisons[0].ours, "Difference, points", "95% interval", "Multiply-adds", "BudgetCheck"]
    return f"<h3>Differences</h3>{table_html(head, rows)}"


def _machine_clause(report: DemoReport) -> str:
    machine = report.machine
    threads, processor = machine.get("torch threads"), machine.get("processor")
    parts = [processor or "", f"{threads} thread{'' if threads == '1' else 's'}" if threads else ""]
    known = ", ".join(part for part in parts if part)
    return f" ({known})" if known else ""
