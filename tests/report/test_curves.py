import dataclasses

import pytest

from pytorchvideo_autox3d.report.curves import draw_accuracy_cost, draw_training_curves, model_styles


def test_curves_show_loss_and_accuracy_from_errors(report):
    figure = draw_training_curves(report.ordered, chance=50.0)
    loss, top1 = figure.axes
    assert list(loss.lines[0].get_ydata()) == [2.0, 1.0, pytest.approx(2 / 3), 0.5]
    assert list(top1.lines[0].get_ydata()) == [22.5, 45.0, 67.5, 90.0]
    assert "chance 50%" in [text.get_text() for text in top1.texts]


def test_held_out_is_solid_and_training_dashed(models):
    entries = [{**entry, "val_top1_err": 40.0} for entry in models[0].history]
    figure = draw_training_curves([dataclasses.replace(models[0], history=entries)])
    train, held_out = figure.axes[1].lines
    assert list(held_out.get_ydata()) == [60.0] * 4
    assert held_out.get_linestyle() == "-"
    assert train.get_linestyle() == "--"


def test_values_that_are_not_finite_are_left_out(models):
    entries = [{"epoch": 1, "loss": float("nan")}, {"epoch": 2, "loss": 1.0}, {"epoch": 3, "loss": None}]
    figure = draw_training_curves([dataclasses.replace(models[0], history=entries)])
    assert list(figure.axes[0].lines[0].get_xdata()) == [2.0]


def test_scatter_has_an_interval_a_model(report):
    figure = draw_accuracy_cost(report.ordered, num_test_videos=100, chance=50.0)
    segments = figure.axes[0].collections[0].get_segments()[0]
    assert list(segments[:, 1]) == pytest.approx(list(report.ours.interval(100)))
    assert list(segments[:, 0]) == pytest.approx([0.05, 0.05])


def test_costs_of_different_magnitude_are_on_a_logarithmic_axis(models):
    dear = dataclasses.replace(models[0], macs=50 * models[0].macs)
    assert draw_accuracy_cost([models[0], dear], num_test_videos=9).axes[0].get_xscale() == "log"
    assert draw_accuracy_cost([models[0]], num_test_videos=9).axes[0].get_xscale() == "linear"


def test_two_models_of_a_role_look_different(models):
    styles = model_styles([models[0], models[0], models[-1]])
    assert len(set(styles)) == 3
