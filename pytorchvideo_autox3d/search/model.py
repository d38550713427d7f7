"""The supernet with its policy as one model: what a search saves and resumes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space
from pytorchvideo_autox3d.supernet import Supernet


class AutoX3DSearchNet(nn.Module):
    """A supernet and a policy over its architectures; neither is changed by a forward pass."""

    def __init__(self, supernet: Supernet, policy: Policy) -> None:
        super().__init__()
        self.supernet = supernet
        self.policy = policy

    def forward(self, clip_BCTHW: torch.Tensor, architecture: Architecture | None = None) -> torch.Tensor:
        """Logits (B, K) of `architecture`, by default the policy's most likely one."""
        return self.supernet(clip_BCTHW, architecture or self.policy.most_likely())


@MODEL_REGISTRY.register(name="AutoX3DSearch")
def create_autox3d_search(*, space: SearchSpace | str = "table2", **options: Any) -> AutoX3DSearchNet:
    """The supernet of `space`, built with `options` as `Supernet` takes them, and a uniform policy over it."""
    space = load_space(space) if isinstance(space, str) else space
    return AutoX3DSearchNet(Supernet(space, **options), Policy(space=space))
