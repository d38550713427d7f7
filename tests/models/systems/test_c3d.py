"""C3D: its clip size is fixed when it is built, and an unfit one is named in one line."""

import pytest
import torch

from pytorchvideo_autox3d import models  # noqa: F401  (registers them)
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

build = MODEL_REGISTRY.get("C3D")


@pytest.mark.parametrize("size", [(16, 16, 16), (16, 112, 112), (32, 40, 40), (17, 33, 33)])
def test_the_head_fits_the_map_of_any_size_it_can_be_built_for(size):
    with torch.device("meta"):
        model = build(model_num_class=3, input_clip_length=size[0], input_crop_size=size[1])
        assert model(torch.zeros(2, 3, *size)).shape == (2, 3)
    assert (
        model.blocks[-1].hidden.fc6.in_features
        == model.forward_features(torch.zeros(1, 3, *size, device="meta")).numel()
    )


def test_the_published_head():
    with torch.device("meta"):
        model = build()
    # 512 channels of 1 x 4 x 4 positions.
    assert model.blocks[-1].hidden.fc6.in_features == 8192


def test_another_clip_size_is_refused():
    with torch.device("meta"):
        model = build(input_clip_length=16, input_crop_size=32)
        with pytest.raises(
            ModelError, match=r"C3D was built for clips of 16 x 32 x 32, got one of 16 x 40 x 32"
        ) as caught:
            model(torch.zeros(1, 3, 16, 40, 32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("frames", "crop"), [(8, 112), (16, 15)])
def test_a_size_of_which_nothing_would_be_left_is_refused(frames, crop):
    with pytest.raises(
        ModelError, match=f"16 x 16 x 16 or more, got input_clip_length {frames}, input_crop_size {crop}"
    ):
        build(input_clip_length=frames, input_crop_size=crop)


def test_gradients_and_a_new_classifier():
    torch.manual_seed(0)
    model = build(model_num_class=3, input_clip_length=16, input_crop_size=16)
    clip = torch.randn(2, 3, 16, 16, 16)
    model(clip).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.reset_classifier(7)
    assert model([clip]).shape == (2, 7)
