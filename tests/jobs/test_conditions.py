"""The table of conditions against what the making of jobs reads, with each condition met and not."""

import pytest

from pytorchvideo_autox3d.config import config_path, get_cfg, leaves, load_cfg
from pytorchvideo_autox3d.config.conditions import CONDITIONS
from pytorchvideo_autox3d.config.readers import NONE, READERS
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs import SearchJob, TrainJob
from tests.reads import recorded_reads
from tests.small_space import GROUPS, SPACE

# For the first key of a condition: what meets it, and what leaves it unmet.
SWITCHES = {
    "MIXUP.": ({"MIXUP.ENABLE": True}, {}),
    "AUG.AA_TYPE": ({"AUG.ENABLE": True}, {}),
    "AUG.RE_MODE": ({"AUG.ENABLE": True}, {"AUG.ENABLE": True, "AUG.RE_PROB": 0.0}),
    "BN.NUM_BATCHES_PRECISE": ({"BN.USE_PRECISE_STATS": True}, {"BN.USE_PRECISE_STATS": False}),
    "BN.NUM_SPLITS": ({"BN.NORM_TYPE": "sub_batchnorm"}, {}),
    "BN.GLOBAL_SYNC": ({"BN.NORM_TYPE": "sync_batchnorm", "BN.NUM_SYNC_DEVICES": 2}, {}),
    "BN.NUM_SYNC_DEVICES": (
        {"BN.NORM_TYPE": "sync_batchnorm", "BN.NUM_SYNC_DEVICES": 2},
        {"BN.NORM_TYPE": "sync_batchnorm", "BN.GLOBAL_SYNC": True},
    ),
    "SOLVER.COSINE_END_LR": (
        {},
        {"SOLVER.LR_POLICY": "steps_with_relative_lrs", "SOLVER.STEPS": [0], "SOLVER.LRS": [1]},
    ),
    "SOLVER.STEPS": ({"SOLVER.LR_POLICY": "steps_with_relative_lrs", "SOLVER.STEPS": [0], "SOLVER.LRS": [1]}, {}),
    "SOLVER.WARMUP_START_LR": ({"SOLVER.WARMUP_EPOCHS": 1.0}, {"SOLVER.WARMUP_EPOCHS": 0.0}),
    "SOLVER.MOMENTUM": ({}, {"SOLVER.OPTIMIZING_METHOD": "adam"}),
    "SOLVER.DAMPENING": ({}, {"SOLVER.OPTIMIZING_METHOD": "muon"}),
    "SOLVER.BETAS": ({"SOLVER.OPTIMIZING_METHOD": "adamw"}, {"SOLVER.OPTIMIZING_METHOD": "muon"}),
    "TENSORBOARD.LOG_DIR": ({"TENSORBOARD.ENABLE": True}, {}),
    "X3D.": ({"MODEL.MODEL_NAME": "X3D", "AUTOX3D.GROUPS": [], "AUTOX3D.SPACE": "table2"}, {}),
    "SLOWFAST.": ({"MODEL.MODEL_NAME": "SlowFast", "AUTOX3D.GROUPS": [], "AUTOX3D.SPACE": "table2"}, {}),
    "RESNET.DEPTH": ({"MODEL.MODEL_NAME": "SlowFast", "AUTOX3D.GROUPS": [], "AUTOX3D.SPACE": "table2"}, {}),
    "AUTOX3D.GROUPS": ({}, {"MODEL.MODEL_NAME": "X3D", "AUTOX3D.GROUPS": [], "AUTOX3D.SPACE": "table2"}),
    "AUTOX3D.ARCHITECTURE": ({"AUTOX3D.GROUPS": [], "AUTOX3D.SPACE": "table2"}, {}),
    "AUTOX3D.SPACE": ({}, {"AUTOX3D.GROUPS": [], "AUTOX3D.SPACE": "table2"}),
}
SEARCHES = {
    "SEARCH.EVOLUTION_NETWORKS": ({"SEARCH.DERIVE": "evolution"}, {}),
    "SEARCH.LAGRANGIAN_LR": ({"SEARCH.COST_TERM": "lagrangian"}, {}),
}
# Read in any case, and not used.
HANDED_ON = (
    "SEARCH.BEST_OF", "SEARCH.BN_BATCHES", "SEARCH.WARMUP_SAMPLES", "SEARCH.SANDWICH_NARROWEST",
    "SEARCH.POLICY_SPLIT", "SEARCH.COST_WEIGHT", "SEARCH.PARAMS_WEIGHT", "SEARCH.COST_TERM", "SEARCH.MIN_SAMPLES",
    "SEARCH.NUM_SAMPLES", "SEARCH.SHARED", "SEARCH.BUDGET_FLOOR", "TRAIN.CHECKPOINT_EPOCH_RESET",
    "AUG.INTERPOLATION", "DATA.SAMPLING_RATE", "AUTOX3D.BAD_VIDEO_LIMIT",
    "AUTOX3D.RECOMPUTE_ACTIVATIONS", "AUTOX3D.AUTOCAST", "AUTOX3D.DATA_SPLIT",
)  # fmt: skip


