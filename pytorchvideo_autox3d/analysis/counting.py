"""Counts the cost of any module by running it once, with fvcore, or on the meta device with torch."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from pytorchvideo_autox3d.eval_mode import evaluating

# fvcore's names of convolutions, linear layers and matrix products. What else it counts (BN, pooling) is left out, as
# the X3D and AutoX3D papers do.
COUNTED_OPERATORS = ("conv", "linear", "matmul", "mm", "bmm", "addmm", "einsum")


@dataclass(frozen=True)
class ModuleCount:
    """Multiply-adds of one clip and parameters of a module; 1e9 multiply-adds are what papers call a GFLOP."""

    macs: int
    params: int

    @property
    def gflops(self) -> float:
        """Multiply-adds in 1e9."""
        return self.macs / 1e9


def count_module(model: nn.Module, clip: tuple[int, int, int], *, in_channels: int = 3) -> ModuleCount:
    """Multiply-adds of convolutions, linear layers and matrix products for one clip (T, H, W), and parameters.

    fvcore traces one forward pass in eval mode, on the model's device; the model's mode is restored. On the meta
    device, where nothing is computed and any network is counted in a moment, a model can't be traced, and torch's own
    counter takes fvcore's place.

    Args:
        model: takes clips (1, in_channels, T, H, W).
        clip: (T, H, W).
        in_channels: of the clip.
    """
    parameter = next(model.parameters(), torch.empty(0))  # a block may have none
    x = torch.zeros(1, in_channels, *clip, device=parameter.device, dtype=parameter.dtype)
    with evaluating(model), _errors_alone("fvcore"):
        macs = _count_meta(model, x) if parameter.is_meta else _count_traced(model, x)
    return ModuleCount(macs=macs, params=count_parameters(model))


def _count_traced(model: nn.Module, x: torch.Tensor) -> int:
    with warnings.catch_warnings():
        # Tracing is deprecated in torch and still what fvcore does.
        warnings.simplefilter("ignore")
        counts = FlopCountAnalysis(model, x)
        counts.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        by_operator = counts.by_operator()
    return round(sum(by_operator[name] for name in COUNTED_OPERATORS if name in by_operator))


def _count_meta(model: nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        model(x)
    # It counts convolutions and matrix products too, a multiply-add as two operations.
    return int(counter.get_total_flops()) // 2


class _Unfilled(TorchFunctionMode):
    """Draws no initial weights: what torch does instead of it on the meta device takes most of a network's building."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "").endswith(("normal_", "uniform_")):
            filled = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        return func(*args, **kwargs)


@contextmanager
def on_meta() -> Iterator[None]:
    """Within the `with` block networks are built on the meta device, to be counted: they have shapes and no values."""
    with torch.device("meta"), _Unfilled():
        yield


def count_parameters(model: nn.Module) -> int:
    """The number of elements of all parameters; shared parameters count once."""
    return sum(math.prod(parameter.shape) for parameter in model.parameters())


@contextmanager
def _errors_alone(name: str) -> Iterator[None]:
    """Within the `with` block the logger of that name shows errors alone."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
