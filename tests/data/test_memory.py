"""What a list and a worker cost: arrays, not objects, and nothing that grows with the clips read."""

import ctypes
import gc
import sys
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler

import pytest
import torch

from pytorchvideo_autox3d.data import Kinetics, Manifest
from pytorchvideo_autox3d.data.manifest import SourceLocations
from tests.processes import FRESH

CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32)}


class MallocInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def held() -> tuple[int, int]:
    """Bytes that malloc has given out and not got back, and Python's own blocks.

    Not the resident size: that grows by what threads and fragments keep, megabytes at a time, for thousands of clips.
    """
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = MallocInfo
    info = mallinfo()
    return info.uordblks + info.hblkhd, sys.getallocatedblocks()


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


def held_over_clips(path: str) -> list[tuple[int, int]]:
    data = Kinetics(manifest=Manifest.from_items([(path, 0)]), mode="train", auto_augment="imagenet", **CLIP)
    torch.set_num_threads(1)
    found = []
    for epoch in range(701):
        data[epoch, 0]
        if epoch >= 200 and epoch % 100 == 0:
            found.append(held())
    return found


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="asks glibc what it has given out")
def test_memory_is_flat_over_clips(plain_video):
    """In a process of its own: that of the tests has other threads, which come and go."""
    with FRESH.Pool(1) as pool:
        found = pool.apply(held_over_clips, (str(plain_video),))
    growths = [(later[0] - earlier[0], later[1] - earlier[1]) for earlier, later in pairwise(found)]
    assert len(growths) == 5
    # In a hundred clips, each of 32 KB decoded.
    assert sorted(grown for grown, _ in growths)[2] < 100_000
    assert sorted(blocks for _, blocks in growths)[2] < 500
