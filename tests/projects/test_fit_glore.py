"""The fit of GloRe's nodes: its arithmetic, and that the layer's default is the fit's nearest quarter."""

import pytest

from pytorchvideo_autox3d.layers.glore import NODE_RATIO


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("fit_glore")


def test_the_cost_of_a_row_by_hand(script):
    # Two blocks in stage 1: C = 24, m = 24, 20800 positions: 5 C m + 4 m^2 each, and 6 m^3 once.
    cost = script.added(script.Row({1: 2}, 2.33, 3.5), node_ratio=1.0)
    assert int(cost.macs) == 2 * (20800 * (5 * 24 * 24 + 4 * 24**2) + 6 * 24**3)


def test_the_default_ratio_is_the_fit_to_the_nearest_quarter(script):
    best = script.best_ratio()
    assert round(best * 4) / 4 == NODE_RATIO
    assert script.squared_error(best) <= script.squared_error(NODE_RATIO) < 1.05 * script.squared_error(best)
    assert script.squared_error(0.25) > 10 * script.squared_error(best)


def test_it_prints_every_row(script, capsys):
    script.main()
    out = capsys.readouterr().out
    assert out.count("2 in 3, 3 in 4") == 2
    assert "best fit: nodes / channels = 1.29" in out
