"""Pictures and pages of results: architectures, curves, confusion matrices, contact sheets, the HTML report."""

from pytorchvideo_autox3d.report.architecture import draw_architecture
from pytorchvideo_autox3d.report.confusion import draw_confusion, draw_per_class
from pytorchvideo_autox3d.report.contact_sheet import contact_sheet, film_strip
from pytorchvideo_autox3d.report.curves import draw_accuracy_cost, draw_training_curves
from pytorchvideo_autox3d.report.html import write_report
from pytorchvideo_autox3d.report.model_result import ModelResult
from pytorchvideo_autox3d.report.results import ClipStrip, DemoReport, PolicyTable, SearchSummary
from pytorchvideo_autox3d.report.search import (
    draw_coverage,
    draw_policy,
    draw_search_curve,
)
from pytorchvideo_autox3d.report.style import figure_to_png, figure_to_svg, save_figure

__all__ = [
    "ClipStrip",
    "DemoReport",
    "ModelResult",
    "PolicyTable",
    "SearchSummary",
    "contact_sheet",
    "draw_accuracy_cost",
    "draw_architecture",
    "draw_confusion",
    "draw_coverage",
    "draw_per_class",
    "draw_policy",
    "draw_search_curve",
    "draw_training_curves",
    "figure_to_png",
    "figure_to_svg",
    "film_strip",
    "save_figure",
    "write_report",
]
