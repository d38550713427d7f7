"""The steps that `autox3d bench search` compares: training, search, its two-pass form, a mixture of all candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo_autox3d.engine import Runtime, TrainLoop
from pytorchvideo_autox3d.search import Budgets, ParsecSearch, Policy, SearchSettings, cost_table
from pytorchvideo_autox3d.search.parsec import importance_weights
from pytorchvideo_autox3d.space import Architecture, GroupChoice
from pytorchvideo_autox3d.supernet import Supernet
from pytorchvideo_autox3d.supernet.blocks import ElasticGroup

NUM_CLASSES = 200  # Mini-Kinetics-200 (paper, section 5.1.1)
# All that a step reads of the loop it runs in.
LOOP = cast(TrainLoop, SimpleNamespace(epoch=0, step_in_epoch=0, steps_per_epoch=1))


@dataclass(frozen=True)
class ClipsWithLabels:
    """A batch as the engine's loops take it."""

    clip_BCTHW: Tensor
    label_B: Tensor
    video_B: Tensor
    view_B: Tensor


def make_batch(
    size: int, clip: tuple[int, int, int], device: torch.device, *, channels: int = 3, classes: int = NUM_CLASSES
) -> ClipsWithLabels:
    """Random clips (T, H, W), stored channels last, each of another class."""
    clips = torch.randn(size, channels, *clip, device=device).contiguous(memory_format=torch.channels_last_3d)
    number = torch.arange(size, device=device)
    return ClipsWithLabels(clips, number % classes, number, torch.zeros_like(number))


def parsec(supernet: Supernet, num_samples: int) -> ParsecSearch:
    """A search step without a budget, whose alpha learns from the weights' own batch."""
    policy = Policy(space=supernet.space)
    # Rates so small that the steps measured do not change what they measure.
    return ParsecSearch(
        supernet.train(),
        policy,
        optimizer=torch.optim.SGD(supernet.parameters(), lr=1e-3, momentum=0.9),
        policy_optimizer=torch.optim.Adam(policy.parameters(), lr=1e-6),
        budgets=Budgets(cost_table(supernet)),
        settings=SearchSettings(num_samples=num_samples, shared=True),
        runtime=Runtime(device=next(supernet.parameters()).device, preprocess=lambda clip: clip),
    )


def favour_last(policy: Policy, logit: float) -> None:
    """Set the logit of the last candidate of every decision, which is the widest one."""
    with torch.no_grad():
        policy.alpha.zero_()
        policy.alpha[torch.tensor(policy.sizes).cumsum(0) - 1] = logit


def train_step(net: nn.Module, optimizer: torch.optim.Optimizer, batch: ClipsWithLabels) -> None:
    """A plain training step."""
    optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(net(batch.clip_BCTHW), batch.label_B).backward()
    optimizer.step()


def two_pass_step(
    supernet: Supernet, optimizer: torch.optim.Optimizer, architectures: Sequence[Architecture], batch: ClipsWithLabels
) -> None:
    """A search step in two passes: the first over all samples gives importance weights, the second the gradients."""
    with torch.no_grad():
        losses = [F.cross_entropy(supernet(batch.clip_BCTHW, one), batch.label_B) for one in architectures]
    weights = importance_weights(-torch.stack(losses)).tolist()
    optimizer.zero_grad(set_to_none=True)
    for architecture, weight in zip(architectures, weights, strict=True):
        loss = F.cross_entropy(supernet(batch.clip_BCTHW, architecture), batch.label_B)
        (weight * loss).backward()
    optimizer.step()


def mixture_step(supernet: Supernet, optimizer: torch.optim.Optimizer, batch: ClipsWithLabels) -> None:
    """A step of all candidates at once, equally weighted: every kernel, expansion, attention, on the widest channels.

    Channel counts cost a mixture no memory when they are masks of the widest output (as in FBNetV2), so they are
    left out: the figure is a mixture's least.
    """
    optimizer.zero_grad(set_to_none=True)
    features = supernet.stem(batch.clip_BCTHW)
    for group, spec in zip(supernet.groups, supernet.space.groups, strict=True):
        assert isinstance(group, ElasticGroup)
        out = group.windows[max(spec.channels)]
        inp = group.entering[features.shape[1]]
        choices = [GroupChoice(kernel, len(out), expansion) for kernel in spec.kernels for expansion in spec.expansions]
        for block in group.blocks:
            features = sum(block(features, choice, inp, out) for choice in choices) / len(choices)
            inp = out
        features = sum(attention(features, out) for attention in group.attentions.values()) / len(spec.attentions)
    conv = supernet.head_conv
    window = supernet.leaving[features.shape[1]]
    logits = supernet.head(F.conv3d(features, conv.weight[:, list(window)]))
    F.cross_entropy(logits, batch.label_B).backward()
    optimizer.step()
