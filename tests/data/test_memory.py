"""What a list and a worker cost: arrays, not objects, and nothing that grows with the clips read."""

import os
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler

import pytest
import torch

from pytorchvideo_autox3d.data import Kinetics, Manifest
from pytorchvideo_autox3d.data.manifest import SourceLocations
from tests.processes import FRESH

CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32)}


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def million():
    """A list as long as any, with paths as long as Kinetics'."""
    return ((f"train/abseiling_and_more/{n:011d}_000000_000010.mp4", n % 700) for n in range(1_000_000))


def test_a_million_videos_cost_under_200_megabytes_for_all_workers():
    manifest = Manifest.from_items(million(), locations=SourceLocations.of("list.csv", range(1, 1_000_001)))
    tensors = (manifest.path_bytes, manifest.offset, manifest.label, manifest.locations.number)
    own = sum(tensor.nbytes for tensor in tensors)
    assert own < 100e6
    # What a worker is sent holds handles to shared memory: the arrays exist once, however many workers there are.
    data = Kinetics(manifest=manifest, mode="train", **CLIP)
    assert len(ForkingPickler.dumps(data)) < 100_000
    assert all(tensor.is_shared() for tensor in tensors)
    assert manifest.record(999_999).path == "train/abseiling_and_more/00000999999_000000_000010.mp4"


def sizes_over_clips(path: str) -> list[int]:
    data = Kinetics(manifest=Manifest.from_items([(path, 0)]), mode="train", auto_augment="imagenet", **CLIP)
    torch.set_num_threads(1)
    sizes = []
    for epoch in range(1101):
        data[epoch, 0]
        if epoch >= 200 and epoch % 100 == 0:
            sizes.append(resident())
    return sizes


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident size from /proc")
def test_memory_is_flat_over_clips(plain_video):
    """A leak makes every hundred clips grow; the allocator takes a few megabytes once in a while, up to a plateau.

    In a process of its own: that of the tests holds what earlier ones left, and their threads.
    """
    with FRESH.Pool(1) as pool:
        sizes = pool.apply(sizes_over_clips, (str(plain_video),))
    growths = [later - earlier for earlier, later in pairwise(sizes)]
    assert len(growths) == 9
    assert sorted(growths)[2] < 1e6  # in a hundred clips, each 32 KB decoded
