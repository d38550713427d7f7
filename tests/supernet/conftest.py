import pytest

from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels


@pytest.fixture(autouse=True)
def _plain_convolutions():
    """The depthwise kernels are compiled at their first use, which takes longer than any test here."""
    with depthwise_kernels(False):
        yield
