"""Architectures and design spaces as data."""

from pytorchvideo_autox3d.space.architecture import Architecture
from pytorchvideo_autox3d.space.loading import load_space, space_from_dict, space_to_dict
from pytorchvideo_autox3d.space.plan import BlockPlan, block_plan, inner_width, stages
from pytorchvideo_autox3d.space.search_space import STEM_STRIDE, SearchSpace
from pytorchvideo_autox3d.space.spec import Decision, GroupChoice, GroupSpec, HeadSpec, StemSpec

__all__ = [
    "STEM_STRIDE",
    "Architecture",
    "BlockPlan",
    "Decision",
    "GroupChoice",
    "GroupSpec",
    "HeadSpec",
    "SearchSpace",
    "StemSpec",
    "block_plan",
    "inner_width",
    "load_space",
    "space_from_dict",
    "space_to_dict",
    "stages",
]
