"""Scores of untrained networks, and for each score a method that trains the candidates in its order.

Such a method scores every candidate, counts what that costs, and then asks for whole trainings, best score first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search.methods import Cost, Problem, Requests, Spent, Train
from pytorchvideo_autox3d.space import STEM_STRIDE, Architecture, block_plan, inner_width

# Gives a network's score, and the multiply-adds that computing it took.
Score = Callable[[Architecture, Problem, torch.Generator], tuple[float, float]]

# Zen-NAS (Lin et al., ICCV 2021), algorithm 1: the perturbation's size; clips and repeats are fewer than its 32 x 64
# images, as the score of networks this small varies little.
_ZEN_ALPHA, _ZEN_CLIPS, _ZEN_REPEATS = 0.01, 8, 4


def params_score(architecture: Architecture, problem: Problem, generator: torch.Generator) -> tuple[float, float]:
    """The number of parameters as the score; computing it takes no multiply-adds."""
    return float(complexity(architecture, clip=problem.clip, num_classes=problem.num_classes).params), 0.0


def macs_score(architecture: Architecture, problem: Problem, generator: torch.Generator) -> tuple[float, float]:
    """The multiply-adds of a clip as the score; computing it takes none."""
    return float(complexity(architecture, clip=problem.clip, num_classes=problem.num_classes).macs), 0.0


def stentr_score(architecture: Architecture, problem: Problem, generator: torch.Generator) -> tuple[float, float]:
    """E3D's spatio-temporal entropy (Wang et al., ICLR 2023) of the last stage, in nats.

    A block adds half the log of its input width, of its inner width and of its kernel's volume; the volume counts
    times -log D, where D is the cosine distance between the kernel's size (t, s, s) and its map's (T, H, W): a kernel
    that is shaped like its map sees most. The last stage, which has most of the weight in the paper, adds the log of
    its width. Attention and squeeze-excitation do not count, as in the paper's networks.
    """
    space = architecture.space
    frames, side = problem.clip[0], problem.clip[1]
    side = -(-side // STEM_STRIDE)
    width, entropy = space.stem.channels, 0.0
    for choice, plan in zip(architecture.groups, block_plan(space, 1.0), strict=True):
        t, s = choice.kernel
        for block in plan:
            side = -(-side // block.stride)
            volume = t * s**2 * -math.log(_cosine_distance((t, s, s), (frames, side, side)))
            entropy += 0.5 * math.log(width * inner_width(width, choice.expansion) * volume)
            width = choice.channels
    return entropy + math.log(width), 0.0


def _cosine_distance(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """1 - cos of the angle between two vectors; at least 1e-3, as its logarithm goes to -inf towards 0."""
    product = sum(a * b for a, b in zip(first, second, strict=True))
    return max(1e-3, 1.0 - product / (math.hypot(*first) * math.hypot(*second)))


def zen_score(architecture: Architecture, problem: Problem, generator: torch.Generator) -> tuple[float, float]:
    """Zen-NAS's score: how far a network with random weights moves its last map when the clip is perturbed.

    The log of the mean move, plus the logs of the standard deviations that each batch norm divided by, so that depth
    and width count. As in the paper, without residuals, squeeze-excitation and attention, weights and clips normal.
    """
    net = _plain(create_autox3d(architecture, model_num_class=problem.num_classes))
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm3d)]
    scores = []
    with torch.no_grad():
        for _ in range(_ZEN_REPEATS):
            for module in net.modules():
                if isinstance(module, nn.Conv3d):
                    module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
            clip = torch.randn(_ZEN_CLIPS, 3, *problem.clip, generator=generator)
            moved = clip + _ZEN_ALPHA * torch.randn(clip.shape, generator=generator)
            first, deviations = _features(net, clip, norms)
            second, _ = _features(net, moved, norms)
            scores.append(float((first - second).abs().mean().log()) + sum(math.log(one) for one in deviations))
    macs = complexity(architecture, clip=problem.clip, num_classes=problem.num_classes).macs
    return sum(scores) / len(scores), 2.0 * _ZEN_REPEATS * _ZEN_CLIPS * macs


def _plain(net: nn.Module) -> nn.Module:
    """The stem and groups of a network as a chain of convolutions: no residual, no squeeze-excitation, no attention."""
    for module in net.modules():
        if hasattr(module, "has_residual"):  # an MBConv3D
            module.has_residual = False  # type: ignore[assignment]
            module.squeeze_excite = nn.Identity()
        if isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
    parts = list(net.blocks)[:-1]  # type: ignore[arg-type]
    for part in parts[1:]:
        part.attention = nn.Identity()
    return nn.Sequential(*parts).train()


def _features(
    net: nn.Module, clip_BCTHW: torch.Tensor, norms: list[nn.BatchNorm3d]
) -> tuple[torch.Tensor, list[float]]:
    """The last feature map, and for each batch norm the root of the mean variance that it divided by."""
    deviations: list[float] = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        deviations.append(float(inputs[0].var(dim=(0, 2, 3, 4)).mean().sqrt()))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    features = net(clip_BCTHW)
    for hook in hooks:
        hook.remove()
    return features, deviations


SCORES: dict[str, Score] = {
    "zero_cost_params": params_score,
    "zero_cost_macs": macs_score,
    "zero_cost_stentr": stentr_score,
    "zero_cost_zen": zen_score,
}


def ranked(problem: Problem, generator: torch.Generator, *, score: Score) -> Requests:
    """A method that asks for whole trainings of the candidates, the best score first, and reports what scoring cost."""
    start, macs, scores = time.process_time(), 0.0, []
    for architecture in problem.candidates:
        value, spent = score(architecture, problem, generator)
        scores.append(value)
        macs += spent
    yield Spent(Cost(macs, time.process_time() - start))
    for number in sorted(range(len(scores)), key=lambda one: -scores[one]):
        yield Train(problem.candidates[number], problem.epochs[-1])


for _name, _score in SCORES.items():
    SEARCH_REGISTRY.register(partial(ranked, score=_score), name=_name)
