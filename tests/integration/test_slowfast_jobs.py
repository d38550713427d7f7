"""PySlowFast's own train() and test() on the demo data, alone and in several processes. Skipped without PySlowFast.

Several processes run its GPU code on pretended GPUs; see `slowfast_support`.
"""

import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
import yaml

from pytorchvideo_autox3d.config import config_path, load_cfg
from tests.integration.slowfast_support import load_small, needs_slowfast, run_job, scores_of, small_opts, stats_of

pytestmark = [needs_slowfast, pytest.mark.usefixtures("_quiet_process", "_one_thread")]

SPACE = """\
name: tiny
stem: {channels: 8}
head: {channels: 16, hidden: 16}
groups:
  - {channels: [8, 12], kernels: [[1, 3], [3, 3]], expansions: [1.5], attentions: [none, glore], blocks: 1, stride: 2}
  - {channels: [8, 16], kernels: [[3, 3]], expansions: [1.5, 3.0], attentions: [none], blocks: 2, stride: 2}
"""
TEST_VIDEOS = 7  # times three views is a number of clips that two processes don't divide


@pytest.fixture(scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A little of the demo data, with lists of odd lengths."""
    from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data

    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, size=(64, 48), num_frames=12)
    root = make_demo_data(tmp_path_factory.mktemp("slowfast") / "demo", settings=settings, show_progress=False)
    lists = tmp_path_factory.mktemp("lists")
    for name, count in (("train", 8), ("val", 5), ("test", TEST_VIDEOS)):
        rows = (root / f"{name}.csv").read_text().splitlines()[:count]
        (lists / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return {"DATA__PATH_TO_DATA_DIR": str(lists), "DATA__PATH_PREFIX": str(root)}


@pytest.fixture(scope="module")
def trained(demo, tmp_path_factory):
    """An AutoX3D and an X3D after an epoch of PySlowFast's train() and its test(), through our entry."""
    from pytorchvideo_autox3d.slowfast import run

    outputs = {}
    for name, settings in (("autox3d/S.yaml", {}), ("autox3d/X3D_S.yaml", {"X3D__DEPTH_FACTOR": 1.0})):
        outputs[name] = tmp_path_factory.mktemp("run")
        opts = small_opts(OUTPUT_DIR=outputs[name], TEST__SAVE_RESULTS_PATH="scores.pkl", **demo, **settings)
        run([config_path(name)], opts)
    return outputs


@pytest.mark.parametrize("name", ["autox3d/S.yaml", "autox3d/X3D_S.yaml"])
def test_one_epoch_and_all_views(trained, name):
    output = trained[name]
    assert (output / "checkpoints" / "checkpoint_epoch_00001.pyth").is_file()
    (epoch,) = stats_of(output, "train_epoch")
    assert epoch["loss"] == pytest.approx(np.log(8), rel=0.7)
    assert len(stats_of(output, "val_epoch")) == 1
    assert len(stats_of(output, "test_final")) == 1
    scores, labels = scores_of(output / "scores.pkl")
    assert labels.tolist() == list(range(TEST_VIDEOS))
    # Each view's scores sum to one, and there are 2 clips x 3 crops.
    torch.testing.assert_close(scores.sum(1), torch.full((TEST_VIDEOS,), 6.0))


def test_trained_there_tested_here(trained, demo, tmp_path):
    from pytorchvideo_autox3d import jobs

    checkpoint = trained["autox3d/S.yaml"] / "checkpoints" / "checkpoint_epoch_00001.pyth"
    opts = small_opts(OUTPUT_DIR=tmp_path, TRAIN__ENABLE=False, TEST__CHECKPOINT_FILE_PATH=checkpoint, **demo)
    jobs.launch(load_cfg(config_path("autox3d/S.yaml"), opts))
    theirs, _ = scores_of(trained["autox3d/S.yaml"] / "scores.pkl")
    saved = np.load(tmp_path / "test_results.npz")
    np.testing.assert_allclose(saved["score"], theirs.numpy() / 6, atol=1e-5)


def test_trained_here_tested_there(demo, tmp_path):
    from pytorchvideo_autox3d import jobs
    from pytorchvideo_autox3d.slowfast import run

    jobs.launch(load_cfg(config_path("autox3d/S.yaml"), small_opts(OUTPUT_DIR=tmp_path / "native", **demo)))
    checkpoint = tmp_path / "native" / "checkpoints" / "checkpoint_epoch_00001.pyth"
    (tmp_path / "theirs").mkdir()
    run(
        [config_path("autox3d/S.yaml")],
        small_opts(
            OUTPUT_DIR=tmp_path / "theirs", TRAIN__ENABLE=False, TEST__CHECKPOINT_FILE_PATH=checkpoint,
            TEST__SAVE_RESULTS_PATH="scores.pkl", **demo,
        ),
    )  # fmt: skip
    theirs, _ = scores_of(tmp_path / "theirs" / "scores.pkl")
    native = np.load(tmp_path / "native" / "test_results.npz")
    np.testing.assert_allclose(native["score"], theirs.numpy() / 6, atol=1e-5)


def _test_and_record(cfg):
    """PySlowFast's test(), keeping which clips reached the sums of this process's meter."""
    from slowfast.utils import meters

    from pytorchvideo_autox3d.slowfast.harness import test_job

    original = meters.TestMeter.__mro__[1]  # PySlowFast's own, below the exact one
    summed = []
    update = original.update_stats

    def record(self, preds, labels, clip_ids):
        summed.extend(clip_ids.tolist())
        update(self, preds, labels, clip_ids)

    original.update_stats = record
    test_job(cfg)
    original.update_stats = update
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    torch.save(summed, Path(cfg.OUTPUT_DIR, f"summed_{rank}"))


def test_each_view_once_in_two_processes(demo, tmp_path):
    from pytorchvideo_autox3d.slowfast import register

    register()
    scores = {}
    for processes in (1, 2):
        output = tmp_path / str(processes)
        output.mkdir()
        cfg = load_small(
            OUTPUT_DIR=output, TEST__NUM_ENSEMBLE_VIEWS=1, TEST__SAVE_RESULTS_PATH="scores.pkl",
            DATA_LOADER__NUM_WORKERS=processes - 1, **demo,
        )  # fmt: skip
        if processes == 1:
            _test_and_record(cfg)
        else:
            cfg.NUM_GPUS = processes
            arguments = _test_and_record, cfg, f"file://{tmp_path}/rendezvous"
            mp.start_processes(run_job, arguments, nprocs=processes, start_method="forkserver")
        for rank in range(processes):
            summed = torch.load(output / f"summed_{rank}")
            assert Counter(summed) == Counter(range(TEST_VIDEOS * 3)), f"process {rank} of {processes}"
        scores[processes], labels = scores_of(output / "scores.pkl")
        assert labels.tolist() == list(range(TEST_VIDEOS))
    torch.testing.assert_close(scores[2], scores[1], rtol=1e-5, atol=1e-6)


def _train_with_multigrid(cfg):
    # Record what the model is fed: multigrid changes the number of frames, the crop and the batch.
    from slowfast.models import MODEL_REGISTRY

    from pytorchvideo_autox3d.slowfast.harness import train_job

    shapes, norms = set(), set()
    built = MODEL_REGISTRY.get("AutoX3D")

    def recording(cfg):
        model = built(cfg)
        norms.update(type(module).__name__ for module in model.modules() if "BatchNorm" in type(module).__name__)

        def record(module, inputs):
            if module.training:
                shapes.add(tuple(inputs[0][0].shape))

        model.register_forward_pre_hook(record)
        return model

    MODEL_REGISTRY._obj_map["AutoX3D"] = recording
    train_job(cfg)
    torch.save((shapes, norms), Path(cfg.OUTPUT_DIR, f"shapes_{torch.distributed.get_rank()}"))


def test_multigrid(demo, tmp_path):
    """Long and short cycle over two processes: every phase loads the last one's checkpoint."""
    from pytorchvideo_autox3d.slowfast import register

    register()
    lists = Path(demo["DATA__PATH_TO_DATA_DIR"])
    rows = (lists / "train.csv").read_text()
    many = tmp_path / "lists"
    many.mkdir()
    (many / "train.csv").write_text(rows * 8)
    (many / "val.csv").write_text((lists / "val.csv").read_text())
    cfg = load_small(
        OUTPUT_DIR=tmp_path, SOLVER__LR_POLICY="steps_with_relative_lrs", SOLVER__STEPS=[0, 4, 6],
        SOLVER__LRS=[1, 0.1, 0.01], DATA__NUM_FRAMES=8, DATA__TRAIN_CROP_SIZE=64, DATA__TRAIN_JITTER_SCALES=[64, 72],
        SOLVER__MAX_EPOCH=8, TRAIN__BATCH_SIZE=4,
        TRAIN__EVAL_PERIOD=100, TRAIN__CHECKPOINT_PERIOD=1, BN__USE_PRECISE_STATS=False,
        **{**demo, "DATA__PATH_TO_DATA_DIR": many},
    )  # fmt: skip
    cfg.NUM_GPUS, cfg.MULTIGRID.LONG_CYCLE, cfg.MULTIGRID.SHORT_CYCLE = 2, True, True
    cfg.MULTIGRID.EPOCH_FACTOR, cfg.MULTIGRID.BN_BASE_SIZE = 1.0, 2
    arguments = _train_with_multigrid, cfg, f"file://{tmp_path}/rendezvous"
    mp.start_processes(run_job, arguments, nprocs=2, start_method="forkserver")
    shapes, norms = torch.load(tmp_path / "shapes_0", weights_only=False)
    assert len({shape[2] for shape in shapes}) > 1, shapes
    assert len({shape[3] for shape in shapes}) > 2, shapes
    assert "SubBatchNorm3d" in norms
    last = sorted((tmp_path / "checkpoints").iterdir())[-1]
    state = torch.load(last, weights_only=True)["model_state"]
    from pytorchvideo_autox3d.jobs.build import build_model
    from pytorchvideo_autox3d.slowfast.configuration import native_cfg

    build_model(native_cfg(cfg)).load_state_dict(state)


def test_a_search_epoch(demo, tmp_path):
    """Our search under PySlowFast's launcher: it leaves an architecture, and a config that this harness trains."""
    from pytorchvideo_autox3d.slowfast import run
    from pytorchvideo_autox3d.space import Architecture

    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    opts = small_opts(
        AUTOX3D__GROUPS=[], AUTOX3D__SPACE=space, OUTPUT_DIR=tmp_path, SEARCH__EPOCHS=2, SEARCH__WARMUP_EPOCHS=1,
        SEARCH__NUM_SAMPLES=2, SEARCH__TARGET_GFLOPS=0.001, TRAIN__BATCH_SIZE=2, BN__NUM_BATCHES_PRECISE=None,
        SOLVER__MAX_EPOCH=None, **demo,
    )  # fmt: skip
    run([config_path("autox3d/search_S.yaml")], opts)
    kept = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert (kept["SEARCH"]["EPOCHS"], kept["AUTOX3D"]["SPACE"]) == (2, str(space))
    epochs = stats_of(tmp_path, "train_epoch")
    assert [(epoch["skipped"], epoch["bad_videos"]) for epoch in epochs] == [(0.0, 0.0)] * 2
    assert {"skipped", "bad_videos"} <= set(stats_of(tmp_path, "train_iter_")[0])
    assert Architecture.from_json(tmp_path / "architecture.json").space.name == "tiny"
    (tmp_path / "retrain").mkdir()
    run([tmp_path / "retrain.yaml"], small_opts(AUTOX3D__GROUPS=None, OUTPUT_DIR=tmp_path / "retrain", **demo))
    assert len(stats_of(tmp_path / "retrain", "test_final")) == 1


def test_a_missing_view_is_an_error(demo, tmp_path):
    from pytorchvideo_autox3d.errors import EvaluationError
    from pytorchvideo_autox3d.slowfast import register
    from pytorchvideo_autox3d.slowfast.harness import TOOLS

    register()
    meter = importlib.import_module(f"{TOOLS}.test_net").TestMeter(2, 3, 8, 1)
    meter.update_stats(torch.full((5, 8), 0.125), torch.tensor([0, 0, 0, 1, 1]), torch.arange(5))
    with pytest.raises(EvaluationError, match="video 1 has 2 of 3"):
        meter.finalize_metrics()
