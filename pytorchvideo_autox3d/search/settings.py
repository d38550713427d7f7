"""The settings of a search, with the paper's values as defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pytorchvideo_autox3d.engine import Keeping
from pytorchvideo_autox3d.errors import SearchError

SPREADS = ("clips", "samples")
LIKELIHOODS = ("mean", "sum")
COST_TERMS = ("hinge", "lagrangian")


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The settings of a search; section numbers are the paper's.

    Attributes:
        epochs: passes over the weights' part of the training list (SEARCH.EPOCHS).
        warmup_epochs: how many of these, at the beginning, train the weights alone under a uniform policy
            (WARMUP_EPOCHS; supplement).
        sandwich: make the widest architecture one of the K samples of each warm-up step (SANDWICH; BigNAS, arXiv
            2003.11142, section 3.1; not in the paper). Its features help the others where the warm-up is short.
        sandwich_after_warmup: the same in every later step of the weights (SANDWICH_AFTER_WARMUP).
        sandwich_narrowest: beside the widest, the narrowest architecture is a sample too (SANDWICH_NARROWEST).
        distill: in a step with a sandwich the widest alone learns the labels, and the others learn its class
            probabilities (DISTILL; in-place distillation of the same paper).
        num_samples: K, the architectures sampled in each step (NUM_SAMPLES; 4.1).
        warmup_samples: K in the warm-up; 0 is num_samples (WARMUP_SAMPLES).
        adaptive_samples: let K shrink with the policy's entropy, as in FP-NAS (ADAPTIVE_SAMPLES).
        min_samples: the least K, where K shrinks (MIN_SAMPLES).
        spread: what several processes divide among them: the "clips" of a batch or the K "samples" (SPREAD). With
            "samples" each process decodes the whole batch and runs its part of the K samples on all of it.
        likelihood: whether the log-likelihood of a mini-batch is the "mean" or the "sum" over its clips (LIKELIHOOD).
            The sum grows with the batch: at 64 clips a difference of 0.1 nats a clip gives one sample 600 times the
            weight of another, so that one sample of the K counts and the others hardly do. With the mean, a cost
            weight of 1 means the same at every batch size, as where the paper adds the cost to its loss (equation 2).
        temperature: what log-likelihood minus cost is divided by (TEMPERATURE). With B clips, "mean" at a temperature
            of 1/B equals "sum" with B times the cost.
        control_variate: weight alpha's samples by r_k - 1/K instead of r_k (CONTROL_VARIATE): the same expectation,
            less noise. It equals (K - 1) / K times what a leave-one-out baseline gives, the mean of the other samples'
            weights.
        cost_term: "hinge", the paper's equation 2, which acts only above the target; or "lagrangian", which brings the
            policy's expected cost to the target from both sides (COST_TERM).
        lagrangian_lr: how fast the multipliers of "lagrangian" move (LAGRANGIAN_LR).
        shared: alpha learns from the same batches as the weights (SHARED).
        policy_lr, policy_weight_decay: of Adam on alpha (POLICY_LR, POLICY_WEIGHT_DECAY; 5.1.2).
        accumulation: batches for each update of the weights and of alpha (AUTOX3D.GRAD_ACCUMULATION).
        label_smoothing: of the cross entropy (AUTOX3D.LABEL_SMOOTHING).
        clip_norm, clip_value: limits of the weights' gradient; at most one of them is set (SOLVER.CLIP_GRAD_*).
        checkpoint_period: epochs from one checkpoint to the next (TRAIN.CHECKPOINT_PERIOD).
        keeping: when checkpoints are saved inside an epoch, and how many stay.
        log_period: steps from one line of the log to the next (LOG_PERIOD).
        tensorboard_dir: where to log for TensorBoard; None does not.
        seed: of the samples and of dropout (RNG_SEED).

    Raises:
        SearchError: a value is out of range; names its key.
    """

    epochs: int = 600
    warmup_epochs: int = 200
    sandwich: bool = False
    sandwich_after_warmup: bool = False
    sandwich_narrowest: bool = False
    distill: bool = False
    num_samples: int = 13
    warmup_samples: int = 0
    adaptive_samples: bool = False
    min_samples: int = 2
    spread: str = "clips"
    likelihood: str = "mean"
    temperature: float = 1.0
    control_variate: bool = True
    cost_term: str = "hinge"
    lagrangian_lr: float = 0.1
    shared: bool = False
    policy_lr: float = 0.02
    policy_weight_decay: float = 0.0
    accumulation: int = 1
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    checkpoint_period: int = 1
    keeping: Keeping = field(default_factory=Keeping)
    log_period: int = 10
    tensorboard_dir: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        positive = {"EPOCHS": self.epochs, "NUM_SAMPLES": self.num_samples, "MIN_SAMPLES": self.min_samples}
        for key, value in positive.items():
            if value < 1:
                raise SearchError(f"SEARCH.{key}: {value} is below 1")
        for key, value in {"WARMUP_EPOCHS": self.warmup_epochs, "WARMUP_SAMPLES": self.warmup_samples}.items():
            if value < 0:
                raise SearchError(f"SEARCH.{key}: {value} is below 0")
        if self.adaptive_samples and self.min_samples > self.num_samples:
            raise SearchError(f"SEARCH.MIN_SAMPLES: {self.min_samples} is above SEARCH.NUM_SAMPLES {self.num_samples}")
        if self.spread not in SPREADS:
            raise SearchError(f"SEARCH.SPREAD: {self.spread!r} is none of {', '.join(SPREADS)}")
        if self.likelihood not in LIKELIHOODS:
            raise SearchError(f"SEARCH.LIKELIHOOD: {self.likelihood!r} is none of {', '.join(LIKELIHOODS)}")
        if self.cost_term not in COST_TERMS:
            raise SearchError(f"SEARCH.COST_TERM: {self.cost_term!r} is none of {', '.join(COST_TERMS)}")
        self._check_sandwich()
        rates = {
            "SEARCH.TEMPERATURE": self.temperature,
            "SEARCH.POLICY_LR": self.policy_lr,
            "SEARCH.LAGRANGIAN_LR": self.lagrangian_lr,
        }
        for key, rate in rates.items():
            if not (rate > 0 and math.isfinite(rate)):
                raise SearchError(f"{key}: {rate} is not above 0 and finite")
        if not 0 <= self.policy_weight_decay < math.inf:
            raise SearchError(f"SEARCH.POLICY_WEIGHT_DECAY: {self.policy_weight_decay} is negative or not finite")

    def _check_sandwich(self) -> None:
        """The widest and narrowest are among the samples of a step, so there must be as many.

        Raises:
            SearchError: too few samples, or a setting of the sandwich without one.
        """
        sandwich = self.sandwich or self.sandwich_after_warmup
        for key, value in (("DISTILL", self.distill), ("SANDWICH_NARROWEST", self.sandwich_narrowest)):
            if value and not sandwich:
                raise SearchError(f"SEARCH.{key}: needs SEARCH.SANDWICH or SEARCH.SANDWICH_AFTER_WARMUP")
        ends = 1 + self.sandwich_narrowest
        counts = {"WARMUP_SAMPLES": self.warmup_samples or self.num_samples} if self.sandwich else {}
        if self.sandwich_after_warmup:
            key, least = self.least_samples
            counts[key] = least
        for key, count in counts.items():
            if count < ends:
                raise SearchError(f"SEARCH.{key}: {count} samples are fewer than the {ends} of the sandwich")

    @property
    def least_samples(self) -> tuple[str, int]:
        """The least K of a step after the warm-up, and the key under SEARCH that sets it."""
        return ("MIN_SAMPLES", self.min_samples) if self.adaptive_samples else ("NUM_SAMPLES", self.num_samples)
