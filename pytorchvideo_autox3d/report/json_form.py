"""A report as plain types, for the JSON beside its page."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pytorchvideo_autox3d.report.model_result import ModelResult
from pytorchvideo_autox3d.report.results import DemoReport, SearchSummary


def model_to_dict(model: ModelResult, total: int) -> dict[str, Any]:
    """A model's result in plain types, with the 95% interval of its accuracy.

    Args:
        model: the result.
        total: test videos, on which the interval rests.
    """
    plain = {f.name: getattr(model, f.name) for f in dataclasses.fields(model) if f.name != "architecture"}
    architecture = None if model.architecture is None else model.architecture.to_dict()
    low, high = model.interval(total)
    return {**plain, "gflops": model.gflops, "top1_interval95": [low, high], "architecture": architecture}


def report_to_dict(report: DemoReport) -> dict[str, Any]:
    """The report in plain types: all that the page shows, except for the pixels of its example clips."""
    return _plain(_report_to_dict(report))


def _plain(value: Any) -> Any:
    """A value with lists and numbers in place of tuples, arrays and tensors."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _report_to_dict(report: DemoReport) -> dict[str, Any]:
    skipped = ("models", "clips", "search")
    plain = {f.name: getattr(report, f.name) for f in dataclasses.fields(report) if f.name not in skipped}
    comparisons = [{**dataclasses.asdict(pair), "verdict": pair.verdict} for pair in report.comparisons]
    return {
        **plain,
        "chance_top1": report.chance,
        "models": [model_to_dict(model, report.num_test_videos) for model in report.ordered],
        "comparisons": comparisons,
        "random_summary": report.random_summary,
        "search": None if report.search is None else _search_to_dict(report.search),
        "clips": [strip.label for strip in report.clips],
        "conventions": CONVENTIONS,
    }


def _search_to_dict(search: SearchSummary) -> dict[str, Any]:
    plain = {f.name: getattr(search, f.name) for f in dataclasses.fields(search)}
    coverage = {name: [[int(hit) for hit in row] for row in matrix] for name, matrix in search.coverage.items()}
    return {**plain, "policy": [dataclasses.asdict(table) for table in search.policy], "coverage": coverage}


CONVENTIONS = {
    "gflops": "multiply-adds of convolutions, linear layers and matrix products, one clip, in units of 1e9",
    "top1": "percent of test videos whose softmax scores, averaged over all views, peak at the true class",
    "top1_interval95": "Wilson score interval, percent; test videos taken as independent, training noise not included",
    "latency_ms": "median milliseconds of one forward pass, batch of one clip, on the machine described",
    "comparisons": "difference in top-1, points, with Newcombe's 95% interval for two independent results",
}
