import argparse
import shlex
from pathlib import Path

import pytest
import torch
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d import jobs
from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.commands import demo, demo_models
from pytorchvideo_autox3d.commands.demo_models import demo_clip, search_config
from pytorchvideo_autox3d.commands.demo_tasks import demo_task
from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.data.tools import BENCH_CLASSES, DEMO_CLASSES, BenchSettings
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs import build


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return demo.with_defaults(parser.parse_args(arguments))


def test_the_quick_road_is_shorter_and_has_a_folder_of_its_own():
    whole, quick = parsed(), parsed("--quick")
    assert (whole.output, whole.random, whole.epochs) == (Path("demo"), 3, None)
    assert (quick.output, quick.random) == (Path("demo_quick"), 1)
    # The whole demo's data are those of the table of trained networks; the quick one's are easy and fewer.
    assert demo_task(whole).settings == BenchSettings()
    assert demo_task(whole).num_test_videos == 24 * 84
    assert demo_task(quick).num_test_videos == 8 * 10
    assert 0 < quick.epochs < 12
    assert 0 < quick.search_epochs < 20
    assert 0 < quick.videos_per_class < 100


def test_what_is_given_goes_before():
    quick = parsed("--quick", "--epochs", "2", "--output", "elsewhere", "--random", "0")
    assert (quick.epochs, quick.output, quick.random) == (2, Path("elsewhere"), 0)
    assert quick.search_epochs == demo.QUICK["search_epochs"]


def test_results_of_other_settings_are_not_taken_for_these(tmp_path):
    first = parsed("--output", str(tmp_path / "demo"), "--epochs", "1")
    demo._keep_settings(first)
    demo._keep_settings(argparse.Namespace(**{**vars(first), "random": 9}))
    for other in (("--epochs", "2"), ("--epochs", "1", "--seed", "3"), ("--epochs", "1", "--quick"), ()):
        with pytest.raises(
            ConfigError, match=r'demo: holds a demo of \{"quick": false, "epochs": 1,.*another --output'
        ):
            demo._keep_settings(parsed("--output", str(tmp_path / "demo"), *other))


def test_the_command_of_a_report_makes_it_again():
    given = ("--quick", "--output", "a b", "--search-epochs", "3", "--random", "2", "--videos-per-class", "7")
    args = parsed(*given)
    program, command, *words = shlex.split(demo._command(args))
    assert (program, command) == ("autox3d", "demo")
    assert parsed(*words) == args
    assert demo._command(parsed()) == "autox3d demo --output demo --seed 0"


@pytest.mark.parametrize("arguments", [(), ("--quick",)])
def test_fewer_epochs_keep_the_shares_of_the_warm_up(arguments):
    args = parsed(*arguments, "--epochs", "5", "--search-epochs", "2")
    task = demo_task(args)
    search, whole = search_config(args, task), load_cfg(config_path(task.search), [])
    assert search.SEARCH.EPOCHS == 2
    assert search.SEARCH.WARMUP_EPOCHS == 2 * whole.SEARCH.WARMUP_EPOCHS // whole.SEARCH.EPOCHS
    assert pytest.approx(whole.SOLVER.WARMUP_EPOCHS / whole.SEARCH.EPOCHS) == search.SOLVER.WARMUP_EPOCHS / 2
    trained, whole = demo_models._train_config(args, task.recipe, "x"), load_cfg(config_path(task.recipe), [])
    assert pytest.approx(whole.SOLVER.WARMUP_EPOCHS / whole.SOLVER.MAX_EPOCH) == trained.SOLVER.WARMUP_EPOCHS / 5


@pytest.mark.parametrize("arguments", [(), ("--quick",)])
def test_the_configs_of_a_task_are_of_one_piece(arguments):
    args = parsed(*arguments)
    task = demo_task(args)
    classes = {"": BENCH_CLASSES, "--quick": DEMO_CLASSES}["".join(arguments)]
    assert task.class_names == classes
    search, *trained = [load_cfg(config_path(name)) for name in (task.search, task.recipe, task.x3d)]
    assert task.recipe == search.SEARCH.RETRAIN_CFG
    assert [cfg.MODEL.NUM_CLASSES for cfg in (search, *trained)] == [len(classes)] * 3
    assert len({str(cfg.DATA) for cfg in (search, *trained)}) == 1
    assert str(args.output / "search") == search_config(args, task).OUTPUT_DIR
    for cfg in trained:  # around the budget
        macs = count_module(build.build_model(cfg), demo_clip(cfg)).macs
        assert macs == pytest.approx(1e9 * search.SEARCH.TARGET_GFLOPS, rel=0.13)


def test_a_stage_runs_once_and_leaves_a_core_to_the_loader(tmp_path, monkeypatch):
    seen = []
    cfg = CfgNode({"OUTPUT_DIR": str(tmp_path)})
    monkeypatch.setattr(jobs, "launch", lambda cfg: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    try:
        for threads in (3, 1):
            torch.set_num_threads(threads)
            demo._run_once(cfg, "result.json", demo._core_for_the_loader)
            assert torch.get_num_threads() == threads
        (tmp_path / "result.json").touch()
        demo._run_once(cfg, "result.json", demo._core_for_the_loader)
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 1]
