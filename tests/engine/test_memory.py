"""Memory of freed tensors is kept: seen by the page faults of a process of its own, which keeps the setting."""

import json
import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import json, resource, torch
from pytorchvideo_autox3d.engine.memory import keep_freed_memory
kept = keep_freed_memory()
torch.ones(25_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(25_000_000)
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""
# 100 MB in pages of 4 KB, ten times over; the heap may have to grow once more before it has room.
ALL_PAGES = 10 * 100_000_000 // 4096


def count_faults(**environment: str) -> tuple[bool, int]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", COUNT], env=clean | environment, capture_output=True, check=True)
    return tuple(json.loads(done.stdout))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_reused():
    kept, faults = count_faults()
    assert kept
    assert faults < ALL_PAGES / 4


def test_settings_of_the_user_are_left_alone():
    kept, _ = count_faults(MALLOC_MMAP_THRESHOLD_="1000000")
    assert not kept
