"""Depthwise 3D convolution as fast as memory can be read and written: a drop-in for `nn.Conv3d`.

Frameworks run the depthwise t x s^2 convolution badly, most of all its backward pass on a CPU; here it has kernels
of its own (numba on the CPU, Triton on the GPU). Whatever those don't cover goes to torch's convolution: another
kernel, stride, dilation, padding or device, a float16 CPU tensor, tracing, exporting, a functional transform. The
result agrees with torch's to rounding, and is in channels_last_3d wherever a kernel computed it.

Switch: the environment variable AUTOX3D_DEPTHWISE=0 or `set_depthwise_kernels(False)` turns the kernels off.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels import depthwise_ops
from pytorchvideo_autox3d.kernels.activations import ACTIVATION_FUNCTIONS
from pytorchvideo_autox3d.kernels.dispatch import HAS_TRITON, KernelSwitch, is_plain, transformed

_switch = KernelSwitch("AUTOX3D_DEPTHWISE")
_SIZES = (1, 3, 5, 7)
_STRIDES = (1, 2)
_DTYPES = {
    "cpu": (torch.float32, torch.bfloat16, torch.float64),
    "cuda": (torch.float32, torch.float16, torch.bfloat16),
}
# A vector of fewer channels would leave the registers half empty.
_LEAST_CHANNELS = 4


def set_depthwise_kernels(enabled: bool) -> None:
    """Turn the kernels on or off for the whole process; the environment's AUTOX3D_DEPTHWISE=0 keeps them off."""
    _switch.set(enabled)


def depthwise_kernels(enabled: bool) -> AbstractContextManager[None]:
    """Turn the kernels on or off for a block of code; the setting is the process's, not the thread's."""
    return _switch.during(enabled)


def _geometry_covered(
    weight: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...], groups: int
) -> bool:
    channels, per_group, size_t, size, size_w = weight.shape
    return (
        per_group == 1
        and groups == channels
        and channels >= _LEAST_CHANNELS
        and size == size_w
        and size_t in _SIZES
        and size in _SIZES
        and stride[0] in _STRIDES
        and stride[1] in _STRIDES
        and stride[1] == stride[2]
        and tuple(padding) == (size_t // 2, size // 2, size // 2)
        and tuple(dilation) == (1, 1, 1)
    )


def _operand_covered(x: Tensor, weight: Tensor, dtype: torch.dtype) -> bool:
    return (
        x.dim() == 5
        and x.shape[1] == weight.shape[0]
        and x.device == weight.device
        and dtype in _DTYPES.get(x.device.type, ())
        and is_plain(x)
        and is_plain(weight)
        and (x.device.type != "cuda" or HAS_TRITON)
        and min(x.shape[2:]) > 0
    )


def _operand_dtype(x: Tensor, weight: Tensor) -> torch.dtype | None:
    """The type that the convolution runs in; None where the kernels have no such type.

    Autocast decides where it is on (it leaves float64 alone), else the operands' own type.
    """
    device = x.device.type
    if device not in _DTYPES:  # meta, for one, has no autocast to ask about
        return None
    if torch.is_autocast_enabled(device) and torch.float64 not in (x.dtype, weight.dtype):
        return torch.get_autocast_dtype(device)
    return x.dtype if x.dtype == weight.dtype else None


def depthwise_conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, ...] = (1, 1, 1),
    padding: tuple[int, ...] = (0, 0, 0),
    dilation: tuple[int, ...] = (1, 1, 1),
    groups: int | None = None,
    activation: str = "none",
) -> Tensor:
    """`F.conv3d`, by the kernels where they apply; arguments that `F.conv3d` has too mean the same.

    Without gradients to compute, bias and activation cost the kernels no further pass over memory.

    Args:
        x: (B, C, T, H, W).
        weight: (C, 1, t, s, s).
        bias: (C,), or None.
        groups: None takes the weight's output channels, which makes the convolution depthwise.
        activation: applied to the result: "none", "relu" or "silu".
    Raises:
        ModelError: there is no such activation. Other errors are those of `F.conv3d`.
    """
    if activation not in ACTIVATION_FUNCTIONS:
        raise ModelError(f"activation {activation!r} is none of {', '.join(ACTIVATION_FUNCTIONS)}")
    groups = weight.shape[0] if groups is None else groups
    activate = ACTIVATION_FUNCTIONS[activation]
    if not _switch.enabled or transformed():
        return activate(F.conv3d(x, weight, bias, stride, padding, dilation, groups))
    dtype = _operand_dtype(x, weight)
    if (
        dtype is None
        or not _geometry_covered(weight, stride, padding, dilation, groups)
        or not _operand_covered(x, weight, dtype)
    ):
        return activate(F.conv3d(x, weight, bias, stride, padding, dilation, groups))
    x, weight = x.to(dtype), weight.to(dtype)
    if (bias is not None or activation != "none") and not _needs_gradient(x, weight, bias):
        return depthwise_ops.activated(x, weight, bias, stride[0], stride[1], activation)
    out = depthwise_ops.conv3d(x, weight, stride[0], stride[1])
    return activate(out if bias is None else out + bias.to(dtype).view(-1, 1, 1, 1))


def _needs_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


class DepthwiseConv3d(nn.Conv3d):
    """`nn.Conv3d` (same arguments, parameters, state and initialisation) whose depthwise case is fast.

    Where its settings are not those of a depthwise convolution it computes what `nn.Conv3d` does.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (B, C, T, H, W) or (C, T, H, W)."""
        if torch.jit.is_scripting() or self.padding_mode != "zeros" or isinstance(self.padding, str):
            return self._conv_forward(input, self.weight, self.bias)
        else:  # noqa: RET505 -- TorchScript leaves the branch out only when it is written as one
            return depthwise_conv3d(
                input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
            )
