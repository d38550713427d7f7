"""The PARSEC search: a policy over architectures, its estimator, the loop, and what is derived from it."""

from pytorchvideo_autox3d.search.parsec import importance_weights
from pytorchvideo_autox3d.search.policy import ParsecHead, Policy

__all__ = ["ParsecHead", "Policy", "importance_weights"]
