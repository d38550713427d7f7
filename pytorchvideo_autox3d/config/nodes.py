"""The three config nodes that PySlowFast lacks: AUTOX3D, GLORE and SEARCH.

Every yaml under `configs/` loads in PySlowFast too, once `pytorchvideo_autox3d.slowfast` has added these nodes there.
So a key that PySlowFast lacks always lives under one of the three.
"""

from __future__ import annotations

import copy
from typing import Any

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.registry import MODEL_KEYS


def node(**values: Any) -> CfgNode:
    """A config node with these keys and defaults."""
    return CfgNode(dict(values))


def add_autox3d_config(cfg: CfgNode) -> None:
    """Add the AUTOX3D, GLORE and SEARCH nodes, in place; used for our own config and for PySlowFast's."""
    cfg.AUTOX3D = _autox3d()
    cfg.GLORE = _glore()
    cfg.SEARCH = _search()


def _autox3d() -> CfgNode:
    """The keys of the network, and those that PySlowFast lacks for reading videos and running fast."""
    return node(
        # The architecture: a reference name ("S", "M", "L") or the path of an architecture JSON ...
        ARCHITECTURE="S",
        # ... or written out: one [[t, s], channels, expansion, attention] a group, over the space SPACE.
        GROUPS=[],
        # Modules of yours to import before a name is looked up: what they register can be named here.
        IMPORTS=[],
        # A named space ("table2", "table2-nonlocal") or the path of a yaml file of the same form.
        SPACE="table2",
        # Multiplies the blocks of every group; AutoX3D-L is AutoX3D-M with 2.0 (paper, section 5.3.1).
        DEPTH_FACTOR=1.0,
        # "table2": one 1x3x3 convolution (paper, Table 2); "x3d": a depthwise 5x1x1 after it, as X3D; "": the space's.
        STEM="",
        # What makes logits of the last map, a name in HEAD: "x3d" (paper, Table 2), or "linear": pooling, one layer.
        HEAD="x3d",
        # Squeeze-excitation in every other block, with X3D's ratio (facts as in X3D); 0 switches it off.
        SE_RATIO=0.0625,
        LABEL_SMOOTHING=0.0,
        GRAD_ACCUMULATION=1,
        # The number of clips of an update that SOLVER's learning rates are meant for; the rates are scaled by the ratio
        # of the run's to it. 0 takes the rates as they are.
        BASE_BATCH_SIZE=0,
        # Minutes between checkpoints inside an epoch; 0 writes none.
        CHECKPOINT_MINUTES=30.0,
        # Checkpoints inside an epoch stay only while they are among the last so many of all; of those of whole epochs
        # the last EPOCHS_KEPT stay, 0 is all.
        CHECKPOINTS_KEPT=2,
        EPOCHS_KEPT=0,
        CHANNELS_LAST=True,
        # Used where TRAIN.MIXED_PRECISION is on: "bfloat16" or "float16" (with loss scaling).
        AUTOCAST="bfloat16",
        # "" or "imagenet": AutoAugment, one policy for all frames of a clip (paper, section 5.1.2 and supplement).
        AUTO_AUGMENT="",
        # "clip": NUM_FRAMES frames, every SAMPLING_RATE-th; "segments": one of each of NUM_FRAMES equal parts of the
        # video, as networks of frames take them (TSN); "": the data set's own, segments for Something-Something.
        FRAME_SAMPLING="",
        # "rgb"; "flow", two channels of optical flow, which autox3d make-flow lays beside the videos; "rgb+flow", all.
        MODALITY="rgb",
        # The video reader: "pyav", or "torchcodec" where that is installed; see docs/data.md for their speed.
        READER="pyav",
        # A folder that keeps each video decoded once it was read, for data sets of small, short videos; "" is none.
        DECODED_DIR="",
        # Which of the three published splits of UCF101 and HMDB51.
        DATA_SPLIT=1,
        # On a video that can't be decoded, "error" stops; "skip" takes the sampler's next video in its place (a test
        # leaves it out), for up to a share BAD_VIDEO_LIMIT of the list. Validation follows the training's setting.
        BAD_VIDEO_TRAIN="skip",
        BAD_VIDEO_TEST="error",
        BAD_VIDEO_LIMIT=0.01,
        # Seconds after which a decode is given up as a bad video; 0 waits for ever.
        DECODE_SECONDS=60.0,
        # Seconds without a batch after which the loader's workers are given up, named with their files; 0 is never.
        LOADER_SECONDS=1800.0,
        # The fast depthwise 3D convolution kernels; off falls back to torch's convolution.
        DEPTHWISE_KERNELS=True,
        # Batch norm fused with the activation, squeeze-excitation and residual behind it; off runs the separate layers.
        BATCH_NORM_KERNELS=True,
        # Compute the activations behind those norms again in the backward pass: a third less memory, a little slower.
        RECOMPUTE_ACTIVATIONS=False,
    )


