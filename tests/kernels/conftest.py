"""What the kernels' tests share."""

import pytest
import torch

from pytorchvideo_autox3d.kernels import batch_norm


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """These tests' shapes are tiny, and threads that wait for a shared core cost far more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _small_maps_too(monkeypatch):
    """Maps so small that the separate layers would be faster go to the kernels, too."""
    monkeypatch.setattr(batch_norm, "_LEAST_NUMBERS", 1)
