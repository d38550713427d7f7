import numpy as np
import pytest

from pytorchvideo_autox3d.data.tools import BENCH_CLASSES
from pytorchvideo_autox3d.data.tools import bench_motion as bench
from pytorchvideo_autox3d.data.tools.demo_motion import load_photographs

TIMES = np.linspace(0, 1, 33)
PHOTOS = load_photographs("val")


def path_of(programme, seed=0, times=TIMES):
    return bench.programme_path(programme, times, np.random.default_rng(seed))


def test_classes_are_the_product_of_their_parts():
    assert len(BENCH_CLASSES) == len(set(BENCH_CLASSES)) == 24
    for label, name in enumerate(BENCH_CLASSES):
        parts = bench.BenchLabel.of(label)
        expected = f"{bench.MOVERS[parts.mover]}_{bench.PROGRAMMES[parts.programme]}_{bench.SURFACES[parts.surface]}"
        assert name == expected


@pytest.mark.parametrize("seed", range(5))
def test_speeds_change_as_named(seed):
    steps = {name: np.linalg.norm(np.diff(path_of(name, seed), axis=0), axis=1) for name in ("speeds_up", "slows_down")}
    assert (np.diff(steps["speeds_up"]) > 0).all()
    assert (np.diff(steps["slows_down"]) < 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_swings_return_as_often_as_named(seed):
    # A whole number of periods: the path closes, and the main frequency of its longer component is the rate.
    for name, cycles in (("swings_slowly", 1), ("swings_quickly", 2)):
        path = path_of(name, seed)
        np.testing.assert_allclose(path[0], path[-1], atol=1e-9)
        component = path[:-1, np.abs(path).max(0).argmax()]
        assert np.abs(np.fft.rfft(component - component.mean())).argmax() == cycles


@pytest.mark.parametrize("seed", range(5))
def test_order_of_the_two_motions(seed):
    for name, first_axis in (("across_then_along", 0), ("along_then_across", 1)):
        moved = np.abs(np.diff(path_of(name, seed), axis=0)) > 1e-9
        assert moved[:16, first_axis].all()
        assert not moved[:16, 1 - first_axis].any()
        assert moved[16:, 1 - first_axis].all()
        assert not moved[16:, first_axis].any()


@pytest.mark.parametrize("pair", [("speeds_up", "slows_down"), ("across_then_along", "along_then_across")])
def test_opposites_are_each_other_run_backwards(pair):
    # But for the sign, which is drawn: so a network that looks at single frames sees no difference.
    first, second = (path_of(name, seed=3) for name in pair)
    np.testing.assert_allclose(first, -second[::-1], atol=1e-9)
    assert np.abs(first - second).max() > 0.2


def flow_of_background(label, seed):
    """Mean absolute change between frames along the view's border, where the object never is for long."""
    video = np.stack(bench.render_bench_video(label, PHOTOS, 28, 16, np.random.default_rng(seed))).astype(float)
    border = np.ones((28, 28), bool)
    border[3:-3, 3:-3] = False
    return np.abs(np.diff(video, axis=0))[:, border].mean()


def test_the_scene_moves_with_the_camera():
    label = {name: BENCH_CLASSES.index(f"{name}_swings_quickly_plain") for name in bench.MOVERS}
    moved = {name: np.mean([flow_of_background(label[name], seed) for seed in range(8)]) for name in bench.MOVERS}
    assert moved["camera"] > 1.3 * moved["object"]


def test_pictures_have_the_size_asked_for_and_repeat():
    one = bench.render_bench_video(5, PHOTOS, 40, 6, np.random.default_rng(1))
    again = bench.render_bench_video(5, PHOTOS, 40, 6, np.random.default_rng(1))
    assert len(one) == 6
    assert one[0].shape == (40, 40, 3)
    assert one[0].dtype == np.uint8
    np.testing.assert_array_equal(one, again)
    assert (np.stack(one) != np.stack(bench.render_bench_video(5, PHOTOS, 40, 6, np.random.default_rng(2)))).any()
