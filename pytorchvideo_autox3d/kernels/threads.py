"""Runs compiled kernels on as many threads as torch uses, without a second pool beside torch's."""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch


class KernelThreads:
    """Runs a kernel on several threads: those of torch's OpenMP where they can be reached, else a pool of its own."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._openmp = _find_openmp()
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._pool, self._openmp = None, None

    def run(self, kernel: Any, parameters: np.ndarray, count: int) -> None:
        """Run `kernel(parameters)` on `count` threads at once and wait for all of them.

        Args:
            kernel: what `compile_kernel` returned.
            parameters: int64, the counters included; shared by the threads.
            count: number of threads, the calling one included.
        """
        address = parameters.ctypes.data
        if count == 1:
            kernel.ctypes(address)
        elif self._openmp is not None:
            self._openmp(kernel.address, address, count, 0)
        else:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="depthwise")
            others = [self._pool.submit(kernel.ctypes, address) for _ in range(count - 1)]
            kernel.ctypes(address)
            for other in others:
                other.result()


def _find_openmp() -> Any:
    """GOMP_parallel(function, data, threads, flags) of the OpenMP runtime that torch uses; None where there is none."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        # Looking a name up in a library looks in what it was linked with, too, so this finds torch's own runtime.
        parallel = ctypes.CDLL(str(library)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    return parallel


@lru_cache(maxsize=1)
def threads() -> KernelThreads:
    """The threads of this process, made at the first call."""
    return KernelThreads()
