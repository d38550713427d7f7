"""Configuration: PySlowFast's key names, plus AUTOX3D, GLORE and SEARCH; safe yaml only; typos are errors.

A config is read into an fvcore `CfgNode` here and turned into objects in `build.py`; nothing else reads one. Every
yaml under `configs/` loads in PySlowFast too, once `pytorchvideo_autox3d.slowfast` has added our three nodes there,
so a key that PySlowFast lacks always lives under one of the three.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from fvcore.common.config import CfgNode
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.config_rules import check_values
from pytorchvideo_autox3d.errors import ConfigError

# Keys of PySlowFast's X3D recipes that choose between implementations we have only one of. They are accepted so that
# its yaml files load unchanged, and a value other than these is reported as having no effect.
WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "DATA.DECODING_BACKEND": ("pyav", "torchvision"),
    "DATA.DECODING_SHORT_SIZE": (256,),
    "DATA.PATH_LABEL_SEPARATOR": (" ", ","),  # sniffed
    "DATA.INPUT_CHANNEL_NUM": ([3], [3, 3]),
    "DATA.USE_OFFSET_SAMPLING": (True, False),
    "AUG.NUM_SAMPLE": (1,),
    "BN.NORM_TYPE": ("batchnorm",),
    "AUG.COLOR_JITTER": (0.4,),
    "AUG.RE_SPLIT": (False,),
    "RESNET.TRANS_FUNC": ("x3d_transform", "bottleneck_transform"),
    "RESNET.STRIDE_1X1": (False,),
    "RESNET.ZERO_INIT_FINAL_BN": (True, False),
    "X3D.CHANNELWISE_3x3x3": (True,),
    "X3D.SCALE_RES2": (False,),
    "MODEL.ARCH": ("x3d", "autox3d", "slowfast", "slow", "c2d", "i3d", "csn", "r2plus1d", "mobilenetv2_3d"),
    "MODEL.HEAD_ACT": ("softmax",),
    "TASK": ("",),
}


def _node(**values: Any) -> CfgNode:
    return CfgNode(dict(values))


def add_autox3d_config(cfg: CfgNode) -> None:
    """Add the AUTOX3D, GLORE and SEARCH nodes, in place; used for our own config and for PySlowFast's."""
    cfg.AUTOX3D = _node(
        # The architecture: a reference name ("S", "M", "L") or the path of an architecture JSON ...
        ARCHITECTURE="S",
        # ... or written out: one [[t, s], channels, expansion, attention] a group, over the space SPACE.
        GROUPS=[],
        # A named space ("table2", "table2-nonlocal") or the path of a yaml file of the same form.
        SPACE="table2",
        # Multiplies the blocks of every group; AutoX3D-L is AutoX3D-M with 2.0 (paper, section 5.3.1).
        DEPTH_FACTOR=1.0,
        # "table2": one 1x3x3 convolution (paper, Table 2); "x3d": a depthwise 5x1x1 after it, as X3D; "": the space's.
        STEM="",
        # Squeeze-excitation in every other block, with X3D's ratio (facts as in X3D); 0 switches it off.
        SE_RATIO=0.0625,
        LABEL_SMOOTHING=0.0,
        GRAD_ACCUMULATION=1,
        CHANNELS_LAST=True,
        # Used where TRAIN.MIXED_PRECISION is on: "bfloat16" or "float16" (with loss scaling).
        AUTOCAST="bfloat16",
        # "" or "imagenet": AutoAugment, one policy for all frames of a clip (paper, section 5.1.2 and supplement).
        AUTO_AUGMENT="",
        # What decodes: "pyav", or "torchcodec" where that is installed; see docs/data.md for their speed.
        READER="pyav",
        # Which of the three published splits of UCF101 and HMDB51.
        DATA_SPLIT=1,
        # A video that can't be decoded: "error" stops, "skip" goes on with the sampler's next (a test goes on without),
        # up to a share BAD_VIDEO_LIMIT of the list. Validation goes by the training's setting.
        BAD_VIDEO_TRAIN="skip",
        BAD_VIDEO_TEST="error",
        BAD_VIDEO_LIMIT=0.01,
        # Seconds after which a decode is given up as a bad video; 0 waits for ever.
        DECODE_SECONDS=60.0,
        # The fast depthwise 3D convolution kernels; off falls back to torch's convolution.
        DEPTHWISE_KERNELS=True,
    )
    cfg.GLORE = _node(
        # Nodes m per channel C of the map the block stands on; the state is 2m. Fitted to Table 3 of the paper.
        NODE_RATIO=1.25,
    )
    cfg.SEARCH = _node(
        ENABLE=False,
        # The registered search and how channels are chosen: "fair" (paper, section 4.2) or "naive".
        METHOD="parsec",
        CHANNEL_SELECTION="fair",
        # Architectures sampled a step (paper, section 4.1).
        NUM_SAMPLES=13,
        # The same in the warm-up; 0 is NUM_SAMPLES.
        WARMUP_SAMPLES=0,
        # FP-NAS: the number of samples shrinks with the policy's entropy, down to MIN_SAMPLES.
        ADAPTIVE_SAMPLES=False,
        MIN_SAMPLES=2,
        EPOCHS=600,
        # Epochs that train weights only, under a uniform policy (supplement: 200 of 600).
        WARMUP_EPOCHS=200,
        # In the warm-up one of the samples is the widest architecture (BigNAS; not in the paper).
        SANDWICH=False,
        # "mean" or "sum" of the clips' log-likelihoods of a mini-batch; TEMPERATURE divides it. The mean is the scale
        # in which the paper adds the cost to its loss; the sum makes the effective sample size 1 for large batches.
        LIKELIHOOD="mean",
        TEMPERATURE=1.0,
        # Weights r_k - 1/K instead of r_k for alpha: the same expectation with less noise (not in the paper).
        CONTROL_VARIATE=False,
        # Adam on alpha (paper, section 5.1.2).
        POLICY_LR=0.02,
        POLICY_WEIGHT_DECAY=0.0,
        # The share of the training list that alpha learns from; SHARED learns both from the whole list.
        POLICY_SPLIT=0.5,
        SHARED=False,
        # Budgets, in the unit of each: GFLOPs (multiply-adds, 1e9) and parameters (millions); 0 is no budget.
        TARGET_GFLOPS=2.0,
        TARGET_PARAMS_M=0.0,
        COST_WEIGHT=1.0,
        PARAMS_WEIGHT=1.0,
        # How the result is taken: "most_likely", or "best_of" BEST_OF samples by validation score.
        DERIVE="most_likely",
        BEST_OF=16,
        BN_BATCHES=16,
        # More budgets in GFLOPs: an architecture for each from the same search, in OUTPUT_DIR/pareto.
        PARETO_GFLOPS=[],
        # The recipe of the retrain config: a yaml file, or one shipped under configs/; "" is this config itself.
        RETRAIN_CFG="",
    )


