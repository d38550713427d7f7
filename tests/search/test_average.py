import pytest
import torch

from pytorchvideo_autox3d.search import WeightAverage


def test_the_average_by_hand(make_pair):
    supernet, _ = make_pair()
    average = WeightAverage(supernet, 0.9)
    weight = supernet.head_conv.weight
    with torch.no_grad():
        weight.fill_(1.0)
        average.update()  # the first update is a copy
        weight.fill_(2.0)
        average.update()
    assert average.supernet.head_conv.weight.flatten()[0].item() == pytest.approx(0.9 * 1.0 + 0.1 * 2.0)
    assert average.supernet is not supernet
    assert weight.flatten()[0] == 2.0


def test_it_goes_on_from_its_state(make_pair):
    supernet, _ = make_pair()
    first = WeightAverage(supernet, 0.5)
    first.update()
    with torch.no_grad():
        supernet.head_conv.weight.zero_()
    second = WeightAverage(supernet, 0.5)
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.update()
    assert torch.equal(first.supernet.head_conv.weight, second.supernet.head_conv.weight)
    assert first.supernet.head_conv.weight.any()
