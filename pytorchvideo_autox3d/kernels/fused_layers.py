"""Runs a sequence of layers with its batch norms fused to what follows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from pytorchvideo_autox3d.kernels.batch_norm import activation_name, excite_of, norm_act, watched
from pytorchvideo_autox3d.kernels.recomputation import call_without_keeping


class FusedSequential(nn.Sequential):
    """`nn.Sequential` whose batch norms run fused with what follows them."""

    def forward(self, input: Tensor) -> Tensor:
        """Run the layers one after another, each batch norm fused with what follows it (`run_layers`)."""
        return run_layers(self, input)


def _flat(layers: Iterable[Any]) -> Iterator[nn.Module]:
    """The layers one by one: plain sequences are opened, unless a hook watches them, and None is left out."""
    for layer in layers:
        if type(layer) in (nn.Sequential, FusedSequential) and not watched(layer):
            yield from _flat(layer)  # not children(), which has a layer that stands twice once
        elif layer is not None:
            yield layer


def run_layers(
    layers: Iterable[nn.Module | None],
    x: Tensor,
    *,
    residual: Tensor | None = None,
    activation: nn.Module | None = None,
) -> Tensor:
    """activation(residual + the layers one after another), where a batch norm runs fused with what follows it.

    Args:
        layers: the layers in order; None stands for a layer that is not there.
        x: what enters the first.
        residual: added to what leaves the last.
        activation: applied at the end.
    """
    queue = list(_flat(layers))
    while queue:
        layer = queue.pop(0)
        if type(layer) is not nn.BatchNorm3d:
            x = call_without_keeping(layer, x)
            continue
        excite = queue.pop(0) if queue and excite_of(queue[0]) is not None else None
        following = queue.pop(0) if queue and activation_name(queue[0]) is not None else None
        if not queue and following is None:  # the last layer takes the residual and the activation with it
            return norm_act(layer, activation, x, residual=residual, squeeze_excite=excite)
        x = norm_act(layer, following, x, squeeze_excite=excite)
    if residual is not None:
        x = residual + x
    return x if activation is None else activation(x)
