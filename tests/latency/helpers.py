"""A space small enough to measure in a test."""

from pytorchvideo_autox3d.space import GroupSpec, HeadSpec, SearchSpace, StemSpec

CLIP = (3, 16, 16)


def small_space():
    first = GroupSpec((8, 12), ((1, 3), (3, 3)), (1.5, 3.0), ("none", "glore"), 2, 2)
    second = GroupSpec((12, 16), ((3, 3), (5, 5)), (1.5, 2.25), ("none",), 3, 2)
    return SearchSpace(name="small", groups=(first, second), stem=StemSpec(8, 5), head=HeadSpec(16, 24))
