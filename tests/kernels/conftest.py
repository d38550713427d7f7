"""What the kernels' tests share."""

import pytest

from pytorchvideo_autox3d.kernels import batch_norm


@pytest.fixture(autouse=True)
def _small_maps_too(monkeypatch):
    """Maps so small that the separate layers would be faster go to the kernels, too."""
    monkeypatch.setitem(batch_norm._LEAST_NUMBERS, "cpu", 1)
