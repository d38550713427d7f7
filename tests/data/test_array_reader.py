import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.data import ArrayReader
from pytorchvideo_autox3d.errors import DataError


def test_frames_by_number_in_any_order_and_scaled():
    frames = np.random.default_rng(0).integers(0, 255, (5, 8, 12, 3), np.uint8)
    with ArrayReader(frames, fps=10) as video:
        found = video.metadata()
        assert (found.num_frames, found.fps, found.height, found.width, found.duration) == (5, 10, 8, 12, 0.5)
        read = video.read([4, 0, 4])
        assert torch.equal(read, torch.from_numpy(frames[[4, 0, 4]].transpose(0, 3, 1, 2)))
        assert video.read([1], short_side=4).shape == (1, 3, 4, 6)
        halved = frames[1].reshape(4, 2, 6, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
        assert np.abs(video.read([1], short_side=4)[0].numpy() - halved).mean() < 20  # a blur of the same place


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 4), (0, 8, 8, 3), (2, 4, 8, 8, 3)])
def test_another_shape_is_named(shape):
    with pytest.raises(DataError, match=rf"the array: is of shape \({shape[0]}"):
        ArrayReader(np.zeros(shape, np.uint8), fps=10)
