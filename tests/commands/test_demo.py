import argparse
from pathlib import Path

from pytorchvideo_autox3d.commands import demo
from pytorchvideo_autox3d.data.tools import DemoSettings


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return demo.with_defaults(parser.parse_args(arguments))


def test_the_quick_road_is_shorter_and_has_a_folder_of_its_own():
    whole, quick = parsed(), parsed("--quick")
    assert (whole.output, whole.random, whole.epochs) == (Path("demo"), 3, None)
    assert (quick.output, quick.random) == (Path("demo_quick"), 1)
    # Data of one size are not those of another, and the whole demo's are the defaults.
    assert demo._data_settings(whole) == DemoSettings()
    assert demo._data_settings(quick).test_per_class < 30
    assert 0 < quick.epochs < 12
    assert 0 < quick.search_epochs < 20
    assert 0 < quick.videos_per_class < 150


def test_what_is_given_goes_before():
    quick = parsed("--quick", "--epochs", "2", "--output", "elsewhere", "--random", "0")
    assert (quick.epochs, quick.output, quick.random) == (2, Path("elsewhere"), 0)
    assert quick.search_epochs == demo.QUICK["search_epochs"]
