import copy
import warnings
from collections import OrderedDict

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.models import ClipNet


def small() -> ClipNet:
    head = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool3d(1), flat=nn.Flatten(), proj=nn.Linear(4, 2)))
    return ClipNet([nn.Conv3d(3, 4, 1), head], num_features=4, input_clip_length=2, input_crop_size=4)


@pytest.mark.parametrize("clip", [torch.full((1, 3, 2, 4, 4), 200.0), torch.rand(1, 3, 2, 4, 4) * 55 + 200])
def test_pixels_that_nobody_normalised_are_noticed_once(clip):
    model = small()
    with pytest.warns(UserWarning, match=r"values up to 2\d\d: expected normalised ones, as .*ClipNormalize"):
        model(clip)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(clip)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_normalised_clips_are_not(device):
    """Of black and white videos, by the smallest std in use."""
    model = small().to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(torch.tensor([-2.2, 4.6], device=device).repeat(1, 3, 2, 4, 2))


def test_a_compiled_model_has_no_break_for_it():
    clip = torch.randn(1, 3, 2, 4, 4)
    model = small().eval()
    exported = torch.export.export(copy.deepcopy(model), (clip,))
    assert torch.allclose(exported.module()(clip), model(clip))


def test_a_model_without_a_classifier_can_have_one_again():
    model = small()
    clip = torch.randn(5, 3, 2, 4, 4)
    model.reset_classifier(0)
    assert torch.allclose(model(clip), model.forward_features(clip).mean((2, 3, 4)), atol=1e-6)
    model.reset_classifier(0)
    model.double().reset_classifier(7)
    assert model(clip.double()).shape == (5, 7)
    assert model.blocks[-1].proj.weight.dtype == torch.float64
