"""The table of readers against what PySlowFast's train() and test(), and our search there, read. Skipped without it.

What a single process on a CPU never reads, and what a switch hides, is in `UNSEEN`.
"""

import pytest
import torch

from pytorchvideo_autox3d.config import config_path, leaves
from pytorchvideo_autox3d.config.readers import READERS, SEARCH, TEST, TRAIN
from tests.integration.slowfast_support import load_small, needs_slowfast, small_opts
from tests.reads import recorded_reads
from tests.small_space import GROUPS, SPACE, write_latency_table

pytestmark = [needs_slowfast, pytest.mark.usefixtures("_quiet_process")]

ON = {
    "MIXUP__ENABLE": True, "AUG__ENABLE": True, "AUTOX3D__AUTO_AUGMENT": "", "TENSORBOARD__ENABLE": True,
    "LOG_MODEL_INFO": True, "MODEL__LOSS_FUNC": "soft_cross_entropy",
}  # fmt: skip
# Several GPUs or machines are beyond a test on a CPU.
UNSEEN = {
    TRAIN: {"DIST_BACKEND", "SOLVER.BASE_LR_SCALE_NUM_SHARDS"},  # the second as the config is loaded
    TEST: {"DIST_BACKEND"},
    SEARCH: {"DIST_BACKEND", "SHARD_ID"},
}


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    """The keys that each job reads, of a network of ours and one of PySlowFast's."""
    from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
    from pytorchvideo_autox3d.slowfast import register, run

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    register()
    folder = tmp_path_factory.mktemp("readers")
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    data = make_demo_data(folder / "data", settings=settings, show_progress=False)
    (folder / "space.yaml").write_text(SPACE)
    demo = {"DATA__PATH_TO_DATA_DIR": data, "DATA__PATH_PREFIX": data, "AUTOX3D__DEPTHWISE_KERNELS": False}
    ours = {**demo, "AUTOX3D__SPACE": folder / "space.yaml", "AUTOX3D__GROUPS": GROUPS, "OUTPUT_DIR": folder / "ours"}
    theirs = {**demo, "X3D__DEPTH_FACTOR": 1.0, "OUTPUT_DIR": folder / "theirs", "AUTOX3D__GROUPS": None}
    seen = {TRAIN: set(), TEST: set(), SEARCH: set()}

    def record(job, name, **options):
        with recorded_reads() as found:
            run([config_path(name)], small_opts(**options))
        seen[job] |= found

    alone = {TRAIN: {"TEST__ENABLE": False}, TEST: {"TRAIN__ENABLE": False}}
    record(TRAIN, "autox3d/S.yaml", **ours, **ON, **alone[TRAIN], SOLVER__MAX_EPOCH=2, SOLVER__WARMUP_EPOCHS=1.0,
           TRAIN__EVAL_PERIOD=1, TRAIN__CHECKPOINT_PERIOD=1)  # fmt: skip
    record(TEST, "autox3d/S.yaml", **ours, **alone[TEST], LOG_MODEL_INFO=True)
    start = folder / "ours" / "checkpoints" / "checkpoint_epoch_00001.pyth"
    record(TRAIN, "autox3d/S.yaml", **{**ours, "OUTPUT_DIR": folder / "more"}, **alone[TRAIN],
           TRAIN__CHECKPOINT_FILE_PATH=start, TRAIN__CHECKPOINT_EPOCH_RESET=True, SOLVER__OPTIMIZING_METHOD="adamw",
           SOLVER__LR_POLICY="steps_with_relative_lrs", SOLVER__STEPS=[0, 1], SOLVER__LRS=[1, 0.1])  # fmt: skip
    record(TRAIN, "autox3d/X3D_S.yaml", **theirs, **alone[TRAIN])
    record(TEST, "autox3d/X3D_S.yaml", **theirs, **alone[TEST])
    searched = {**ours, "AUTOX3D__GROUPS": [], "OUTPUT_DIR": folder / "search",
                "SOLVER__MAX_EPOCH": None, "BN__NUM_BATCHES_PRECISE": None}  # fmt: skip
    latencies = write_latency_table(load_small("autox3d/search_demo.yaml", **searched), folder / "latency.json")
    record(SEARCH, "autox3d/search_demo.yaml", **searched, SEARCH__LATENCY_TABLE=latencies,
           SEARCH__EPOCHS=2, SEARCH__WARMUP_EPOCHS=1, SEARCH__NUM_SAMPLES=2, SEARCH__BEST_OF=1,
           SEARCH__BN_BATCHES=1, SEARCH__TARGET_GFLOPS=0.0002, MIXUP__ENABLE=True, AUG__ENABLE=True,
           TENSORBOARD__ENABLE=True, TRAIN__BATCH_SIZE=2)  # fmt: skip
    seen[SEARCH] |= _reads_of_other_choices({**searched, "OUTPUT_DIR": folder / "none"})
    from pytorchvideo_autox3d.slowfast.compat import find_slowfast
    from pytorchvideo_autox3d.slowfast.configuration import load_cfg

    variants = ({"AUTOX3D__GROUPS": None}, {"BN__NORM_TYPE": "sub_batchnorm"},
                {"BN__NORM_TYPE": "sync_batchnorm", "BN__GLOBAL_SYNC": True},
                {"BN__NORM_TYPE": "sync_batchnorm", "BN__NUM_SYNC_DEVICES": 1})  # fmt: skip
    recipe = find_slowfast() / "configs" / "Kinetics" / "SLOWFAST_4x16_R50.yaml"
    for cfg in [load_cfg(recipe, ["NUM_GPUS", 0]), *(load_small(**change) for change in variants)]:
        built = _reads_of_building(cfg)
        seen[TRAIN] |= built
        seen[TEST] |= built
    torch.set_num_threads(threads)
    return seen


