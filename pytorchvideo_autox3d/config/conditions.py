"""Keys that count only together with others: what a config must switch on before a job looks at them.

`tests/jobs/test_conditions.py` makes jobs on configs that record what is read of them, with each condition met and not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.registry import MODEL_KEYS, MODEL_REGISTRY

# PySlowFast's own, which build no network of ours.
THEIR_MODELS = (
    "ContrastiveModel", "MaskMViT", "MViT", "PTVCSN", "PTVMViT", "PTVR2plus1D", "PTVResNet", "PTVSlowFast", "PTVX3D",
    "ResNet", "SlowFast", "X3D",
)  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """Keys, and the condition under which a job that knows them reads them.

    Attributes:
        keys: dotted; one that ends in a dot stands for its whole node.
        holds: whether a config's jobs look at the keys.
        needs: the condition in words, for "... is read only with <needs>".
        warn: whether unmet conditions are only a warning, as recipes set the keys for nothing; else they are an error.
    """

    keys: tuple[str, ...]
    holds: Callable[[CfgNode], bool]
    needs: str
    warn: bool = False

    def names(self, key: str) -> bool:
        return any(key == own or (own.endswith(".") and key.startswith(own)) for own in self.keys)


def model_is(*names: str) -> Callable[[CfgNode], bool]:
    """A condition: the config's model is one of these. It also holds for unknown names, which are refused elsewhere."""

    def holds(cfg: CfgNode) -> bool:
        name = cfg.MODEL.MODEL_NAME
        known = name in MODEL_REGISTRY or name in THEIR_MODELS
        return not known or MODEL_REGISTRY.present_name(_backbone(cfg)) in names

    return holds


def _backbone(cfg: CfgNode) -> str:
    """The network whose keys are read: MODEL.MODEL_NAME, or what PySlowFast's detectors and wrappers contain."""
    wrapped = {"AutoX3DDetection": {"x3d": "X3D"}.get(cfg.MODEL.ARCH, "AutoX3D"), "PTVX3D": "X3D"}
    wrapped |= {"PTVSlowFast": "SlowFast", "AutoX3DSearch": "AutoX3D"}
    name: str = cfg.MODEL.MODEL_NAME
    return wrapped.get(name, name)


def _takes_depth(cfg: CfgNode) -> bool:
    """Whether the model is one of PySlowFast's own, SlowFast, or one with an argument for the depth of its ResNet."""
    name = MODEL_REGISTRY.present_name(cfg.MODEL.MODEL_NAME)
    if name not in MODEL_REGISTRY:
        return True
    return "model_depth" in inspect.signature(MODEL_REGISTRY.get(name)).parameters


def _learns_alpha(cfg: CfgNode) -> bool:
    return bool(cfg.SEARCH.METHOD != "one_shot_evolution")


def _warms_up(cfg: CfgNode) -> bool:
    """Whether a search has steps as those of a warm-up; without a policy all are."""
    return cfg.SEARCH.WARMUP_EPOCHS > 0 or not _learns_alpha(cfg)


def _makes_sandwiches(cfg: CfgNode) -> bool:
    search = cfg.SEARCH
    return bool((search.SANDWICH and _warms_up(cfg)) or (search.SANDWICH_AFTER_WARMUP and _learns_alpha(cfg)))


def _evolves(cfg: CfgNode) -> bool:
    return "evolution" in (cfg.SEARCH.DERIVE, cfg.SEARCH.METHOD.removeprefix("one_shot_"))


def _has_budgets(cfg: CfgNode) -> bool:
    return bool(cfg.SEARCH.BUDGETS or cfg.SEARCH.TARGET_GFLOPS or cfg.SEARCH.TARGET_PARAMS_M)


