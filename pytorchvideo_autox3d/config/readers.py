"""Which jobs read which key: training, a test, a search, in this harness and under PySlowFast.

`tests/jobs/test_readers.py` and `tests/integration/test_slowfast_readers.py` run the jobs on a config that records what
is read of it, and compare. `config.unread` refuses what a config says to jobs that don't read it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Job(enum.Flag):
    """A set of kinds of jobs."""

    TRAIN = enum.auto()
    TEST = enum.auto()
    SEARCH = enum.auto()


TRAIN, TEST, SEARCH = Job
EVERY_JOB, NONE = TRAIN | TEST | SEARCH, Job(0)


@dataclass(frozen=True, init=False)
class Readers:
    """Who reads a key.

    Attributes:
        native: the jobs of this harness that read it.
        under_slowfast: the jobs under PySlowFast that read it, a search under its launcher included; by default the
            same.
        says: values besides the default that a job that does not read the key may meet, as they say what it does
            anyway.
        warn: why any other value has no effect, for keys that PySlowFast's own recipes set for nothing; where it is
            "", such a value is an error.
        in_search: why a search does not read it, and what it has in its place, for the message; "" where the message
            names only the jobs that read it.
    """

    native: Job
    under_slowfast: Job
    says: tuple[Any, ...]
    warn: str
    in_search: str

    def __init__(
        self,
        native: Job,
        *,
        under_slowfast: Job | None = None,
        says: tuple[Any, ...] = (),
        warn: str = "",
        in_search: str = "",
    ) -> None:
        object.__setattr__(self, "native", native)
        object.__setattr__(self, "under_slowfast", native if under_slowfast is None else under_slowfast)
        object.__setattr__(self, "says", says)
        object.__setattr__(self, "warn", warn)
        object.__setattr__(self, "in_search", in_search)


# PySlowFast packs as many pathways as MODEL.ARCH has; here MODEL.MODEL_NAME says all.
ARCHS = (
    "x3d", "autox3d", "slowfast", "slow", "c2d", "i3d", "csn", "r2plus1d", "mobilenetv2_3d",
)  # fmt: skip

READERS: dict[str, Readers] = {
    "TRAIN.ENABLE": Readers(TRAIN | TEST, says=(False,)),
    "TRAIN.DATASET": Readers(TRAIN | SEARCH),
    "TRAIN.BATCH_SIZE": Readers(TRAIN | SEARCH),
    "TRAIN.EVAL_PERIOD": Readers(TRAIN),
    "TRAIN.CHECKPOINT_PERIOD": Readers(TRAIN | SEARCH),
    "TRAIN.AUTO_RESUME": Readers(TRAIN | SEARCH),
    "TRAIN.CHECKPOINT_FILE_PATH": Readers(TRAIN),
    "TRAIN.CHECKPOINT_TYPE": Readers(NONE, under_slowfast=TRAIN),
    "TRAIN.CHECKPOINT_EPOCH_RESET": Readers(TRAIN),
    "TRAIN.MIXED_PRECISION": Readers(EVERY_JOB, under_slowfast=TRAIN | SEARCH),
    "TEST.ENABLE": Readers(TRAIN | TEST, says=(False,)),
    "TEST.DATASET": Readers(TEST | SEARCH),
    "TEST.BATCH_SIZE": Readers(TEST | SEARCH),
    "TEST.CHECKPOINT_FILE_PATH": Readers(TEST),
    "TEST.CHECKPOINT_TYPE": Readers(NONE, under_slowfast=TEST),
    "TEST.NUM_ENSEMBLE_VIEWS": Readers(EVERY_JOB, under_slowfast=TEST | SEARCH),
    "TEST.NUM_SPATIAL_CROPS": Readers(EVERY_JOB, under_slowfast=TEST | SEARCH),
    "TEST.SAVE_RESULTS_PATH": Readers(TEST),
    "DATA.PATH_TO_DATA_DIR": Readers(EVERY_JOB),
    "DATA.PATH_PREFIX": Readers(EVERY_JOB),
    "DATA.PATH_LABEL_SEPARATOR": Readers(NONE, says=(" ", ",")),  # found by looking
    "DATA.NUM_FRAMES": Readers(EVERY_JOB),
    "DATA.SAMPLING_RATE": Readers(EVERY_JOB),
    "DATA.TARGET_FPS": Readers(EVERY_JOB),
    "DATA.MEAN": Readers(EVERY_JOB),
    "DATA.STD": Readers(EVERY_JOB),
    "DATA.TRAIN_JITTER_SCALES": Readers(EVERY_JOB),
    "DATA.TRAIN_CROP_SIZE": Readers(EVERY_JOB),
    "DATA.TEST_CROP_SIZE": Readers(EVERY_JOB),
    "DATA.RANDOM_FLIP": Readers(TRAIN | SEARCH),
    "DATA.ENSEMBLE_METHOD": Readers(EVERY_JOB, under_slowfast=TEST | SEARCH),
    "DATA.INPUT_CHANNEL_NUM": Readers(NONE, under_slowfast=TRAIN | TEST, says=([3], [3, 3], [2], [5])),
    "DATA.DECODING_BACKEND": Readers(NONE, says=("pyav",), warn="AUTOX3D.READER chooses what decodes"),
    "DATA.DECODING_SHORT_SIZE": Readers(NONE, warn="frames are decoded at their own size, then scaled once"),
    "DATA.USE_OFFSET_SAMPLING": Readers(NONE),
    "AUG.ENABLE": Readers(TRAIN | SEARCH),
    "AUG.NUM_SAMPLE": Readers(NONE, under_slowfast=TRAIN),
    "AUG.COLOR_JITTER": Readers(NONE, says=(None,)),
    "AUG.AA_TYPE": Readers(TRAIN | SEARCH),
    "AUG.INTERPOLATION": Readers(TRAIN | SEARCH),
    "AUG.RE_PROB": Readers(TRAIN | SEARCH),
    "AUG.RE_MODE": Readers(TRAIN | SEARCH),
    "AUG.RE_COUNT": Readers(TRAIN | SEARCH),
    "AUG.RE_SPLIT": Readers(NONE),
    "MIXUP.ENABLE": Readers(TRAIN | SEARCH),
    "MIXUP.ALPHA": Readers(TRAIN | SEARCH),
    "MIXUP.CUTMIX_ALPHA": Readers(TRAIN | SEARCH),
    "MIXUP.PROB": Readers(TRAIN | SEARCH),
    "MIXUP.SWITCH_PROB": Readers(TRAIN | SEARCH),
    "MIXUP.LABEL_SMOOTH_VALUE": Readers(TRAIN | SEARCH),
    "MODEL.MODEL_NAME": Readers(EVERY_JOB),
    "MODEL.ARCH": Readers(NONE, under_slowfast=TRAIN | TEST, says=ARCHS),
    "MODEL.NUM_CLASSES": Readers(EVERY_JOB),
    "MODEL.DROPOUT_RATE": Readers(EVERY_JOB),
    "MODEL.LOSS_FUNC": Readers(TRAIN | SEARCH),
    "MODEL.HEAD_ACT": Readers(NONE, under_slowfast=TRAIN | TEST),
    "MODEL.ACT_CHECKPOINT": Readers(
        TRAIN | TEST,
        in_search="it wraps whole blocks, and a supernet's take a choice beside the clip; "
        "AUTOX3D.RECOMPUTE_ACTIVATIONS computes a supernet's activations again",
    ),
    "X3D.WIDTH_FACTOR": Readers(TRAIN | TEST),
    "X3D.DEPTH_FACTOR": Readers(TRAIN | TEST),
    "X3D.BOTTLENECK_FACTOR": Readers(TRAIN | TEST),
    "X3D.DIM_C5": Readers(TRAIN | TEST),
    "X3D.DIM_C1": Readers(TRAIN | TEST),
    "X3D.SCALE_RES2": Readers(NONE, under_slowfast=TRAIN | TEST),
    "X3D.BN_LIN5": Readers(TRAIN | TEST),
    "X3D.CHANNELWISE_3x3x3": Readers(NONE, under_slowfast=TRAIN | TEST),
    "RESNET.TRANS_FUNC": Readers(NONE, under_slowfast=TRAIN | TEST, says=("x3d_transform",)),
    "RESNET.DEPTH": Readers(TRAIN | TEST),
    "RESNET.STRIDE_1X1": Readers(NONE, under_slowfast=TRAIN | TEST),
    "RESNET.ZERO_INIT_FINAL_BN": Readers(NONE, under_slowfast=TRAIN | TEST),
    "SLOWFAST.ALPHA": Readers(TRAIN | TEST),
    "SLOWFAST.BETA_INV": Readers(TRAIN | TEST),
    "SLOWFAST.FUSION_CONV_CHANNEL_RATIO": Readers(TRAIN | TEST),
    "SLOWFAST.FUSION_KERNEL_SZ": Readers(TRAIN | TEST),
    "BN.USE_PRECISE_STATS": Readers(TRAIN),
    "BN.NUM_BATCHES_PRECISE": Readers(TRAIN),
    "BN.WEIGHT_DECAY": Readers(TRAIN | SEARCH),
    "BN.NORM_TYPE": Readers(TRAIN | TEST),
    "BN.NUM_SPLITS": Readers(TRAIN | TEST),
    "BN.NUM_SYNC_DEVICES": Readers(TRAIN | TEST),
    "BN.GLOBAL_SYNC": Readers(TRAIN | TEST),
    "SOLVER.BASE_LR": Readers(TRAIN | SEARCH),
    "SOLVER.LR_POLICY": Readers(TRAIN | SEARCH),
    "SOLVER.COSINE_END_LR": Readers(TRAIN | SEARCH),
    "SOLVER.STEPS": Readers(TRAIN | SEARCH),
    "SOLVER.LRS": Readers(TRAIN | SEARCH),
    "SOLVER.MAX_EPOCH": Readers(TRAIN),
    "SOLVER.MOMENTUM": Readers(TRAIN | SEARCH),
    "SOLVER.DAMPENING": Readers(TRAIN | SEARCH),
    "SOLVER.NESTEROV": Readers(TRAIN | SEARCH),
    "SOLVER.WEIGHT_DECAY": Readers(TRAIN | SEARCH),
    "SOLVER.WARMUP_EPOCHS": Readers(TRAIN | SEARCH),
    "SOLVER.WARMUP_START_LR": Readers(TRAIN | SEARCH),
    "SOLVER.OPTIMIZING_METHOD": Readers(TRAIN | SEARCH),
    "SOLVER.BASE_LR_SCALE_NUM_SHARDS": Readers(TRAIN | SEARCH),
    "SOLVER.COSINE_AFTER_WARMUP": Readers(TRAIN | SEARCH),
    "SOLVER.ZERO_WD_1D_PARAM": Readers(TRAIN | SEARCH),
    "SOLVER.CLIP_GRAD_VAL": Readers(TRAIN | SEARCH),
    "SOLVER.CLIP_GRAD_L2NORM": Readers(TRAIN | SEARCH),
    "SOLVER.BETAS": Readers(TRAIN | SEARCH),
    "DATA_LOADER.NUM_WORKERS": Readers(EVERY_JOB),
    "DATA_LOADER.PIN_MEMORY": Readers(EVERY_JOB),
    "TENSORBOARD.ENABLE": Readers(TRAIN | SEARCH, under_slowfast=EVERY_JOB),
    "TENSORBOARD.LOG_DIR": Readers(TRAIN | SEARCH),
    "TENSORBOARD.CLASS_NAMES_PATH": Readers(NONE, under_slowfast=TRAIN),
    "TASK": Readers(NONE, under_slowfast=TRAIN | TEST),
    "NUM_GPUS": Readers(EVERY_JOB),
    "NUM_SHARDS": Readers(EVERY_JOB),
    "SHARD_ID": Readers(EVERY_JOB),
    "DIST_BACKEND": Readers(EVERY_JOB),
    "OUTPUT_DIR": Readers(EVERY_JOB),
    "RNG_SEED": Readers(EVERY_JOB),
    "LOG_PERIOD": Readers(EVERY_JOB, under_slowfast=TRAIN | SEARCH),
    "LOG_MODEL_INFO": Readers(EVERY_JOB),
    "AUTOX3D.ARCHITECTURE": Readers(TRAIN | TEST),
    "AUTOX3D.GROUPS": Readers(TRAIN | TEST),
    "AUTOX3D.IMPORTS": Readers(EVERY_JOB),
    "AUTOX3D.SPACE": Readers(EVERY_JOB),
    "AUTOX3D.DEPTH_FACTOR": Readers(EVERY_JOB),
    "AUTOX3D.STEM": Readers(EVERY_JOB),
    "AUTOX3D.HEAD": Readers(EVERY_JOB),
    "AUTOX3D.SE_RATIO": Readers(EVERY_JOB),
    "AUTOX3D.LABEL_SMOOTHING": Readers(TRAIN | SEARCH, under_slowfast=SEARCH),
    "AUTOX3D.GRAD_ACCUMULATION": Readers(TRAIN | SEARCH, under_slowfast=SEARCH),
    "AUTOX3D.BASE_BATCH_SIZE": Readers(TRAIN | SEARCH, under_slowfast=SEARCH),
    "AUTOX3D.CHECKPOINT_MINUTES": Readers(TRAIN | SEARCH, under_slowfast=SEARCH),
    "AUTOX3D.CHECKPOINTS_KEPT": Readers(TRAIN | SEARCH, under_slowfast=SEARCH),
    "AUTOX3D.EPOCHS_KEPT": Readers(TRAIN | SEARCH, under_slowfast=SEARCH),
    "AUTOX3D.CHANNELS_LAST": Readers(EVERY_JOB, under_slowfast=SEARCH, says=(False,)),
    "AUTOX3D.AUTOCAST": Readers(EVERY_JOB, under_slowfast=SEARCH, says=("float16",)),
    "AUTOX3D.AUTO_AUGMENT": Readers(TRAIN | SEARCH),
    "AUTOX3D.FRAME_SAMPLING": Readers(EVERY_JOB),
    "AUTOX3D.MODALITY": Readers(EVERY_JOB),
    "AUTOX3D.READER": Readers(EVERY_JOB),
    "AUTOX3D.DECODED_DIR": Readers(EVERY_JOB),
    "AUTOX3D.DATA_SPLIT": Readers(EVERY_JOB),
    "AUTOX3D.BAD_VIDEO_TRAIN": Readers(TRAIN | SEARCH),
    "AUTOX3D.BAD_VIDEO_TEST": Readers(TEST | SEARCH, under_slowfast=SEARCH),
    "AUTOX3D.BAD_VIDEO_LIMIT": Readers(EVERY_JOB, under_slowfast=TRAIN | SEARCH),
    "AUTOX3D.DECODE_SECONDS": Readers(EVERY_JOB),
    "AUTOX3D.LOADER_SECONDS": Readers(EVERY_JOB, under_slowfast=SEARCH),
    "AUTOX3D.DEPTHWISE_KERNELS": Readers(EVERY_JOB),
    "AUTOX3D.BATCH_NORM_KERNELS": Readers(EVERY_JOB),
    "AUTOX3D.RECOMPUTE_ACTIVATIONS": Readers(EVERY_JOB),
    "GLORE.NODE_RATIO": Readers(EVERY_JOB),
    "SEARCH.ENABLE": Readers(EVERY_JOB),
    "SEARCH.METHOD": Readers(SEARCH),
    "SEARCH.CHANNEL_SELECTION": Readers(SEARCH),
    "SEARCH.NUM_SAMPLES": Readers(SEARCH),
    "SEARCH.WARMUP_SAMPLES": Readers(SEARCH),
    "SEARCH.ADAPTIVE_SAMPLES": Readers(SEARCH),
    "SEARCH.MIN_SAMPLES": Readers(SEARCH),
    "SEARCH.EPOCHS": Readers(SEARCH),
    "SEARCH.WARMUP_EPOCHS": Readers(SEARCH),
    "SEARCH.SANDWICH": Readers(SEARCH),
    "SEARCH.SANDWICH_AFTER_WARMUP": Readers(SEARCH),
    "SEARCH.SANDWICH_NARROWEST": Readers(SEARCH),
    "SEARCH.DISTILL": Readers(SEARCH),
    "SEARCH.EMA_DECAY": Readers(SEARCH),
    "SEARCH.SPREAD": Readers(SEARCH),
    "SEARCH.LIKELIHOOD": Readers(SEARCH),
    "SEARCH.TEMPERATURE": Readers(SEARCH),
    "SEARCH.CONTROL_VARIATE": Readers(SEARCH),
    "SEARCH.POLICY_LR": Readers(SEARCH),
    "SEARCH.POLICY_WEIGHT_DECAY": Readers(SEARCH),
    "SEARCH.POLICY_SPLIT": Readers(SEARCH),
    "SEARCH.SHARED": Readers(SEARCH),
    "SEARCH.TARGET_GFLOPS": Readers(SEARCH),
    "SEARCH.TARGET_PARAMS_M": Readers(SEARCH),
    "SEARCH.COST_WEIGHT": Readers(SEARCH),
    "SEARCH.PARAMS_WEIGHT": Readers(SEARCH),
    "SEARCH.COST_TERM": Readers(SEARCH),
    "SEARCH.LAGRANGIAN_LR": Readers(SEARCH),
    "SEARCH.BUDGETS": Readers(SEARCH),
    "SEARCH.LATENCY_TABLE": Readers(SEARCH),
    "SEARCH.LATENCY_MACHINE": Readers(SEARCH),
    "SEARCH.LATENCY_BACKEND": Readers(SEARCH),
    "SEARCH.LATENCY_THREADS": Readers(SEARCH),
    "SEARCH.DERIVE": Readers(SEARCH),
    "SEARCH.BEST_OF": Readers(SEARCH),
    "SEARCH.BN_BATCHES": Readers(SEARCH),
    "SEARCH.RANK_BY": Readers(SEARCH),
    "SEARCH.BUDGET_FLOOR": Readers(SEARCH),
    "SEARCH.EVOLUTION_NETWORKS": Readers(SEARCH),
    "SEARCH.EVOLUTION_POPULATION": Readers(SEARCH),
    "SEARCH.EVOLUTION_ALGORITHM": Readers(SEARCH),
    "SEARCH.PARETO_GFLOPS": Readers(SEARCH),
    "SEARCH.PARETO_LATENCY_MS": Readers(SEARCH),
    "SEARCH.RETRAIN_CFG": Readers(SEARCH),
}
