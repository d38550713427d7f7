"""One thread a process: the tests are small, and `make test` runs as many processes as there are cores."""

import os

# Read when torch loads. OpenMP threads that spin at barriers slow everything tenfold on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start

import pytest
import torch

from tests import processes  # noqa: F401  (says how they begin, before anything starts one)

torch.set_num_threads(1)  # for what fixtures of modules and sessions do before any test


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
