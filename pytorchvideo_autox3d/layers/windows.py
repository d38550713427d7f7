"""Windows of neighbouring channels on a ring, and the parts of a parameter that they select.

With `gradients_in_place` the gradient of such a part is added to the parameter's own where it lies. Autograd's way is
to fill a tensor of the whole parameter's size with zeros for every dimension that is cut, and to add all of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_in_place = False


@contextmanager
def gradients_in_place() -> Iterator[None]:
    """Within the `with` block, forward passes select parts of parameters so that `backward()` adds to `.grad` in place.

    For graphs that only `Tensor.backward` goes through, over all parameters: `torch.autograd.grad` would find no
    gradient for a parameter that was cut, and hooks on such a parameter's gradient don't run.
    """
    global _in_place
    before, _in_place = _in_place, True
    try:
        yield
    finally:
        _in_place = before


@dataclass(frozen=True)
class ChannelWindow(Sequence[int]):
    """Neighbouring channels of a super-kernel, seen as a ring on which channel 0 follows the last.

    As a sequence it holds the channels' numbers. A window over the whole ring begins at 0, so that it is a plain slice.

    Args:
        start: the first channel, taken modulo `ring`.
        width: how many channels, from 1 to `ring`.
        ring: channels of the super-kernel.
    """

    start: int
    width: int
    ring: int

    def __post_init__(self) -> None:
        assert 1 <= self.width <= self.ring, f"a window of {self.width} does not fit a ring of {self.ring}"
        object.__setattr__(self, "start", 0 if self.width == self.ring else self.start % self.ring)

    @property
    def wrapped(self) -> int:
        """How many channels lie past the end of the super-kernel, that is, at its beginning; 0 for a plain slice."""
        return max(0, self.start + self.width - self.ring)

    def __len__(self) -> int:
        return self.width

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(self.width)))
        return (self.start + range(self.width)[index]) % self.ring


def whole(width: int) -> ChannelWindow:
    """The window over all of `width` channels."""
    return ChannelWindow(0, width, width)


def slice_channels(tensor: Tensor, window: ChannelWindow, dim: int = 0) -> Tensor:
    """The window's channels along `dim`, in the window's order: a view unless the window wraps around.

    Joining two slices rather than gathering by index keeps the backward pass deterministic on every device.
    """
    assert tensor.shape[dim] == window.ring, f"{tuple(tensor.shape)} has no ring of {window.ring} in dimension {dim}"
    if window.width == window.ring:
        return tensor
    rest = window.wrapped
    first = tensor.narrow(dim, window.start, window.width - rest)
    return torch.cat([first, tensor.narrow(dim, 0, rest)], dim) if rest else first


def write_channels(tensor: Tensor, window: ChannelWindow, values: Tensor) -> None:
    """Write `values` to the window's channels along dimension 0, in place: the inverse of `slice_channels`.

    For statistics, not for parameters: autograd is not told, as when batch normalisation itself updates a buffer. In
    training its backward pass uses the batch's statistics, so several forward passes may come before a backward one.
    """
    tensor = tensor.data
    first = window.width - window.wrapped
    tensor[window.start : window.start + first].copy_(values[:first])
    if window.wrapped:
        tensor[: window.wrapped].copy_(values[first:])


def select_channels(parameter: Tensor, *windows: ChannelWindow) -> Tensor:
    """The part of a parameter that windows select along its first dimensions, one window for each of these.

    A view where no window wraps around, or a contiguous copy within `gradients_in_place`.
    """
    if all(window.width == window.ring for window in windows):
        return parameter
    if _in_place and torch.is_grad_enabled() and parameter.is_leaf and parameter.requires_grad:
        part: Tensor = _Selected.apply(parameter, *windows)
        return part
    return _cut(parameter, windows)


def _cut(tensor: Tensor, windows: Sequence[ChannelWindow]) -> Tensor:
    for dim, window in enumerate(windows):
        tensor = slice_channels(tensor, window, dim)
    return tensor


class _Selected(torch.autograd.Function):
    """The selected part of a parameter, laid out in one piece; backward adds to the parameter's gradient in place."""

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, *windows: ChannelWindow) -> Tensor:
        ctx.parameter, ctx.windows = parameter, windows
        return _cut(parameter.detach(), windows).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, ...]:
        parameter = ctx.parameter
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        _add_to(parameter.grad, ctx.windows, grad)
        return (None,) * (1 + len(ctx.windows))


def _add_to(total: Tensor, windows: Sequence[ChannelWindow], part: Tensor, dim: int = 0) -> None:
    """Add `part` to what the windows select of `total`, from dimension `dim` on: at most two runs in each dimension."""
    if not windows:
        total.add_(part)
        return
    window, *rest = windows
    first = window.width - window.wrapped
    for start, begin, length in ((window.start, 0, first), (0, first, window.wrapped)):
        if length:
            _add_to(total.narrow(dim, start, length), rest, part.narrow(dim, begin, length), dim + 1)
