import dataclasses
import json
import math

import numpy as np
import pytest
import simplejson

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.report import DemoReport, ModelResult, PolicyTable
from pytorchvideo_autox3d.report.json_form import report_to_dict
from pytorchvideo_autox3d.report.model_result import compare
from pytorchvideo_autox3d.space import Architecture


def test_models_are_listed_by_role_and_the_searched_one_is_ours(report):
    assert [model.role for model in report.ordered] == ["searched", "X3D", "random", "random", "random"]
    assert [model.top1 for model in report.randoms] == [95.0, 80.0, 60.0]
    assert report.ours.name == "AutoX3D-tiny <1>"
    assert report.chance == 50.0


def test_random_summary_counts_what_is_beaten(report):
    assert report.random_summary == {"count": 3, "median_top1": 80.0, "best_top1": 95.0, "beaten": 2}


def test_the_rival_among_the_random_ones_is_their_median_or_the_better_of_two(report):
    (named, median) = report.rivals
    assert named.theirs == "X3D-tiny"
    assert (median.ours, median.difference) == (report.ours.name, 90.0 - 80.0)
    fewer = dataclasses.replace(report, models=[m for m in report.models if m.top1 != 60.0])
    assert fewer.rivals[-1].difference == 90.0 - 95.0
    none = dataclasses.replace(report, models=[m for m in report.models if m.role != "random"])
    assert none.rivals == [named]


@pytest.mark.parametrize(
    ("top1", "verdict", "words"),
    [(95.0, "ahead", "ahead of"), (51.0, "level", "level with"), (20.0, "behind", "behind")],
)
def test_verdict_follows_the_interval(top1, verdict, words):
    ours = ModelResult(name="a", role="searched", top1=top1, macs=100, params=1)
    theirs = ModelResult(name="b", role="X3D", top1=50.0, macs=104, params=1)
    pair = compare(ours, theirs, total=100)
    assert (pair.verdict, pair.relation) == (verdict, words)
    assert pair.equal_macs
    assert pair.difference == pytest.approx(top1 - 50.0)


def test_ten_percent_more_multiply_adds_are_not_equal():
    models = [ModelResult(name=n, role="X3D", top1=50.0, macs=m, params=1) for n, m in (("a", 110), ("b", 100))]
    assert not compare(*models, total=100).equal_macs


def test_json_form_round_trips_and_holds_the_architecture(report):
    data = json.loads(simplejson.dumps(report_to_dict(report), ignore_nan=True))
    ours = data["models"][0]
    assert ours["gflops"] == 0.05
    assert Architecture.from_dict(ours["architecture"]) == report.ours.architecture
    assert ours["top1_interval95"] == pytest.approx(report.ours.interval(100))
    assert data["comparisons"][0]["verdict"] == "ahead"
    assert data["search"]["coverage"] == {"naive": [[1, 0], [1, 1]]}
    assert data["clips"] == ["left"]
    assert "multiply-adds" in data["conventions"]["gflops"]


def test_arrays_become_plain_and_empty_classes_nan():
    counts = np.array([[3, 1], [0, 0]])
    model = ModelResult(name="a", role="X3D", top1=75.0, macs=1, params=1, per_class=(75.0, None), confusion=counts)
    assert model.confusion == ((3, 1), (0, 0))
    assert math.isnan(model.per_class[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "best"}, "role 'best' is not one of searched"),
        ({"top1": 140.0}, "top1 = 140.0 is not a percentage"),
        ({"top5": -1.0}, "top5 = -1.0"),
        ({"top1": 0.9}, r"top1 = 0.9 \(percent\) but the confusion matrix says 90.00"),
        ({"confusion": [[1, 2]]}, "not square"),
    ],
)
def test_impossible_results_are_refused(report, change, message):
    with pytest.raises(EvaluationError, match=message):
        dataclasses.replace(report.ours, **change)


def test_report_needs_models_and_matching_classes(report):
    with pytest.raises(EvaluationError, match="at least one model"):
        dataclasses.replace(report, models=[])
    with pytest.raises(EvaluationError, match="2 classes, the report has 3"):
        dataclasses.replace(report, class_names=["a", "b", "c"])


def test_policy_table_needs_a_probability_a_candidate():
    with pytest.raises(EvaluationError, match="policy of kernel"):
        PolicyTable("kernel", [["a", "b"]], [[1.0]])


def test_reference_is_ours_where_nothing_was_searched(models):
    reference = ModelResult(name="S", role="reference", top1=60.0, macs=1, params=1)
    report = DemoReport(
        title="t", class_names=["a", "b"], num_test_videos=10, clip=(1, 2, 2), models=[models[0], reference]
    )
    assert report.ours is reference
