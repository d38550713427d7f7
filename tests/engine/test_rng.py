import io
import random

import numpy as np
import torch

from pytorchvideo_autox3d.engine.rng import restore_rng_state, rng_state


def draw():
    return random.random(), random.gauss(0, 1), np.random.standard_normal(), torch.rand(1).item()


def test_survives_a_file_and_goes_on_where_it_was():
    draw()
    stream = io.BytesIO()
    torch.save(rng_state(), stream)
    expected = [draw() for _ in range(3)]
    stream.seek(0)
    restore_rng_state(torch.load(stream, weights_only=True))
    assert [draw() for _ in range(3)] == expected
