import random

import pytest
import torch

from pytorchvideo_autox3d.data import ClipNormalize, TrainTransform
from pytorchvideo_autox3d.data.transforms import cropped, drawing_from, jittered_scale
from pytorchvideo_autox3d.data.views import LEFT, RIGHT, View
from pytorchvideo_autox3d.errors import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def still_clip(frames=6, height=40, width=52):
    picture = torch.randint(256, (3, height, width), dtype=torch.uint8, generator=seeded(1))
    return picture.expand(frames, 3, height, width)


@pytest.mark.parametrize("policy", ["", "imagenet"])
def test_one_draw_serves_all_frames(policy):
    transform = TrainTransform(crop_size=32, auto_augment=policy)
    changed = 0
    for seed in range(20):
        clip = transform(still_clip(), seeded(seed))
        assert clip.shape == (6, 3, 32, 32)
        assert clip.dtype == torch.uint8
        assert torch.equal(clip, clip[:1].expand_as(clip))
        plain = TrainTransform(crop_size=32)(still_clip(), seeded(seed))
        changed += not torch.equal(plain, clip)
    assert (changed > 10) == bool(policy)


def test_draws_depend_on_the_generator_alone_and_leave_the_global_one():
    transform = TrainTransform(crop_size=16, auto_augment="imagenet")
    clip = torch.randint(256, (2, 3, 40, 40), dtype=torch.uint8, generator=seeded(1))
    torch.manual_seed(5)
    random.seed(5)
    before = (torch.random.get_rng_state(), random.getstate())
    first = transform(clip, seeded(3))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    torch.rand(7)
    assert torch.equal(transform(clip, seeded(3)), first)
    assert any(not torch.equal(transform(clip, seeded(n)), first) for n in range(4, 8))


def test_drawing_from_restores_after_an_error():
    state = torch.random.get_rng_state()
    with pytest.raises(ZeroDivisionError), drawing_from(seeded()):
        torch.rand(3)
        raise ZeroDivisionError
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("flip", [True, False])
def test_flip_is_a_switch(flip):
    ramp = torch.arange(32, dtype=torch.uint8).expand(1, 3, 32, 32)
    transform = TrainTransform(crop_size=32, horizontal_flip=flip)
    leftmost = {int(transform(ramp, seeded(n))[0, 0, 0, 0]) for n in range(20)}
    assert leftmost == ({0, 31} if flip else {0})


def test_crops_reach_every_corner():
    rows = torch.arange(10, dtype=torch.uint8)[:, None].expand(10, 12)
    columns = torch.arange(12, dtype=torch.uint8)[None].expand(10, 12)
    clip = torch.stack([rows, columns, columns])[None]
    transform = TrainTransform(crop_size=8, horizontal_flip=False)
    corners = {tuple(transform(clip, seeded(n))[0, :2, 0, 0].tolist()) for n in range(300)}
    assert corners == {(top, left) for top in range(3) for left in range(5)}


def test_jitter_is_uniform_over_its_range():
    generator = seeded()
    drawn = [jittered_scale((182, 228), generator) for _ in range(3000)]
    assert (min(drawn), max(drawn)) == (182, 228)
    assert sum(drawn) / len(drawn) == pytest.approx(205, abs=1)


def test_test_crops_are_views_of_the_picture():
    clip = torch.arange(20, dtype=torch.uint8).expand(2, 3, 8, 20)
    assert cropped(clip, View(0, 1, LEFT), 8)[0, 0, 0].tolist() == list(range(8))
    assert cropped(clip, View(0, 1, RIGHT), 8)[0, 0, 0].tolist() == list(range(12, 20))


@pytest.mark.parametrize(("mean", "std"), [((0.45,) * 3, (0.225,) * 3), ((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))])
def test_normalisation(mean, std):
    clip = torch.randint(256, (2, 3, 4, 5, 6), dtype=torch.uint8, generator=seeded())
    untouched = clip.clone()
    result = ClipNormalize(mean, std)(clip)
    expected = (clip.double() / 255 - torch.tensor(mean).view(3, 1, 1, 1)) / torch.tensor(std).view(3, 1, 1, 1)
    torch.testing.assert_close(result.double(), expected, atol=1e-5, rtol=1e-5)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(clip, untouched)


def test_normalisation_leaves_a_float_clip_of_the_caller_alone():
    clip = torch.full((1, 3, 1, 2, 2), 255.0)
    ClipNormalize()(clip)
    assert clip.unique().tolist() == [255.0]


def test_wrong_arguments():
    with pytest.raises(DataError, match="auto_augment is 'best'"):
        TrainTransform(crop_size=8, auto_augment="best")
    with pytest.raises(DataError, match="std"):
        ClipNormalize((0.5,), (0.0,))