def get_cfg() -> CfgNode:
    """A fresh config with every key at its default, free to change."""
    cfg = CfgNode()
    cfg.TRAIN = _node(
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
    cfg.TEST = _node(
        ENABLE=True,
        DATASET="kinetics",
        BATCH_SIZE=8,
        CHECKPOINT_FILE_PATH="",
        CHECKPOINT_TYPE="pytorch",
        NUM_ENSEMBLE_VIEWS=10,
        NUM_SPATIAL_CROPS=3,
        SAVE_RESULTS_PATH="",
    )
    cfg.DATA = _node(
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
    cfg.AUG = _node(
        ENABLE=False, NUM_SAMPLE=1, COLOR_JITTER=0.4, AA_TYPE="rand-m9-mstd0.5-inc1", INTERPOLATION="bicubic",
        RE_PROB=0.25, RE_MODE="pixel", RE_COUNT=1, RE_SPLIT=False,
    )  # fmt: skip
    cfg.MIXUP = _node(
        ENABLE=False, ALPHA=0.8, CUTMIX_ALPHA=1.0, PROB=1.0, SWITCH_PROB=0.5, LABEL_SMOOTH_VALUE=0.1
    )  # fmt: skip
    cfg.MODEL = _node(
        MODEL_NAME="AutoX3D", ARCH="autox3d", NUM_CLASSES=400, DROPOUT_RATE=0.5, LOSS_FUNC="cross_entropy",
        HEAD_ACT="softmax", ACT_CHECKPOINT=False,
    )  # fmt: skip
    cfg.X3D = _node(
        WIDTH_FACTOR=1.0, DEPTH_FACTOR=1.0, BOTTLENECK_FACTOR=1.0, DIM_C5=2048, DIM_C1=12, SCALE_RES2=False,
        BN_LIN5=False, CHANNELWISE_3x3x3=True,
    )  # fmt: skip
    cfg.RESNET = _node(TRANS_FUNC="bottleneck_transform", DEPTH=50, STRIDE_1X1=False, ZERO_INIT_FINAL_BN=False)
    cfg.SLOWFAST = _node(ALPHA=8, BETA_INV=8, FUSION_CONV_CHANNEL_RATIO=2, FUSION_KERNEL_SZ=5)
    cfg.BN = _node(USE_PRECISE_STATS=False, NUM_BATCHES_PRECISE=200, WEIGHT_DECAY=0.0, NORM_TYPE="batchnorm")
    cfg.SOLVER = _node(
        BASE_LR=0.1, LR_POLICY="cosine", COSINE_END_LR=0.0, STEPS=[], LRS=[], MAX_EPOCH=300, MOMENTUM=0.9,
        DAMPENING=0.0, NESTEROV=True, WEIGHT_DECAY=1e-4, WARMUP_EPOCHS=0.0, WARMUP_START_LR=0.01,
        OPTIMIZING_METHOD="sgd", BASE_LR_SCALE_NUM_SHARDS=False, COSINE_AFTER_WARMUP=False,
        ZERO_WD_1D_PARAM=True, CLIP_GRAD_VAL=None, CLIP_GRAD_L2NORM=None, BETAS=(0.9, 0.999),
    )  # fmt: skip
    cfg.DATA_LOADER = _node(NUM_WORKERS=8, PIN_MEMORY=True)
    cfg.TENSORBOARD = _node(ENABLE=False, LOG_DIR="", CLASS_NAMES_PATH="")
    cfg.TASK = ""
    cfg.NUM_GPUS = 1
    cfg.NUM_SHARDS = 1
    cfg.SHARD_ID = 0
    cfg.DIST_BACKEND = "nccl"
    cfg.OUTPUT_DIR = "."
    cfg.RNG_SEED = 1
    cfg.LOG_PERIOD = 10
    cfg.LOG_MODEL_INFO = True
    add_autox3d_config(cfg)
    return cfg


def load_cfg(path: str | Path | Sequence[str | Path], opts: Sequence[Any] = ()) -> CfgNode:
    """Read one yaml file, or several in turn, then `opts` (KEY VALUE KEY VALUE ...), over the defaults.

    Returns a frozen config. Raises `ConfigError` for a missing file, yaml that does not parse or carries python
    tags, an unknown key (naming the nearest known one), a value of the wrong type, and one that nothing could run with.
    """
    cfg = get_cfg()
    merge_into(cfg, path, opts)
    for key, value in _leaves(cfg):
        if key in WITHOUT_EFFECT and value not in WITHOUT_EFFECT[key]:
            warnings.warn(f"{key}={value!r} has no effect in this harness", stacklevel=2)
    check_values(cfg)
    cfg.freeze()
    return cfg


def merge_into(cfg: CfgNode, path: str | Path | Sequence[str | Path], opts: Sequence[Any] = ()) -> None:
    """Read yaml files and `opts` over `cfg`, in place, be it ours or PySlowFast's; raises as `load_cfg` does."""
    for one in [path] if isinstance(path, str | Path) else path:
        _merge(cfg, _read_with_base(str(one)), source=str(one))
    if len(opts) % 2:
        raise ConfigError(f"options come in pairs KEY VALUE, but {opts[-1]!r} has no value")
    for key, value in zip(opts[::2], opts[1::2], strict=True):
        _set(cfg, str(key), value, source="command line")


def config_path(name: str) -> Path:
    """The file of a shipped config, given as `autox3d/S.yaml`, from a checkout or an installed wheel alike."""
    found = _shipped(name)
    if found is None:
        raise ConfigError(f"no shipped config named {name!r}")
    return found


def _shipped(name: str) -> Path | None:
    package = Path(__file__).parent
    candidates = [root / name for root in (package.parent / "configs", package / "configs")]
    return next((path for path in candidates if path.is_file()), None)


def _read_with_base(path: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The mapping of a yaml file, merged over that of the file its `_BASE_` names, if any."""
    if path in seen:
        raise ConfigError(f"{path}: _BASE_ leads back to the file itself")
    if not g_pathmgr.isfile(path):
        # Who installed a wheel has no configs/ folder; --cfg configs/autox3d/S.yaml then means the shipped one.
        shipped = _shipped(path.removeprefix("configs/"))
        if shipped is None:
            raise ConfigError(f"no config file {path!r}")
        path = str(shipped)
    try:
        with g_pathmgr.open(path, "r") as file:
            values = yaml.safe_load(file) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not safe yaml: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    base = values.pop("_BASE_", None)
    if base is None:
        return values
    return _overlay(_read_with_base(str(Path(path).parent / base), (*seen, path)), values)


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlay(merged[key], value) if both else value
    return merged


def _merge(cfg: CfgNode, values: dict[Any, Any], *, source: str, prefix: str = "") -> None:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _find(cfg, name, source=source)
            _merge(cfg, value, source=source, prefix=f"{name}.")
        else:
            _set(cfg, name, value, source=source)


def _set(cfg: CfgNode, key: str, value: Any, *, source: str) -> None:
    """Set one leaf, coerced to the type of its default."""
    default = _find(cfg, key, source=source)
    if isinstance(default, CfgNode):
        raise ConfigError(f"{source}: {key} is a group of keys, not a value")
    if isinstance(default, float) and _is_int(value):
        value = float(value)
    if isinstance(default, str) and isinstance(value, str):
        # yacs would evaluate it, and turn an OUTPUT_DIR of 2026 into a number.
        parent, _, leaf = key.rpartition(".")
        (_find(cfg, parent, source=source) if parent else cfg)[leaf] = value
        return
    try:
        cfg.merge_from_list([key, value])
    except (ValueError, SyntaxError) as error:
        expected = type(default).__name__
        raise ConfigError(f"{source}: {key} must be of type {expected}, got {value!r}") from error


def _is_int(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("+-").isdigit()
    return isinstance(value, int) and not isinstance(value, bool)


def _find(cfg: CfgNode, key: str, *, source: str) -> Any:
    """The present value at a dotted key; an unknown key is an error that names the nearest known one."""
    node: Any = cfg
    for part in key.split("."):
        if not isinstance(node, CfgNode) or part not in node:
            known = [*(name for name, _ in _leaves(cfg)), *cfg]
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{source}: unknown key {key}{hint}")
        node = node[part]
    return node


def _leaves(cfg: CfgNode, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in cfg.items():
        if isinstance(value, CfgNode):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
