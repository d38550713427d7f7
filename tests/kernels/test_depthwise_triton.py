"""The GPU kernels: on the CPU under Triton's interpreter, and on a GPU where there is one."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from pytorchvideo_autox3d.kernels.depthwise import depthwise_conv3d

# batch, channels, frames, rows, columns, t, s, stride_t, stride_s
CASES = [
    (2, 35, 3, 4, 5, 3, 3, 1, 1),
    (1, 33, 2, 5, 6, 3, 3, 2, 2),
    (1, 4, 2, 6, 5, 1, 5, 1, 2),
    (1, 16, 3, 1, 1, 5, 1, 1, 1),
    (0, 16, 2, 3, 3, 3, 3, 1, 1),
]
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}


def check_kernels(kernels, case, dtype):
    """Compare forward and both gradients with torch's in float64; called in the interpreter's process."""
    batch, channels, frames, rows, columns, t, s, stride_t, stride_s = case
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((batch, channels, frames, rows, columns), generator=generator).to(dtype)
    weight = torch.randn((channels, 1, t, s, s), generator=generator).to(dtype)
    x64, weight64 = x.double().requires_grad_(), weight.double().requires_grad_()
    out = F.conv3d(x64, weight64, None, (stride_t, stride_s, stride_s), (t // 2, s // 2, s // 2), groups=channels)
    grad = torch.randn(out.shape, generator=generator).to(dtype)
    expected = (out.detach(), *torch.autograd.grad(out, (x64, weight64), grad.double()))
    strides = (stride_t, stride_s)
    actual = (
        kernels.forward(x, weight, strides),
        kernels.input_gradient(grad, weight, tuple(x.shape), strides),
        kernels.weight_gradient(grad, x, tuple(weight.shape), strides),
    )
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == dtype
        error = (ours.double() - theirs).norm() / theirs.norm().clamp(min=1e-30)
        assert error <= TOLERANCE[dtype], (case, dtype, float(error))


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton comes with torch on Linux only")
def test_agrees_with_torch_under_the_interpreter():
    # Triton reads the variable when a kernel is defined, so the interpreter needs a process of its own.
    result = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", [*CASES, (4, 54, 13, 40, 40, 3, 3, 1, 1), (4, 216, 13, 10, 10, 3, 5, 1, 1)])
def test_agrees_with_torch_on_a_gpu(case, dtype):
    batch, channels, frames, rows, columns, t, s, stride_t, stride_s = case
    torch.manual_seed(0)
    x = torch.randn((batch, channels, frames, rows, columns), device="cuda", dtype=dtype, requires_grad=True)
    weight = torch.randn((channels, 1, t, s, s), device="cuda", dtype=dtype, requires_grad=True)
    geometry = ((stride_t, stride_s, stride_s), (t // 2, s // 2, s // 2))
    ours = depthwise_conv3d(x, weight, None, *geometry)
    theirs = F.conv3d(x.double(), weight.double(), None, *geometry, groups=channels)
    grad = torch.randn_like(ours)
    actual = (ours, *torch.autograd.grad(ours, (x, weight), grad))
    expected = (theirs, *torch.autograd.grad(theirs, (x, weight), grad.double()))
    for a, b in zip(actual, expected, strict=True):
        assert (a.double() - b).norm() <= TOLERANCE[dtype] * b.norm()


if __name__ == "__main__":
    from pytorchvideo_autox3d.kernels import depthwise_triton

    torch.set_num_threads(1)
    for one in CASES:
        check_kernels(depthwise_triton, one, torch.float32)
    for half in (torch.bfloat16, torch.float16):
        check_kernels(depthwise_triton, CASES[1], half)
