"""Parts of a parameter cut by windows: what they hold, and gradients that are added where they lie."""

import pytest
import torch

from pytorchvideo_autox3d.layers.windows import ChannelWindow, gradients_in_place, select_channels, whole

WINDOWS = [
    (ChannelWindow(1, 3, 6), ChannelWindow(2, 2, 5)),
    (ChannelWindow(4, 4, 6), ChannelWindow(3, 4, 5)),
    (ChannelWindow(5, 2, 6), whole(5)),
    (whole(6), ChannelWindow(4, 3, 5)),
    (ChannelWindow(2, 3, 6),),
    (whole(6), whole(5)),
]


def make_parameter():
    return torch.nn.Parameter(torch.randn(6, 5, 2, generator=torch.Generator().manual_seed(0)))


def by_index(parameter, windows):
    """What `windows` select, by gathering channel numbers."""
    for dim, window in enumerate(windows):
        parameter = parameter.index_select(dim, torch.tensor(list(window)))
    return parameter


@pytest.mark.parametrize("windows", WINDOWS)
def test_gradients_in_place_are_autograds(windows):
    parameter, expected = make_parameter(), make_parameter()
    for factor in (1.0, -2.0):  # the second is added to the first
        with gradients_in_place():
            part = select_channels(parameter, *windows)
        assert torch.equal(part, by_index(expected, windows))
        assert part.is_contiguous()
        (part.square() * factor).sum().backward()
        (by_index(expected, windows).square() * factor).sum().backward()
    assert torch.equal(parameter.grad, expected.grad)


def test_parts_of_one_parameter_and_the_whole_of_it_add_up():
    parameter, expected = make_parameter(), make_parameter()

    def loss(values):
        parts = [select_channels(values, *windows) for windows in WINDOWS]
        return sum(number * part.square().sum() for number, part in enumerate(parts, start=1))

    with gradients_in_place():
        loss(parameter).backward()
    (grad,) = torch.autograd.grad(loss(expected), [expected])
    torch.testing.assert_close(parameter.grad, grad)


def test_elsewhere_autograd_sees_the_parameter():
    parameter = make_parameter()
    windows = WINDOWS[1]
    (grad,) = torch.autograd.grad(select_channels(parameter, *windows).sum(), [parameter])
    assert grad.sum() == 32
    with gradients_in_place(), torch.no_grad():
        assert not select_channels(parameter, *windows).requires_grad
    with gradients_in_place():  # what is no leaf has no gradient of its own
        (grad,) = torch.autograd.grad(select_channels(2 * parameter, *windows).sum(), [parameter])
    assert grad.sum() == 64


def test_the_setting_ends_with_the_block():
    parameter = make_parameter()
    with pytest.raises(ZeroDivisionError), gradients_in_place():
        raise ZeroDivisionError
    part = select_channels(parameter, ChannelWindow(1, 2, 6))
    assert torch.autograd.grad(part.sum(), [parameter])[0].sum() == 20
