"""Which numbers the CPU kernels work on, and how many channels they take at once."""

from __future__ import annotations

import torch

from pytorchvideo_autox3d.kernels.vector_ir import vector_bytes

ELEMENTS = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16"}


def vector_width(dtype: torch.dtype, channels: int) -> int:
    """How many channels make a vector in a tensor of `channels` channels; 0 where the kernels don't pay."""
    width = vector_bytes() // (8 if dtype == torch.float64 else 4)
    while width > channels:
        width //= 2
    return width if width >= 4 else 0