@pytest.fixture(scope="module")
def making(tmp_path_factory):
    """`making(job, options)`: the keys that the making of a job reads."""
    folder = tmp_path_factory.mktemp("conditions")
    (folder / "space.yaml").write_text(SPACE)
    for split in ("train", "val", "test"):
        for number in range(8):
            (folder / f"{split}{number}.mp4").touch()
        (folder / f"{split}.csv").write_text("".join(f"{split}{n}.mp4 {n % 8}\n" for n in range(8)))
    common = {
        "DATA.PATH_TO_DATA_DIR": folder, "DATA.PATH_PREFIX": folder, "DATA.NUM_FRAMES": 8, "TRAIN.BATCH_SIZE": 4,
        "NUM_GPUS": 0, "OUTPUT_DIR": folder / "out", "AUTOX3D.SPACE": folder / "space.yaml",
    }  # fmt: skip

    def read(job, options):
        name = "demo" if job is TrainJob else "search_demo"
        search = {"SEARCH.POLICY_SPLIT": 0.5, "SEARCH.TARGET_GFLOPS": 0.0005}
        own = {"AUTOX3D.GROUPS": GROUPS} if job is TrainJob else search
        pairs = common | own | options
        cfg = load_cfg(config_path(f"autox3d/{name}.yaml"), [str(item) for pair in pairs.items() for item in pair])
        with recorded_reads(cfg) as seen:
            job.from_config(cfg)
        return seen

    return read


def keys_of(condition):
    native = [key for key, row in READERS.items() if row.native != NONE and not key.endswith(".ENABLE")]
    return {key for key in native if condition.names(key)}


def test_every_condition_is_tried_here():
    assert [condition.keys[0] for condition in CONDITIONS] == [*SWITCHES, *SEARCHES, *HANDED_ON]


@pytest.mark.parametrize("first", [*SWITCHES, *SEARCHES])
def test_the_keys_of_a_condition_are_read_where_it_holds_and_not_elsewhere(making, first):
    condition = next(one for one in CONDITIONS if one.keys[0] == first)
    met, missed = (SWITCHES | SEARCHES)[first]
    job = SearchJob if first in SEARCHES else TrainJob
    assert keys_of(condition) - making(job, met) <= {"AUTOX3D.ARCHITECTURE"}  # which GROUPS stand for
    assert keys_of(condition) & making(job, missed) == set()


def other(value):
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return "other" if isinstance(value, str) else [0]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.keys[0])
def test_a_key_whose_condition_is_not_met_is_refused_or_told_by_name(condition):
    from pytorchvideo_autox3d.config import check_read

    defaults = dict(leaves(get_cfg()))
    for key in keys_of(condition):
        cfg = get_cfg()
        for name, value in UNMET.get(condition.keys[0], {}).items():
            node, leaf = name.split(".")
            cfg[node][leaf] = value
        if key.startswith("SEARCH."):
            cfg.SEARCH.ENABLE = True
        node, leaf = key.split(".")
        cfg[node][leaf] = other(defaults[key])
        if condition.warn:
            assert any(line.startswith(f"{key} ") for line in check_read(cfg, get_cfg())), key
        else:
            with pytest.raises(ConfigError, match=rf"^{key} is .*, which is read only with "):
                check_read(cfg, get_cfg())


# What leaves a condition unmet where the defaults meet it.
UNMET = {
    "SOLVER.COSINE_END_LR": {"SOLVER.LR_POLICY": "steps_with_relative_lrs"},
    "SOLVER.MOMENTUM": {"SOLVER.OPTIMIZING_METHOD": "adam"},
    "SOLVER.DAMPENING": {"SOLVER.OPTIMIZING_METHOD": "muon"},
    "AUTOX3D.GROUPS": {"MODEL.MODEL_NAME": "X3D"},
    "AUTOX3D.ARCHITECTURE": {"AUTOX3D.GROUPS": [1]},
    "SEARCH.WARMUP_SAMPLES": {"SEARCH.WARMUP_EPOCHS": 0},
    "SEARCH.POLICY_SPLIT": {"SEARCH.SHARED": True},
    "SEARCH.COST_WEIGHT": {"SEARCH.TARGET_GFLOPS": 0.0},
    "SEARCH.COST_TERM": {"SEARCH.TARGET_GFLOPS": 0.0},
    "SEARCH.BEST_OF": {},
    "SEARCH.NUM_SAMPLES": {"SEARCH.METHOD": "darts"},
    "SEARCH.SHARED": {"SEARCH.METHOD": "one_shot_evolution"},
    "SEARCH.BUDGET_FLOOR": {"SEARCH.DERIVE": "most_likely"},
    "AUG.INTERPOLATION": {"AUG.ENABLE": True, "AUG.AA_TYPE": ""},
    "DATA.SAMPLING_RATE": {"AUTOX3D.FRAME_SAMPLING": "segments"},
    "AUTOX3D.BAD_VIDEO_LIMIT": {"AUTOX3D.BAD_VIDEO_TRAIN": "error"},
    "AUTOX3D.RECOMPUTE_ACTIVATIONS": {"AUTOX3D.BATCH_NORM_KERNELS": False},
}