def _reads_of_other_choices(searched):
    """What the making of a search and of its optimiser reads where it derives, optimises and steps otherwise."""
    from pytorchvideo_autox3d.jobs import build
    from pytorchvideo_autox3d.slowfast.configuration import native_cfg

    cfg = load_small(
        "autox3d/search_demo.yaml", **searched, SEARCH__DERIVE="evolution", SEARCH__COST_TERM="lagrangian",
        SOLVER__OPTIMIZING_METHOD="adamw", SOLVER__LR_POLICY="steps_with_relative_lrs", SOLVER__STEPS=[0],
        SOLVER__LRS=[1],
    )  # fmt: skip
    ours = native_cfg(cfg)
    with recorded_reads() as found:
        build.build_search_settings(ours)
        build.build_evolution(ours)
        build.build_schedule(ours)
        build.build_optimizer(ours, torch.nn.Linear(1, 1))
    return found


def _reads_of_building(cfg):
    from slowfast.models import build_model

    with recorded_reads() as found:
        build_model(cfg)
    return found


@pytest.mark.parametrize("job", [TRAIN, TEST, SEARCH], ids=lambda job: job.name)
def test_the_table_says_what_the_jobs_read_under_pyslowfast(reads, job):
    said = {key for key, row in READERS.items() if row.under_slowfast & job}
    read = reads[job] & READERS.keys()
    if job is SEARCH:  # what is looked at of the recipe's own config
        read -= {"TRAIN.EVAL_PERIOD", "TEST.ENABLE"}
    if job is TEST:  # what only the checks before it look at
        read -= {"AUTOX3D.BAD_VIDEO_TEST", "AUTOX3D.BAD_VIDEO_LIMIT"}
    assert said - UNSEEN[job] == read


def test_what_its_trainer_reads_of_data_and_aug_is_let_through(reads):
    from slowfast.config.defaults import get_cfg

    from pytorchvideo_autox3d.slowfast.rules import TRAINER_KEYS

    own = {key for key, _ in leaves(get_cfg()) if key.startswith(("DATA.", "AUG.")) and key not in READERS}
    own.remove("DATA.LOADER_CHUNK_SIZE")  # it is asked for, and only PySlowFast's own readers would do it
    assert own & (reads[TRAIN] | reads[TEST]) <= set(TRAINER_KEYS) <= own
