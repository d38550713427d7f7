import io

import numpy as np
import pytest
import torch
from PIL import Image

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.report import contact_sheet, film_strip


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def ramp(frames, height=10, width=20):
    """Frame t is of the even grey 10 t."""
    return (10 * torch.arange(frames)).view(1, -1, 1, 1).expand(3, -1, height, width).to(torch.uint8)


def test_frames_are_in_order_from_first_to_last():
    strip = opened(film_strip(ramp(9), num_frames=3, height=10))
    assert strip.shape == (10, 3 * 20 + 2 * 2, 4)
    assert [strip[5, x, 0] for x in (10, 32, 54)] == [0, 40, 80]
    assert strip[5, 20, 3] == 0  # the gap is transparent


def test_short_clips_show_each_frame_once_and_keep_their_proportions():
    assert opened(film_strip(ramp(1, 7, 13), num_frames=8, height=14)).shape == (14, 26, 4)


def test_channels_keep_their_order():
    red_CTHW = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    red_CTHW[0] = 200
    assert opened(film_strip(red_CTHW, height=4))[0, 0].tolist() == [200, 0, 0, 255]


def test_sheet_has_a_row_a_clip():
    sheet = opened(contact_sheet([ramp(4), ramp(4, 30, 30)], ["one", "another"], height=40))
    assert sheet.shape[0] == 2 * 48 + 8
    assert np.unique(sheet[8:48, :20, 0]).size > 1  # the label


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (torch.zeros(3, 2, 4, 4), "torch.float32"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), r"\(2, 3, 4, 4\)"),
        (torch.zeros(3, 0, 4, 4, dtype=torch.uint8), r"\(3, 0, 4, 4\)"),
    ],
)
def test_other_tensors_are_refused(clip, message):
    with pytest.raises(DataError, match=message):
        film_strip(clip)


def test_labels_must_match():
    with pytest.raises(DataError, match="1 clips, 2 labels"):
        contact_sheet([ramp(1)], ["a", "b"])
