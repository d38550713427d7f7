"""Every key of a config with its default: PySlowFast's names, and our three nodes."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config.nodes import add_autox3d_config, add_model_nodes, node


def get_cfg() -> CfgNode:
    """A fresh config with every key at its default, free to change."""
    cfg = CfgNode()
    _add_jobs(cfg)
    _add_data(cfg)
    _add_models(cfg)
    _add_solver(cfg)
    _add_run(cfg)
    add_autox3d_config(cfg)
    add_model_nodes(cfg)
    return cfg


def _add_jobs(cfg: CfgNode) -> None:
    """The keys of training and test: whether to run them, on which data set, and from which checkpoint."""
    cfg.TRAIN = node(
        ENABLE=True,
        DATASET="kinetics",
        BATCH_SIZE=64,
        EVAL_PERIOD=10,
        CHECKPOINT_PERIOD=10,
        AUTO_RESUME=True,
        CHECKPOINT_FILE_PATH="",
        CHECKPOINT_TYPE="pytorch",
        CHECKPOINT_EPOCH_RESET=False,
        MIXED_PRECISION=False,
    )
    cfg.TEST = node(
        ENABLE=True,
        DATASET="kinetics",
        BATCH_SIZE=8,
        CHECKPOINT_FILE_PATH="",
        CHECKPOINT_TYPE="pytorch",
        NUM_ENSEMBLE_VIEWS=10,
        NUM_SPATIAL_CROPS=3,
        SAVE_RESULTS_PATH="",
    )


def _add_data(cfg: CfgNode) -> None:
    """The keys of the lists, of the clips that are taken from their videos, and of augmentation."""
    cfg.DATA = node(
        PATH_TO_DATA_DIR="",
        PATH_PREFIX="",
        PATH_LABEL_SEPARATOR=" ",
        NUM_FRAMES=8,
        SAMPLING_RATE=8,
        TARGET_FPS=30,
        MEAN=[0.45, 0.45, 0.45],
        STD=[0.225, 0.225, 0.225],
        TRAIN_JITTER_SCALES=[256, 320],
        TRAIN_CROP_SIZE=224,
        TEST_CROP_SIZE=256,
        RANDOM_FLIP=True,
        ENSEMBLE_METHOD="sum",
        INPUT_CHANNEL_NUM=[3, 3],
        DECODING_BACKEND="pyav",
        DECODING_SHORT_SIZE=256,
        USE_OFFSET_SAMPLING=False,
    )
    # PySlowFast's, and its defaults. AUG is RandAugment (AA_TYPE) and random erasing (RE_*) of training clips.
    cfg.AUG = node(
        ENABLE=False, NUM_SAMPLE=1, COLOR_JITTER=0.4, AA_TYPE="rand-m9-mstd0.5-inc1", INTERPOLATION="bicubic",
        RE_PROB=0.25, RE_MODE="pixel", RE_COUNT=1, RE_SPLIT=False,
    )  # fmt: skip
    cfg.MIXUP = node(
        ENABLE=False, ALPHA=0.8, CUTMIX_ALPHA=1.0, PROB=1.0, SWITCH_PROB=0.5, LABEL_SMOOTH_VALUE=0.1
    )  # fmt: skip


def _add_models(cfg: CfgNode) -> None:
    """The keys of the network, with a node for each kind of PySlowFast's that this package has too."""
    cfg.MODEL = node(
        MODEL_NAME="AutoX3D", ARCH="autox3d", NUM_CLASSES=400, DROPOUT_RATE=0.5, LOSS_FUNC="cross_entropy",
        HEAD_ACT="softmax", ACT_CHECKPOINT=False,
    )  # fmt: skip
    cfg.X3D = node(
        WIDTH_FACTOR=1.0, DEPTH_FACTOR=1.0, BOTTLENECK_FACTOR=1.0, DIM_C5=2048, DIM_C1=12, SCALE_RES2=False,
        BN_LIN5=False, CHANNELWISE_3x3x3=True,
    )  # fmt: skip
    # Every residual block of this package begins as its shortcut, so ZERO_INIT_FINAL_BN is what it says (not theirs).
    cfg.RESNET = node(TRANS_FUNC="bottleneck_transform", DEPTH=50, STRIDE_1X1=False, ZERO_INIT_FINAL_BN=True)
    cfg.SLOWFAST = node(ALPHA=8, BETA_INV=8, FUSION_CONV_CHANNEL_RATIO=2, FUSION_KERNEL_SZ=5)
    cfg.BN = node(
        USE_PRECISE_STATS=False, NUM_BATCHES_PRECISE=200, WEIGHT_DECAY=0.0, NORM_TYPE="batchnorm", NUM_SPLITS=1,
        NUM_SYNC_DEVICES=1, GLOBAL_SYNC=False,
    )  # fmt: skip


def _add_solver(cfg: CfgNode) -> None:
    """The keys of the optimiser and its schedule."""
    cfg.SOLVER = node(
        BASE_LR=0.1, LR_POLICY="cosine", COSINE_END_LR=0.0, STEPS=[], LRS=[], MAX_EPOCH=300, MOMENTUM=0.9,
        DAMPENING=0.0, NESTEROV=True, WEIGHT_DECAY=1e-4, WARMUP_EPOCHS=0.0, WARMUP_START_LR=0.01,
        OPTIMIZING_METHOD="sgd", BASE_LR_SCALE_NUM_SHARDS=False, COSINE_AFTER_WARMUP=False,
        ZERO_WD_1D_PARAM=True, CLIP_GRAD_VAL=None, CLIP_GRAD_L2NORM=None, BETAS=(0.9, 0.999),
    )  # fmt: skip


def _add_run(cfg: CfgNode) -> None:
    """The keys of devices and processes, of seeds and logs."""
    cfg.DATA_LOADER = node(NUM_WORKERS=8, PIN_MEMORY=True)
    cfg.TENSORBOARD = node(ENABLE=False, LOG_DIR="", CLASS_NAMES_PATH="")
    cfg.TASK = ""
    cfg.NUM_GPUS = 1
    cfg.NUM_SHARDS = 1
    cfg.SHARD_ID = 0
    cfg.DIST_BACKEND = "nccl"
    cfg.OUTPUT_DIR = "."
    cfg.RNG_SEED = 1
    cfg.LOG_PERIOD = 10
    cfg.LOG_MODEL_INFO = True
