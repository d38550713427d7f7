"""The table of readers against what training, test and search really read of their configs."""

import pytest
import torch

from pytorchvideo_autox3d import jobs
from pytorchvideo_autox3d.config import config_path, get_cfg, leaves, load_cfg
from pytorchvideo_autox3d.config.readers import NONE, READERS, SEARCH, TEST, TRAIN
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.jobs import SearchJob, TestJob, TrainJob, build
from pytorchvideo_autox3d.registry import MODEL_KEYS
from tests.reads import recorded_reads
from tests.small_space import GROUPS, SPACE, write_latency_table

# Whatever can be switched on at once.
ON = {
    "AUG.ENABLE": True, "MIXUP.ENABLE": True, "TENSORBOARD.ENABLE": True, "TRAIN.MIXED_PRECISION": True,
}  # fmt: skip
# What only another network or normalisation makes the builder read; checking reads as building does.
NO_ARCHITECTURE = {"AUTOX3D.GROUPS": [], "AUTOX3D.SPACE": "table2"}
VARIANTS = [
    {"MODEL.MODEL_NAME": "X3D"} | NO_ARCHITECTURE,
    {"MODEL.MODEL_NAME": "SlowFast", "DATA.NUM_FRAMES": 8} | NO_ARCHITECTURE,
    {"SOLVER.LR_POLICY": "steps_with_relative_lrs", "SOLVER.STEPS": [0], "SOLVER.LRS": [1]},
    {"SOLVER.OPTIMIZING_METHOD": "adamw"},
    {"SOLVER.WARMUP_EPOCHS": 0.5},
    {"AUTOX3D.GROUPS": []},
    {"BN.NORM_TYPE": "sub_batchnorm", "BN.NUM_SPLITS": 2},
    {"BN.NORM_TYPE": "sync_batchnorm", "BN.NUM_SYNC_DEVICES": 2},
]
SEARCH_VARIANTS = [
    {"SEARCH.DERIVE": "evolution", "SEARCH.COST_TERM": "lagrangian", "SOLVER.OPTIMIZING_METHOD": "adamw"},
    {"SOLVER.LR_POLICY": "steps_with_relative_lrs", "SOLVER.STEPS": [0], "SOLVER.LRS": [1]},
    {"SOLVER.WARMUP_EPOCHS": 0.5},
]


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    """The keys that each job reads: all of its run, and the making of the same job with other networks."""
    folder = tmp_path_factory.mktemp("readers")
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    data = make_demo_data(folder / "data", settings=settings, show_progress=False)
    (folder / "space.yaml").write_text(SPACE)
    common = {
        "DATA.PATH_TO_DATA_DIR": data, "DATA.PATH_PREFIX": data, "DATA.NUM_FRAMES": 4, "DATA_LOADER.NUM_WORKERS": 0,
        "TRAIN.BATCH_SIZE": 2, "NUM_GPUS": 0, "AUTOX3D.DEPTHWISE_KERNELS": False, "SOLVER.WARMUP_EPOCHS": 0.0,
        "SOLVER.MAX_EPOCH": 1, "AUTOX3D.SPACE": folder / "space.yaml", "AUTOX3D.GROUPS": GROUPS,
        "OUTPUT_DIR": folder / "out", "BN.NUM_BATCHES_PRECISE": 1, "TEST.BATCH_SIZE": 4,
    }  # fmt: skip

    def cfg_of(name, *changes):
        options = common
        for more in changes:
            options = options | more
        return load_cfg(config_path(name), [str(item) for pair in options.items() for item in pair])

    searching = {
        "AUTOX3D.GROUPS": [], "OUTPUT_DIR": folder / "search", "SEARCH.EPOCHS": 2, "SEARCH.WARMUP_EPOCHS": 1,
        "SEARCH.NUM_SAMPLES": 2, "SEARCH.BEST_OF": 1, "SEARCH.BN_BATCHES": 1,
        "SEARCH.TARGET_GFLOPS": 0.0002, "SEARCH.PARETO_GFLOPS": [0.0002], "SOLVER.MAX_EPOCH": 300,
        "BN.NUM_BATCHES_PRECISE": 200,
    }  # fmt: skip
    latencies = write_latency_table(cfg_of("autox3d/search_demo.yaml", searching), folder / "latency.json")
    alone = {TRAIN: {"TEST.ENABLE": False}, TEST: {"TRAIN.ENABLE": False}}
    found = {
        TRAIN: _launched(cfg_of("autox3d/demo.yaml", ON, alone[TRAIN])),
        TEST: _launched(cfg_of("autox3d/demo.yaml", alone[TEST])),
        SEARCH: _launched(cfg_of("autox3d/search_demo.yaml", ON, searching, {"SEARCH.LATENCY_TABLE": latencies})),
    }
    for job, kind in ((TRAIN, TrainJob), (TEST, TestJob)):
        for change in VARIANTS:
            cfg = cfg_of("autox3d/demo.yaml", change, {"OUTPUT_DIR": folder / "none", "TRAIN.ENABLE": True})
            with recorded_reads(cfg) as seen:
                kind.from_config(cfg)
            found[job] |= seen
    for change in SEARCH_VARIANTS:
        cfg = cfg_of("autox3d/search_demo.yaml", searching, {"OUTPUT_DIR": folder / "none"}, change)
        with recorded_reads(cfg) as seen:
            SearchJob.from_config(cfg)
        found[SEARCH] |= seen
        # All of the optimiser is made as the search runs.
        with recorded_reads(cfg) as seen:
            build.build_optimizer(cfg, torch.nn.Linear(1, 1))
        found[SEARCH] |= seen
    return found


def _launched(cfg) -> set[str]:
    with recorded_reads(cfg) as seen:
        jobs.launch(cfg)
    return seen


def test_every_key_has_a_row():
    own = tuple(f"{name.upper()}." for name in MODEL_KEYS)  # nodes of models that other tests registered
    assert [key for key, _ in leaves(get_cfg()) if not key.startswith(own)] == list(READERS)


@pytest.mark.parametrize("job", [TRAIN, TEST, SEARCH], ids=lambda job: job.name)
def test_the_table_says_what_the_jobs_read(reads, job):
    said = {key for key, row in READERS.items() if row.native & job}
    assert said == reads[job] & READERS.keys()


def test_a_row_that_nobody_reads_keeps_its_reason():
    silent = {key for key, row in READERS.items() if row.native | row.under_slowfast == NONE}
    assert silent == {
        "DATA.PATH_LABEL_SEPARATOR", "DATA.DECODING_BACKEND", "DATA.DECODING_SHORT_SIZE", "DATA.USE_OFFSET_SAMPLING",
        "AUG.COLOR_JITTER", "AUG.RE_SPLIT",
    }  # fmt: skip
