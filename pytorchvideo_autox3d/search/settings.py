"""How to search: every number of a search, with the paper's values as defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytorchvideo_autox3d.errors import SearchError

LIKELIHOODS = ("mean", "sum")


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The config key of each in brackets; sources are sections of the paper.

    epochs, warmup_epochs [SEARCH.EPOCHS, WARMUP_EPOCHS]: the warm-up trains weights alone under the uniform policy
        (5.1.2, supplement).
    sandwich [SANDWICH]: in the warm-up, one of the K samples is the widest architecture (BigNAS, arXiv 2003.11142,
        section 3.1; not in the paper): its features give the others a start, where a short warm-up would end before
        they have any.
    num_samples [NUM_SAMPLES]: K architectures a step (4.1).
    warmup_samples [WARMUP_SAMPLES]: the same in the warm-up; 0 is num_samples.
    adaptive_samples, min_samples [ADAPTIVE_SAMPLES, MIN_SAMPLES]: K shrinks with the policy's entropy, as in FP-NAS.
    likelihood [LIKELIHOOD]: the log-likelihood of a mini-batch is the "mean" or the "sum" over its clips. The sum is
        what probability says, but it grows with the batch: at 64 clips a difference of 0.1 nats a clip gives one
        sample 600 times the weight of another, and the effective sample size is near 1. The mean is the scale in which
        the paper adds the cost (equation 2) to its loss, so a cost weight of 1 means the same at every batch size.
    temperature [TEMPERATURE]: divides log-likelihood minus cost; "mean" with temperature 1/B is "sum" with costs
        weighted by B.
    control_variate [CONTROL_VARIATE]: weights r_k - 1/K instead of r_k for alpha: the same expectation, less noise.
    shared [SHARED]: alpha learns from the batches of the weights.
    policy_lr, policy_weight_decay [POLICY_LR, POLICY_WEIGHT_DECAY]: Adam on alpha (5.1.2).
    accumulation [AUTOX3D.GRAD_ACCUMULATION]: batches an update, of the weights and of alpha.
    label_smoothing [AUTOX3D.LABEL_SMOOTHING].
    clip_norm, clip_value [SOLVER.CLIP_GRAD_L2NORM, CLIP_GRAD_VAL]: of the weights' gradient; at most one.
    precision: "fp32", "bf16" or "fp16".   channels_last: memory format of clips and weights.
    checkpoint_period [TRAIN.CHECKPOINT_PERIOD] in epochs, log_period [LOG_PERIOD] in steps.
    tensorboard_dir: None is off.   seed [RNG_SEED]: of the samples, and of dropout.
    Raises:
        SearchError: naming the key at fault.
    """

    epochs: int = 600
    warmup_epochs: int = 200
    sandwich: bool = False
    num_samples: int = 13
    warmup_samples: int = 0
    adaptive_samples: bool = False
    min_samples: int = 2
    likelihood: str = "mean"
    temperature: float = 1.0
    control_variate: bool = False
    shared: bool = False
    policy_lr: float = 0.02
    policy_weight_decay: float = 0.0
    accumulation: int = 1
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    precision: str = "fp32"
    channels_last: bool = True
    checkpoint_period: int = 1
    log_period: int = 10
    tensorboard_dir: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        positive = {"EPOCHS": self.epochs, "NUM_SAMPLES": self.num_samples, "MIN_SAMPLES": self.min_samples}
        for key, value in positive.items():
            if value < 1:
                raise SearchError(f"SEARCH.{key}: {value} is below 1")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise SearchError(
                f"SEARCH.WARMUP_EPOCHS: {self.warmup_epochs} is outside [0, SEARCH.EPOCHS) = [0, {self.epochs}): "
                "alpha would never learn"
            )
        if self.warmup_samples < 0:
            raise SearchError(f"SEARCH.WARMUP_SAMPLES: {self.warmup_samples} is below 0")
        if self.min_samples > self.num_samples:
            raise SearchError(f"SEARCH.MIN_SAMPLES: {self.min_samples} is above SEARCH.NUM_SAMPLES {self.num_samples}")
        if self.likelihood not in LIKELIHOODS:
            raise SearchError(f"SEARCH.LIKELIHOOD: {self.likelihood!r} is none of {', '.join(LIKELIHOODS)}")
        rates = {"SEARCH.TEMPERATURE": self.temperature, "SEARCH.POLICY_LR": self.policy_lr}
        for key, rate in rates.items():
            if not (rate > 0 and math.isfinite(rate)):
                raise SearchError(f"{key}: {rate} is not above 0")