def _glore() -> CfgNode:
    """Global reasoning (GloRe), one of the attentions."""
    return node(
        # Nodes m per channel C of the map the block stands on; the state is 2m. Fitted to Table 3 of the paper.
        NODE_RATIO=1.25,
    )


def _search() -> CfgNode:
    """The keys of the search: its samples, its budgets and how its result is derived."""
    return node(
        ENABLE=False,
        # The registered search and how channels are chosen: "fair" (paper, section 4.2) or "naive".
        METHOD="parsec",
        CHANNEL_SELECTION="fair",
        # Architectures sampled in each step (paper, section 4.1).
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
        # The same in every later step of the weights; beside it the narrowest; the others copy the widest's class
        # probabilities in place of the labels.
        SANDWICH_AFTER_WARMUP=False,
        SANDWICH_NARROWEST=False,
        DISTILL=False,
        # Exponential moving average of the weights, by which candidates are ranked; 0 ranks by the weights themselves.
        EMA_DECAY=0.0,
        # What several processes divide among them: the "clips" of a batch, or the "samples" of a step on the whole
        # batch.
        SPREAD="clips",
        # "mean" or "sum" of the clips' log-likelihoods of a mini-batch; TEMPERATURE divides it. The mean is the scale
        # in which the paper adds the cost to its loss; the sum makes the effective sample size 1 for large batches.
        LIKELIHOOD="mean",
        TEMPERATURE=1.0,
        # Weights r_k - 1/K instead of r_k for alpha: the same expectation with less noise (not in the paper).
        CONTROL_VARIATE=True,
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
        # "hinge", one-sided (paper, equation 2); "lagrangian" brings the expected cost to the target from both sides.
        COST_TERM="hinge",
        LAGRANGIAN_LR=0.1,
        # In their place any number of [metric, target, weight]; metrics are gflops, params_m and latency_ms.
        BUDGETS=[],
        # Measured milliseconds of every choice of the space at this clip size: a JSON file.
        LATENCY_TABLE="",
        # What the milliseconds are meant for; a table of anything else is refused. LATENCY_MACHINE "" is this machine;
        # else it is the name that the table was given when it was measured. "" and 0 below accept any backend and any
        # number of threads.
        LATENCY_MACHINE="",
        LATENCY_BACKEND="",
        LATENCY_THREADS=0,
        # How the result is derived: "most_likely", the most probable architecture whatever it costs (the paper);
        # "within_budgets", the most probable one that meets the budgets; "best_of", the one of the highest validation
        # score among the BEST_OF most probable ones within the budgets; or "evolution" over such scores, which METHOD
        # one_shot_evolution always takes.
        DERIVE="within_budgets",
        BEST_OF=16,
        BN_BATCHES=16,
        # What a validation score is: "accuracy" or "loss".
        RANK_BY="accuracy",
        # The share of each target that a derived architecture must spend at least, where any spends so much; 0 is none.
        BUDGET_FLOOR=0.0,
        # Architectures that the evolution scores, and how many of them are alive at once.
        EVOLUTION_NETWORKS=200,
        EVOLUTION_POPULATION=40,
        # "regularised", by score alone; or "nsga2", by score and cost (the extra nsga2 brings pymoo).
        EVOLUTION_ALGORITHM="regularised",
        # Further targets in GFLOPs or in ms: the same search derives an architecture for each, in OUTPUT_DIR/pareto.
        PARETO_GFLOPS=[],
        PARETO_LATENCY_MS=[],
        # The training recipe of retrain.yaml: a yaml file, or one shipped under configs/; "" is this config itself.
        RETRAIN_CFG="",
    )


def add_model_nodes(cfg: CfgNode) -> None:
    """Add the node of each model that was registered with keys of its own, in place; a second call changes nothing."""
    for name, keys in MODEL_KEYS.items():
        if keys and name.upper() not in cfg:
            cfg[name.upper()] = node(**copy.deepcopy(dict(keys)))
