import pytest
import torch

from pytorchvideo_autox3d.engine import Runtime
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Budgets, Ledger, cost_table, inherited_score, recalibrated

CPU = torch.device("cpu")


def test_recalibration_gives_the_statistics_of_the_network_itself(trained, make_loader):
    supernet, policy = trained
    with torch.no_grad():
        for name, buffer in supernet.named_buffers():
            if "running" in name:
                buffer.fill_(100.0)
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    loader = make_loader(batches=4)
    net = recalibrated(
        supernet,
        policy.most_likely(),
        loader,
        bn_batches=4,
        runtime=Runtime(device=CPU, preprocess=lambda c: c, channels_last=False),
    )
    stem = torch.cat([net.blocks[0].conv(batch.clip_BCTHW).detach() for batch in loader])
    torch.testing.assert_close(net.blocks[0].norm.running_mean, stem.mean(dim=(0, 2, 3, 4)), rtol=1e-4, atol=1e-5)
    assert not net.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in supernet.named_buffers())


@pytest.mark.parametrize("answer", [0, 1, 2])
def test_inherited_score_is_the_share_of_right_labels(trained, make_loader, answer):
    """A network whose classifier says one class, whatever it sees, is right where that is the label."""
    supernet, policy = trained
    with torch.no_grad():
        supernet.head.proj.weight.zero_()
        supernet.head.proj.bias.copy_(torch.nn.functional.one_hot(torch.tensor(answer), 3))
    score = inherited_score(
        supernet,
        make_loader(batches=3, seed=1),
        make_loader(batches=2),
        bn_batches=2,
        runtime=Runtime(device=CPU, preprocess=lambda c: c),
    )
    labels = torch.cat([batch.label_B for batch in make_loader(batches=3, seed=1)])
    assert len(set(labels.bincount().tolist())) == 3  # each class is another share
    assert score(policy.most_likely()) == pytest.approx(100 * (labels == answer).sum().item() / 24)


def test_inherited_score_is_that_of_the_recalibrated_network(trained, make_loader):
    supernet, policy = trained
    options = {"bn_batches": 2, "runtime": Runtime(device=CPU, preprocess=lambda c: c)}
    net = recalibrated(supernet, policy.most_likely(), make_loader(batches=2), **options)
    with torch.no_grad():
        right = [net(batch.clip_BCTHW).argmax(1) == batch.label_B for batch in make_loader(batches=5)]
    score = inherited_score(supernet, make_loader(batches=5), make_loader(batches=2), **options)
    assert score(policy.most_likely()) == pytest.approx(100 * torch.cat(right).float().mean().item())


def test_by_loss_and_what_it_cost(trained, make_loader):
    supernet, policy = trained
    options = {"bn_batches": 2, "runtime": Runtime(device=CPU, preprocess=lambda c: c)}
    net = recalibrated(supernet, policy.most_likely(), make_loader(batches=2), **options)
    with torch.no_grad():
        losses = [
            -torch.log_softmax(net(batch.clip_BCTHW), 1).gather(1, batch.label_B[:, None])
            for batch in make_loader(batches=5)
        ]
    ledger, budgets = Ledger(), Budgets(cost_table(supernet))
    loaders = make_loader(batches=5), make_loader(batches=2)
    score = inherited_score(supernet, *loaders, **options, rank_by="loss", budgets=budgets, ledger=ledger)
    assert score(policy.most_likely()) == pytest.approx(-torch.cat(losses).mean().item(), rel=1e-4)
    # Seven batches of eight clips, forward.
    assert ledger.macs == pytest.approx(56 * 1e9 * budgets.cost_of(policy.most_likely())["gflops"])
    with pytest.raises(SearchError, match=r"SEARCH.RANK_BY: 'f1' is none of accuracy, loss"):
        inherited_score(supernet, *loaders, **options, rank_by="f1")
