"""When a kernel of our own may run: its switch, and what every kernel asks of its operands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ConfigError


class KernelSwitch:
    """Turns a family of kernels on and off for the process; 0 in the environment variable keeps them off.

    Args:
        environment: the variable's name; unset means 1.
        enabled: whether they are on at first, unless the variable says so.
    Raises:
        ConfigError: the variable is neither 0 nor 1.
    """

    def __init__(self, environment: str, *, enabled: bool = True) -> None:
        self.environment = environment
        self.enabled = self._allowed() and (enabled or environment in os.environ)

    def _allowed(self) -> bool:
        value = os.environ.get(self.environment, "1")
        if value not in ("0", "1"):
            raise ConfigError(f"environment variable {self.environment}={value!r}: must be 0 or 1")
        return value == "1"

    def set(self, enabled: bool) -> None:
        """Turn the kernels on or off for the whole process."""
        self.enabled = enabled and self._allowed()

    @contextmanager
    def during(self, enabled: bool) -> Iterator[None]:
        """Turn the kernels on or off for a block of code; the setting is the process's, not the thread's."""
        before = self.enabled
        self.set(enabled)
        try:
            yield
        finally:
            self.set(before)


def is_plain(tensor: Tensor) -> bool:
    """A tensor with memory of its own: no subclass that gives operators another meaning (fake, DTensor, ...)."""
    return type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided


def transformed() -> bool:
    """Under tracing, exporting or a functional transform, where plain layers must be seen."""
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_exporting()
        or torch.onnx.is_in_onnx_export()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    )
