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
    """A supernet and a policy over its architectures, as one module; a forward pass changes neither's choice."""

    def __init__(self, supernet: Supernet, policy: Policy) -> None:
        super().__init__()
        self.supernet = supernet
        self.policy = policy

    def forward(self, clip_BCTHW: torch.Tensor, architecture: Architecture | None = None) -> torch.Tensor:
        """Logits (B, K classes) of `architecture`, by default of the policy's most likely one."""
        return self.supernet(clip_BCTHW, architecture or self.policy.most_likely())


@MODEL_REGISTRY.register(name="AutoX3DSearch")
def create_autox3d_search(*, space: SearchSpace | str = "table2", **options: Any) -> AutoX3DSearchNet:
    """The supernet of a space, and a uniform policy over it.

    Args:
        space: a space, the name of a built-in one or the path of a yaml file.
        options: arguments of `Supernet`.
    """
    space = load_space(space) if isinstance(space, str) else space
    return AutoX3DSearchNet(Supernet(space, **options), Policy(space=space))
