"""`fuse_for_inference`: batch normalisation folded into the convolutions, bias and activation fused with them.

Folding: a BN in eval is y = (x - mean) / sqrt(var + eps) * weight + bias, an affine map of every channel, so that with
scale = weight / sqrt(var + eps) the convolution before it takes weight * scale and (bias - mean) * scale + bn_bias.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pytorchvideo.layers.swish import Swish
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.export.chains import Chain, find_chains
from pytorchvideo_autox3d.kernels.activations import ACTIVATION_FUNCTIONS
from pytorchvideo_autox3d.kernels.depthwise import DepthwiseConv3d, depthwise_conv3d

ACTIVATIONS: dict[type, str] = {nn.ReLU: "relu", nn.SiLU: "silu", Swish: "silu", nn.ReLU6: "relu6"}
_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "silu": F.silu,
    "relu6": F.relu6,
}
_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu_,
    "silu": lambda x: F.silu(x, inplace=True),
    "relu6": lambda x: F.hardtanh_(x, 0.0, 6.0),
}
# The activations as oneDNN's fused layers name them: (attribute, scalars).
_ONEDNN: dict[str, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "silu": ("swish", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}
# Classes whose forward is the convolution and nothing else.
_PLAIN = (nn.Conv3d, DepthwiseConv3d)
_GEOMETRY = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
_CLIP = (1, 3, 16, 224, 224)


def fuse_for_inference(model: nn.Module, clip_shape: Sequence[int] | None = None) -> nn.Module:
    """Make a copy of `model` for inference: BN folded into the convolutions, biases and activations fused with them.

    The copy is in eval mode, asks for no gradient, and gives the same logits to rounding; `model` is left as it is.
    Its pointwise convolutions run as matrix products in channels_last_3d, its depthwise ones on this package's kernels.
    Under tracing and exporting both are plain convolutions.

    Args:
        model: a network that takes one clip (B, C, T, H, W).
        clip_shape: of a clip that it takes; default what a `ClipNet` says of itself, else 1 x 3 x 16 x 224^2.
    Raises:
        ExportError: it does not take such a clip.
    """
    chains = find_chains(model, clip_shape or _own_clip(model), norms=(_BatchNorm,), activations=tuple(ACTIVATIONS))
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    modules = dict(fused.named_modules())
    for chain in chains:
        _fuse(fused, modules, chain)
    for name, module in list(fused.named_modules()):
        if isinstance(module, Swish):  # an autograd function of its own, which no exporter knows
            fused.set_submodule(name, nn.SiLU())
    return fused.to(memory_format=torch.channels_last_3d)


def _own_clip(model: nn.Module) -> tuple[int, ...]:
    if not hasattr(model, "input_clip_length"):
        return _CLIP
    size = int(model.input_crop_size)  # type: ignore[arg-type]
    return 1, int(model.in_channels), int(model.input_clip_length), size, size  # type: ignore[arg-type]


def _fuse(fused: nn.Module, modules: dict[str, nn.Module], chain: Chain) -> None:
    conv, norm = modules[chain.conv], modules[chain.norm] if chain.norm else None
    assert isinstance(conv, nn.Conv3d)
    weight, bias = conv.weight, conv.bias
    if isinstance(norm, _BatchNorm):
        if norm.running_mean is None:  # it normalises by the batch, in eval too
            return
        weight, bias = fold(weight, bias, norm)
    if type(conv) not in _PLAIN or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        if norm is not None and (folded := _folded_copy(conv, weight, bias, norm)) is not None:
            fused.set_submodule(chain.conv, folded)
            fused.set_submodule(str(chain.norm), nn.Identity())
        return
    activation = ACTIVATIONS[type(modules[chain.activation])] if chain.activation else "none"
    fused.set_submodule(chain.conv, FusedConv3d(conv, weight, bias, activation))
    for name in (chain.norm, chain.activation):
        if name:
            fused.set_submodule(name, nn.Identity())


def _folded_copy(conv: nn.Conv3d, weight: Tensor, bias: Tensor | None, norm: nn.Module) -> nn.Conv3d | None:
    """Fold a convolution whose forward does more (TSM shifts first); None where that changes what it gives."""
    folded = copy.deepcopy(conv)
    folded.weight = nn.Parameter(weight, requires_grad=False)
    folded.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    size = [2 * span + 8 for span in conv.kernel_size]
    probe = torch.randn(1, conv.in_channels, *size, generator=torch.Generator().manual_seed(0)).to(weight)
    with torch.no_grad():
        expected = norm(conv(probe))
        same = torch.allclose(folded(probe), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    return folded if same else None


def fold(weight: Tensor, bias: Tensor | None, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Fold a BN in eval into the convolution before it; computed in float64.

    Args:
        weight: of the convolution, (out, in, t, h, w).
        bias: of the convolution, (out,) or None.
        norm: the BN behind it, with running statistics.
    Returns:
        Weight and bias of the convolution that does what both did.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    gain = torch.ones_like(mean) if norm.weight is None else norm.weight.double()
    scale = gain / torch.sqrt(variance + norm.eps)
    shift = -mean * scale if norm.bias is None else norm.bias.double() - mean * scale
    if bias is not None:
        shift = shift + bias.double() * scale
    folded = weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))
    return folded.to(weight.dtype), shift.to(weight.dtype)


class FusedConv3d(nn.Conv3d):
    """A convolution with its bias and its activation, for inference.

    Args:
        conv: whose geometry it takes.
        weight: of the same shape as conv's; copied.
        bias: (out_channels,) or None; copied.
        activation: none, relu, silu or relu6.
    """

    def __init__(self, conv: nn.Conv3d, weight: Tensor, bias: Tensor | None, activation: str) -> None:
        geometry: dict[str, Any] = {name: getattr(conv, name) for name in _GEOMETRY}
        super().__init__(**geometry, bias=bias is not None, device="meta")
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False)
        self.activation = activation
        ones = (1, 1, 1)
        self.is_pointwise = self.kernel_size == self.stride == ones and not any(self.padding) and self.groups == 1
        self._packed: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(B, in, T, H, W) -> (B, out, T', H', W')."""
        if torch.compiler.is_compiling() or torch.compiler.is_exporting() or torch.jit.is_tracing():
            return _FUNCTIONS[self.activation](self._conv_forward(input, self.weight, self.bias))
        if self.is_pointwise and input.dim() == 5:
            return self._as_product(input)
        if self.groups == 1 and input.dim() == 5 and self._is_packable(input):
            # Called by itself, since torch takes a slow convolution of its own where there is one thread.
            layout = torch.channels_last_3d
            attribute, scalars = _ONEDNN[self.activation]
            return torch.ops.mkldnn._convolution_pointwise(
                input.contiguous(memory_format=layout), self.weight, self.bias, self.padding, self.stride,
                self.dilation, self.groups, attribute, scalars, "",
            )  # fmt: skip
        within = self.activation if self.activation in ACTIVATION_FUNCTIONS else "none"
        padding: Any = self.padding
        out = depthwise_conv3d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, within)
        return out if within == self.activation else _IN_PLACE[self.activation](out)

    def extra_repr(self) -> str:
        """The settings of the convolution, and the activation."""
        return f"{super().extra_repr()}, activation={self.activation}"

    def _as_product(self, input: Tensor) -> Tensor:
        """The 1x1x1 convolution as one matrix product over all positions, its output in channels_last_3d."""
        x_BTHWC = input.permute(0, 2, 3, 4, 1)
        weight = self.weight.flatten(1)
        if not self._is_packable(x_BTHWC):
            return _IN_PLACE[self.activation](F.linear(x_BTHWC, weight, self.bias)).permute(0, 4, 1, 2, 3)
        rows = x_BTHWC.reshape(-1, self.in_channels)
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows.shape[0])
        attribute, scalars = _ONEDNN[self.activation]
        out = torch.ops.mkldnn._linear_pointwise(rows, self._packed, self.bias, attribute, scalars, "")
        return out.view(*x_BTHWC.shape[:-1], self.out_channels).permute(0, 4, 1, 2, 3)

    def _is_packable(self, x: Tensor) -> bool:
        """Whether oneDNN's linear layer with a fused activation, which torch.compile uses, can take it."""
        return (
            x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not torch.is_grad_enabled()
            and torch.backends.mkldnn.is_available()
        )

    def __deepcopy__(self, memo: dict) -> FusedConv3d:
        """A copy packs its weight anew: torch can't copy the packed one."""
        return FusedConv3d(self, self.weight, self.bias, self.activation)
