import pytest
import torch

from pytorchvideo_autox3d.data import ClipMix, Erasing, TrainTransform
from pytorchvideo_autox3d.data.augment import policy_transform
from pytorchvideo_autox3d.errors import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def still_clip(frames=4, size=40):
    picture = torch.randint(256, (3, size, size), dtype=torch.uint8, generator=seeded(1))
    return picture.expand(frames, 3, size, size)


@pytest.mark.parametrize(
    ("name", "operations", "magnitude"),
    [("rand-m9-mstd0.5-inc1", 2, 27), ("rand-m7-n4-mstd0.5-inc1", 4, 21), ("rand-m10-n1", 1, 30), ("rand-n3", 3, 27)],
)
def test_rand_augment_by_name(name, operations, magnitude):
    transform = policy_transform(name)
    assert (transform.num_ops, transform.magnitude) == (operations, magnitude)


@pytest.mark.parametrize("name", ["rand-m9-mstd0.5-inc1", "imagenet", "cifar10"])
def test_one_draw_serves_all_frames(name):
    transform = TrainTransform(crop_size=32, auto_augment=name, erasing=Erasing(1.0))
    clips = [transform(still_clip(), seeded(seed)) for seed in range(20)]
    for clip in clips:
        assert clip.dtype == torch.uint8
        assert torch.equal(clip, clip[:1].expand_as(clip))
    assert len({clip.numpy().tobytes() for clip in clips}) == 20
    assert torch.equal(transform(still_clip(), seeded(3)), clips[3])


@pytest.mark.parametrize("mode", ["const", "rand", "pixel"])
def test_erasing(mode):
    clip = torch.full((5, 3, 64, 64), 7, dtype=torch.uint8)
    erase = Erasing(1.0, mode).transform()
    shares = []
    for seed in range(30):
        torch.manual_seed(seed)
        erased = erase(clip)
        box = (erased[0] != 7).any(0)
        rows, columns = box.any(1).nonzero(), box.any(0).nonzero()
        assert torch.equal(erased, erased[:1].expand_as(erased))
        shares.append((rows[-1] - rows[0] + 1).item() * (columns[-1] - columns[0] + 1).item() / 64**2)
        colours = erased[0][:, box].unique(dim=1).shape[1]
        assert (colours > 3) == (mode == "pixel")
        if mode == "const":
            assert erased[0][:, box].unique().tolist() == [115]
    assert min(shares) > 0.015
    assert max(shares) < 0.34


def test_erasing_has_a_probability():
    clip = torch.full((1, 3, 32, 32), 7, dtype=torch.uint8)
    erase = Erasing(0.25).transform()
    torch.manual_seed(0)
    assert 60 < sum(not torch.equal(erase(clip), clip) for _ in range(400)) < 140


def batch():
    return torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 3, 2, 16, 16).contiguous(), torch.tensor([0, 1, 2, 3])


def test_mixup_mixes_clips_and_targets_alike():
    torch.manual_seed(0)
    mix = ClipMix(num_classes=4, cutmix_alpha=0, label_smoothing=0)
    for _ in range(10):
        clip, target = mix(*batch())
        share = target[1, 1]
        torch.testing.assert_close(clip[1].unique(), (share * 1 + (1 - share) * 0).reshape(1))
        torch.testing.assert_close(target.sum(1), torch.ones(4))
        assert torch.equal(target[1], torch.tensor([1 - share, share, 0, 0])) or share in (0, 1)


def test_cutmix_takes_the_area_for_the_target():
    torch.manual_seed(0)
    mix = ClipMix(num_classes=4, mixup_alpha=0, label_smoothing=0)
    for _ in range(10):
        clip, target = mix(*batch())
        assert set(clip[2].unique().tolist()) <= {1.0, 2.0}
        torch.testing.assert_close((clip[2] == 2).float().mean(), target[2, 2])


def test_which_of_both_and_whether():
    torch.manual_seed(0)
    both = ClipMix(num_classes=4, prob=0.5, label_smoothing=0)
    kinds = []
    for _ in range(300):
        clip, target = both(*batch())
        mixed = not torch.equal(target, torch.eye(4))
        whole = all(len(one.unique()) == 1 for one in clip)
        kinds.append("none" if not mixed else "mixup" if whole else "cutmix")
    assert 110 < kinds.count("none") < 190
    assert min(kinds.count("mixup"), kinds.count("cutmix")) > 40


def test_smoothing_is_pyslowfasts():
    clip, target = ClipMix(num_classes=4, prob=0, label_smoothing=0.1)(*batch())
    torch.testing.assert_close(target, torch.eye(4) * 0.9 + 0.025)
    assert torch.equal(clip, batch()[0])
    assert type(ClipMix(num_classes=4)(*batch())[0]) is torch.Tensor


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: policy_transform("best"), "auto_augment is 'best'"),
        (lambda: policy_transform("rand-m9-x3"), "'x3' is none of"),
        (lambda: policy_transform("rand-m11"), "the magnitude must be 0 to 10"),
        (lambda: Erasing(2.0), "expected a probability"),
        (lambda: Erasing(0.5, "black"), "a mode of const, rand, pixel"),
        (lambda: ClipMix(num_classes=4, mixup_alpha=0, cutmix_alpha=0), "expected one above 0"),
        (lambda: ClipMix(num_classes=4, prob=3), "prob is 3"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(DataError, match=message):
        make()
