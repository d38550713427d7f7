import pytest
import torch

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import split_halves
from pytorchvideo_autox3d.search.halves import PairedLoader


def paired(make_loader, weights: int, policy: int) -> PairedLoader:
    return PairedLoader(make_loader(batches=weights, seed=1), make_loader(batches=policy, seed=2), warmup_epochs=1)


def policy_clips(loader: PairedLoader, epoch: int, start_batch: int = 0) -> list[torch.Tensor]:
    loader.set_epoch(epoch, start_batch=start_batch)
    return [batch.policy.clip_BCTHW for batch in loader]


def test_in_the_warm_up_alpha_has_no_batches(make_loader):
    loader = paired(make_loader, 5, 2)
    loader.set_epoch(0)
    assert [batch.policy for batch in loader] == [None] * 5


def test_every_pass_over_the_shorter_part_has_new_clips(make_loader):
    loader = paired(make_loader, 5, 2)
    clips = [clip for epoch in (1, 2, 3) for clip in policy_clips(loader, epoch)]
    assert len(clips) == 15
    assert not any(torch.equal(one, other) for n, one in enumerate(clips) for other in clips[:n])


@pytest.mark.parametrize("start_batch", [1, 2, 3, 4])
def test_a_resumed_epoch_goes_on_with_the_same_passes(make_loader, start_batch):
    loader = paired(make_loader, 5, 2)
    whole = policy_clips(loader, 2)
    resumed = policy_clips(loader, 2, start_batch)
    assert len(resumed) == 5 - start_batch
    assert all(map(torch.equal, resumed, whole[start_batch:]))


def test_a_part_that_is_as_long_has_one_pass_an_epoch_under_its_number(make_loader):
    own = make_loader(batches=3, seed=2)
    own.set_epoch(4)
    assert all(map(torch.equal, policy_clips(paired(make_loader, 3, 3), 4), [batch.clip_BCTHW for batch in own]))


@pytest.mark.parametrize(("count", "share"), [(10, 0.5), (11, 0.3), (2, 0.5)])
def test_halves_part_the_list(count, share):
    weights, policy = split_halves(count, share, seed=3)
    assert sorted(weights + policy) == list(range(count))
    assert len(policy) == round(count * share)
    assert (weights, policy) == split_halves(count, share, seed=3)


def test_an_empty_half_is_refused():
    with pytest.raises(SearchError, match=r"0.1 of a training list of 3 videos leaves an empty half"):
        split_halves(3, 0.1, seed=0)
    with pytest.raises(SearchError, match=r"SEARCH.POLICY_SPLIT: 1.0 is not inside"):
        split_halves(3, 1.0, seed=0)