@pytest.mark.parametrize(
    ("key", "settings", "told"),
    [
        # Of a search without a policy every step is one of the warm-up.
        ("WARMUP_SAMPLES", {"WARMUP_EPOCHS": 0}, True),
        ("WARMUP_SAMPLES", {"WARMUP_EPOCHS": 0, "METHOD": "one_shot_evolution"}, False),
        ("SANDWICH", {"WARMUP_EPOCHS": 0, "SANDWICH": True}, True),
        ("SANDWICH", {"WARMUP_EPOCHS": 0, "SANDWICH": True, "METHOD": "one_shot_evolution"}, False),
        ("DISTILL", {"SANDWICH": True}, False),
        ("DISTILL", {"WARMUP_EPOCHS": 0, "SANDWICH": True}, True),
        ("DISTILL", {"WARMUP_EPOCHS": 0, "SANDWICH_AFTER_WARMUP": True}, False),
        ("DISTILL", {"SANDWICH_AFTER_WARMUP": True, "METHOD": "one_shot_evolution"}, True),
        ("SANDWICH_NARROWEST", {"WARMUP_EPOCHS": 0, "SANDWICH": True}, True),
        # Nothing but the ranking of candidates looks at the average.
        ("EMA_DECAY", {"DERIVE": "within_budgets"}, True),
        ("EMA_DECAY", {"DERIVE": "most_likely"}, True),
        ("EMA_DECAY", {"DERIVE": "best_of"}, False),
        ("EMA_DECAY", {"METHOD": "one_shot_evolution"}, False),
        ("COST_TERM", {}, False),  # the default has a budget
        ("COST_TERM", {"TARGET_GFLOPS": 0.0}, True),
        ("COST_TERM", {"TARGET_GFLOPS": 0.0, "TARGET_PARAMS_M": 3.0}, False),
        ("COST_TERM", {"TARGET_GFLOPS": 0.0, "BUDGETS": [["gflops", 1.0, 1.0]]}, False),
        *((key, {"COST_TERM": "lagrangian", "TARGET_PARAMS_M": 3.0, "ADAPTIVE_SAMPLES": True, "METHOD": method}, told)
          for key in ("COST_TERM", "LAGRANGIAN_LR", "COST_WEIGHT", "PARAMS_WEIGHT", "LIKELIHOOD", "ADAPTIVE_SAMPLES",
                      "MIN_SAMPLES", "WARMUP_EPOCHS")
          for method, told in (("one_shot_evolution", True), ("parsec", False))),
    ],
)  # fmt: skip
def test_a_key_of_a_search_counts_where_the_search_looks_at_it(key, settings, told):
    from pytorchvideo_autox3d.config.conditions import unmet

    cfg = get_cfg()
    for leaf, value in settings.items():
        cfg.SEARCH[leaf] = value
    assert bool(list(unmet(cfg, f"SEARCH.{key}"))) == told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"DERIVE": "within_budgets"}, False),
        ({"DERIVE": "within_budgets", "TARGET_GFLOPS": 0.0}, True),
        ({"DERIVE": "most_likely"}, True),
        ({"DERIVE": "most_likely", "PARETO_GFLOPS": [1.0]}, False),  # whose rows are within budgets
        ({"DERIVE": "evolution"}, False),
        ({"DERIVE": "evolution", "TARGET_GFLOPS": 0.0}, True),
        ({"DERIVE": "most_likely", "METHOD": "one_shot_evolution"}, False),  # which evolves whatever DERIVE says
        ({"DERIVE": "best_of", "TARGET_GFLOPS": 0.0, "TARGET_PARAMS_M": 3.0}, False),
        ({"DERIVE": "best_of", "TARGET_GFLOPS": 0.0, "BUDGETS": [["gflops", 1.0, 1.0]]}, False),
    ],
)
def test_a_floor_counts_where_the_derivation_keeps_to_a_budget(settings, told):
    from pytorchvideo_autox3d.config.conditions import unmet

    cfg = get_cfg()
    for leaf, value in settings.items():
        cfg.SEARCH[leaf] = value
    assert bool(list(unmet(cfg, "SEARCH.BUDGET_FLOOR"))) == told
