"""How a file's logits are compared with eager's, and what is done where eager itself is inexact."""

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.errors import ExportError
from pytorchvideo_autox3d.export.parity import compare, distance
from tests.export.helpers import random_clip

CLIPS = [random_clip(2, 3, 2, 4, 4, seed=seed) for seed in range(3)]


class Means(nn.Module):
    """The mean of each channel, once a large number is added and taken off again: float32 loses what it shifts out."""

    def __init__(self, large):
        super().__init__()
        self.large = large

    def forward(self, clip):
        return clip.mean((2, 3, 4)) + self.large - self.large


def shifted(model, by):
    return lambda clip: model(clip.double()).float() + by


def test_an_exact_network_is_held_to_its_logits():
    found = compare(shifted(Means(0.0), 5e-5), Means(0.0), CLIPS, bounded=True)
    assert found.max_difference == pytest.approx(5e-5, rel=1e-2)
    assert found.relative_difference == found.max_difference  # no logit exceeds 1
    assert (found.eager_error, found.exported_error) == (None, None)
    with pytest.raises(ExportError, match=r"by 2\.0e-04 .* the file's differ by 2\.0e-04, eager's by \d\.\de-0[789]"):
        compare(shifted(Means(0.0), 2e-4), Means(0.0), CLIPS, bounded=True)
    assert compare(shifted(Means(0.0), 1.0), Means(0.0), CLIPS, bounded=False).max_difference == pytest.approx(1)


def test_where_eager_is_inexact_a_file_need_not_share_its_errors():
    # Beside 2**16 float32 has steps of 2**-7: half a step is the largest error, and nearly reached.
    model, half_a_step = Means(2.0**16), 2.0**-8
    found = compare(shifted(model, 0.0), model, CLIPS, bounded=True)
    assert 0.2 * half_a_step < found.eager_error <= half_a_step
    assert found.exported_error < 1e-6
    assert found.max_difference == pytest.approx(found.eager_error, rel=1e-3)
    with pytest.raises(ExportError, match=r"from float64's the file's differ by 7\.8e-03, eager's by"):
        compare(shifted(model, 2 * half_a_step), model, CLIPS, bounded=True)


def test_what_is_no_number_is_refused():
    for where in range(3):

        def run(clip, clips=CLIPS, where=where):
            return Means(0.0)(clip) + (float("nan") if clip is clips[where] else 0)

        with pytest.raises(ExportError, match="differ from eager's by nan"):
            compare(run, Means(0.0), CLIPS, bounded=True)


def test_another_shape_is_refused():
    with pytest.raises(ExportError, match=r"logits of shape \(2, 2\), eager's are \(2, 3\)"):
        compare(lambda clip: Means(0.0)(clip)[:, :2], Means(0.0), CLIPS, bounded=True)


class OnlyFloat32(Means):
    def forward(self, clip):
        return super().forward(clip @ torch.eye(4))


def test_a_network_that_has_no_float64_form_is_held_to_eager():
    with pytest.raises(ExportError, match=r"differ from eager's by [-\d.e+]+ of the largest, more than 1\.0e-04$"):
        compare(lambda clip: OnlyFloat32(0.0)(clip) + 1, OnlyFloat32(0.0), CLIPS, bounded=True)


def test_the_distance_is_relative_to_large_logits_alone():
    assert distance([torch.tensor([[2.0, 11.0]])], [torch.tensor([[1.0, 10.0]])]) == pytest.approx(0.1)
    assert distance([torch.tensor([[0.2, 0.1]])], [torch.tensor([[0.1, 0.1]])]) == pytest.approx(0.1)