def _keeps_to_a_budget(cfg: CfgNode) -> bool:
    """Whether the search's own result or a row of SEARCH.PARETO_* is looked for within budgets."""
    search = cfg.SEARCH
    rows = search.PARETO_GFLOPS or search.PARETO_LATENCY_MS
    return bool((_has_budgets(cfg) and (search.DERIVE != "most_likely" or _evolves(cfg))) or rows)


CONDITIONS = (
    Condition(("MIXUP.",), lambda cfg: cfg.MIXUP.ENABLE, "MIXUP.ENABLE True"),
    Condition(("AUG.AA_TYPE", "AUG.INTERPOLATION", "AUG.RE_PROB"), lambda cfg: cfg.AUG.ENABLE, "AUG.ENABLE True"),
    Condition(
        ("AUG.RE_MODE", "AUG.RE_COUNT"), lambda cfg: cfg.AUG.ENABLE and cfg.AUG.RE_PROB,
        "AUG.ENABLE True and AUG.RE_PROB above 0",
    ),
    Condition(
        ("BN.NUM_BATCHES_PRECISE",), lambda cfg: cfg.BN.USE_PRECISE_STATS, "BN.USE_PRECISE_STATS True", warn=True
    ),
    Condition(("BN.NUM_SPLITS",), lambda cfg: cfg.BN.NORM_TYPE == "sub_batchnorm", "BN.NORM_TYPE sub_batchnorm"),
    Condition(("BN.GLOBAL_SYNC",), lambda cfg: cfg.BN.NORM_TYPE == "sync_batchnorm", "BN.NORM_TYPE sync_batchnorm"),
    Condition(
        ("BN.NUM_SYNC_DEVICES",), lambda cfg: cfg.BN.NORM_TYPE.startswith("sync_batchnorm") and not cfg.BN.GLOBAL_SYNC,
        "BN.NORM_TYPE sync_batchnorm and BN.GLOBAL_SYNC False",
    ),
    Condition(
        ("SOLVER.COSINE_END_LR", "SOLVER.COSINE_AFTER_WARMUP"), lambda cfg: cfg.SOLVER.LR_POLICY == "cosine",
        "SOLVER.LR_POLICY cosine",
    ),
    Condition(
        ("SOLVER.STEPS", "SOLVER.LRS"), lambda cfg: cfg.SOLVER.LR_POLICY == "steps_with_relative_lrs",
        "SOLVER.LR_POLICY steps_with_relative_lrs",
    ),
    Condition(
        ("SOLVER.WARMUP_START_LR",), lambda cfg: cfg.SOLVER.WARMUP_EPOCHS > 0, "SOLVER.WARMUP_EPOCHS above 0",
        warn=True,
    ),
    Condition(
        ("SOLVER.MOMENTUM", "SOLVER.NESTEROV"), lambda cfg: cfg.SOLVER.OPTIMIZING_METHOD in ("sgd", "muon"),
        "SOLVER.OPTIMIZING_METHOD sgd or muon",
    ),
    Condition(
        ("SOLVER.DAMPENING",), lambda cfg: cfg.SOLVER.OPTIMIZING_METHOD == "sgd", "SOLVER.OPTIMIZING_METHOD sgd"
    ),
    Condition(
        ("SOLVER.BETAS",), lambda cfg: cfg.SOLVER.OPTIMIZING_METHOD in ("adam", "adamw"),
        "SOLVER.OPTIMIZING_METHOD adam or adamw",
    ),
    Condition(("TENSORBOARD.LOG_DIR",), lambda cfg: cfg.TENSORBOARD.ENABLE, "TENSORBOARD.ENABLE True"),
    Condition(("X3D.",), model_is("X3D"), "MODEL.MODEL_NAME X3D"),
    Condition(("SLOWFAST.",), model_is("SlowFast"), "MODEL.MODEL_NAME SlowFast"),
    Condition(("RESNET.DEPTH",), _takes_depth, "a MODEL.MODEL_NAME of a ResNet's depths"),
    Condition(
        ("AUTOX3D.GROUPS", "AUTOX3D.ARCHITECTURE", "AUTOX3D.DEPTH_FACTOR", "AUTOX3D.STEM", "AUTOX3D.HEAD",
         "AUTOX3D.SE_RATIO", "GLORE.NODE_RATIO"),
        model_is("AutoX3D"), "MODEL.MODEL_NAME AutoX3D",
    ),
    Condition(
        ("AUTOX3D.ARCHITECTURE",), lambda cfg: not cfg.AUTOX3D.GROUPS, "AUTOX3D.GROUPS empty", warn=True
    ),
    Condition(
        ("AUTOX3D.SPACE",),
        lambda cfg: model_is("AutoX3D")(cfg) and bool(cfg.AUTOX3D.GROUPS or cfg.SEARCH.ENABLE),
        "MODEL.MODEL_NAME AutoX3D, and AUTOX3D.GROUPS or a search", warn=True,
    ),
    Condition(
        ("SEARCH.EVOLUTION_NETWORKS", "SEARCH.EVOLUTION_POPULATION", "SEARCH.EVOLUTION_ALGORITHM"), _evolves,
        "SEARCH.DERIVE evolution", warn=True,
    ),
    Condition(
        ("SEARCH.LAGRANGIAN_LR",), lambda cfg: cfg.SEARCH.COST_TERM == "lagrangian", "SEARCH.COST_TERM lagrangian",
        warn=True,
    ),
    # From here on a value is handed on whatever it says, to parts that don't use it.
    Condition(("SEARCH.BEST_OF",), lambda cfg: cfg.SEARCH.DERIVE == "best_of", "SEARCH.DERIVE best_of", warn=True),
    Condition(
        ("SEARCH.BN_BATCHES", "SEARCH.RANK_BY", "SEARCH.EMA_DECAY"),
        lambda cfg: cfg.SEARCH.DERIVE == "best_of" or _evolves(cfg),
        "SEARCH.DERIVE best_of or evolution", warn=True,
    ),
    Condition(
        ("SEARCH.WARMUP_SAMPLES", "SEARCH.SANDWICH"), _warms_up, "SEARCH.WARMUP_EPOCHS above 0", warn=True
    ),
    Condition(
        ("SEARCH.SANDWICH_NARROWEST", "SEARCH.DISTILL"), _makes_sandwiches,
        "SEARCH.SANDWICH and a warm-up, or SEARCH.SANDWICH_AFTER_WARMUP", warn=True,
    ),
    Condition(("SEARCH.POLICY_SPLIT",), lambda cfg: not cfg.SEARCH.SHARED, "SEARCH.SHARED False", warn=True),
    Condition(
        ("SEARCH.COST_WEIGHT",), lambda cfg: cfg.SEARCH.TARGET_GFLOPS, "SEARCH.TARGET_GFLOPS above 0", warn=True
    ),
    Condition(
        ("SEARCH.PARAMS_WEIGHT",), lambda cfg: cfg.SEARCH.TARGET_PARAMS_M, "SEARCH.TARGET_PARAMS_M above 0", warn=True
    ),
    Condition(
        ("SEARCH.COST_TERM", "SEARCH.LAGRANGIAN_LR"), _has_budgets, "SEARCH.TARGET_GFLOPS or another budget", warn=True
    ),
    Condition(
        ("SEARCH.MIN_SAMPLES",), lambda cfg: cfg.SEARCH.ADAPTIVE_SAMPLES, "SEARCH.ADAPTIVE_SAMPLES True", warn=True
    ),
    Condition(
        ("SEARCH.NUM_SAMPLES", "SEARCH.WARMUP_SAMPLES", "SEARCH.ADAPTIVE_SAMPLES", "SEARCH.MIN_SAMPLES",
         "SEARCH.SANDWICH", "SEARCH.SANDWICH_AFTER_WARMUP", "SEARCH.SANDWICH_NARROWEST", "SEARCH.DISTILL",
         "SEARCH.LIKELIHOOD", "SEARCH.TEMPERATURE", "SEARCH.CONTROL_VARIATE"),
        lambda cfg: cfg.SEARCH.METHOD != "darts", "a SEARCH.METHOD that draws samples", warn=True,
    ),
    Condition(
        ("SEARCH.SHARED", "SEARCH.POLICY_SPLIT", "SEARCH.TEMPERATURE", "SEARCH.CONTROL_VARIATE", "SEARCH.DERIVE",
         "SEARCH.SANDWICH_AFTER_WARMUP", "SEARCH.POLICY_LR", "SEARCH.POLICY_WEIGHT_DECAY", "SEARCH.WARMUP_EPOCHS",
         "SEARCH.ADAPTIVE_SAMPLES", "SEARCH.MIN_SAMPLES", "SEARCH.LIKELIHOOD", "SEARCH.COST_TERM",
         "SEARCH.LAGRANGIAN_LR", "SEARCH.COST_WEIGHT", "SEARCH.PARAMS_WEIGHT"),
        _learns_alpha, "a SEARCH.METHOD that learns alpha", warn=True,
    ),
    Condition(
        ("SEARCH.BUDGET_FLOOR",), _keeps_to_a_budget,
        "a SEARCH.DERIVE other than most_likely, and SEARCH.TARGET_GFLOPS or another budget", warn=True,
    ),
    Condition(
        ("TRAIN.CHECKPOINT_EPOCH_RESET",), lambda cfg: cfg.TRAIN.CHECKPOINT_FILE_PATH,
        "a TRAIN.CHECKPOINT_FILE_PATH to start from", warn=True,
    ),
    Condition(("AUG.INTERPOLATION",), lambda cfg: cfg.AUG.AA_TYPE, "AUG.AA_TYPE", warn=True),
    Condition(
        ("DATA.SAMPLING_RATE", "DATA.TARGET_FPS"), lambda cfg: cfg.AUTOX3D.FRAME_SAMPLING != "segments",
        "AUTOX3D.FRAME_SAMPLING clip", warn=True,
    ),
    Condition(
        ("AUTOX3D.BAD_VIDEO_LIMIT",),
        lambda cfg: "skip" in (cfg.AUTOX3D.BAD_VIDEO_TRAIN, cfg.AUTOX3D.BAD_VIDEO_TEST),
        "AUTOX3D.BAD_VIDEO_TRAIN or BAD_VIDEO_TEST skip", warn=True,
    ),
    Condition(
        ("AUTOX3D.RECOMPUTE_ACTIVATIONS",), lambda cfg: cfg.AUTOX3D.BATCH_NORM_KERNELS,
        "AUTOX3D.BATCH_NORM_KERNELS True", warn=True,
    ),
    Condition(("AUTOX3D.AUTOCAST",), lambda cfg: cfg.TRAIN.MIXED_PRECISION, "TRAIN.MIXED_PRECISION True", warn=True),
    Condition(
        ("AUTOX3D.DATA_SPLIT",), lambda cfg: not {cfg.TRAIN.DATASET, cfg.TEST.DATASET} <= {"kinetics", "ssv2"},
        "TRAIN.DATASET and TEST.DATASET ucf101 or hmdb51", warn=True,
    ),
)  # fmt: skip


def unmet(cfg: CfgNode, key: str) -> Iterator[Condition]:
    """The conditions under which `key` is read and which `cfg` does not meet."""
    for condition in CONDITIONS:
        # The switch of a node is read whatever it says.
        if condition.names(key) and not key.endswith(".ENABLE") and not condition.holds(cfg):
            yield condition
    name = MODEL_REGISTRY.present_name(cfg.MODEL.MODEL_NAME)
    for model in MODEL_KEYS:
        if key.startswith(f"{model.upper()}.") and model != name:
            yield Condition((key,), lambda cfg: False, f"MODEL.MODEL_NAME {model}")
