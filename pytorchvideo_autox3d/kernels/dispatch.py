"""When a kernel of our own may run: its on-off switch, and what every kernel asks of its operands."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ConfigError

# Triton comes with torch on Linux; elsewhere a GPU uses torch's own operators.
HAS_TRITON = importlib.util.find_spec("triton") is not None


class KernelSwitch:
    """Turns a family of kernels on and off for the process; 0 in the environment variable keeps them off.

    Args:
        environment: the variable's name; unset means 1.
        enabled: whether they are on at first where the variable is unset.
    Raises:
        ConfigError: the variable is neither 0 nor 1.
    """

    def __init__(self, environment: str, *, enabled: bool = True) -> None:
        self.environment = environment
        self.enabled = self._allowed() and (enabled or environment in os.environ)

    def _allowed(self) -> bool:
        """Whether the environment allows the kernels; `ConfigError` where it is neither 0 nor 1."""
        value = os.environ.get(self.environment, "1")
        if value not in ("0", "1"):
            raise ConfigError(f"environment variable {self.environment}={value!r}: must be 0 or 1")
        return value == "1"

    def set(self, enabled: bool) -> None:
        """Turn the kernels on, where the environment allows it, or off, for the whole process.

        Raises:
            ConfigError: the environment variable has become something other than 0 or 1.
        """
        self.enabled = enabled and self._allowed()

    @contextmanager
    def during(self, enabled: bool) -> Iterator[None]:
        """Turn the kernels on or off for a block of code, in all threads of the process."""
        before = self.enabled
        self.set(enabled)
        try:
            yield
        finally:
            self.set(before)


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has memory of its own and the usual operators: no fake tensor, DTensor or the like."""
    return type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided


def transformed() -> bool:
    """Whether torch is tracing, exporting or in a functional transform, which must see plain layers."""
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_exporting()
        or torch.onnx.is_in_onnx_export()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    )
