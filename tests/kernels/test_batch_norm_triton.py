"""The fused batch norm's GPU kernels: on the CPU under Triton's interpreter, and on a GPU where there is one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pytorchvideo_autox3d.kernels import batch_norm
from tests.kernels.test_batch_norm import Chain, check, results

# shape, activation, residual, excite, training
CASES = [
    ((2, 35, 3, 4, 5), "silu", True, True, True),
    ((2, 70, 2, 3, 5), "relu", True, False, True),
    ((1, 16, 3, 5, 7), "none", True, True, True),
    ((1, 33, 2, 5, 3), "silu", False, False, True),
    ((3, 20, 1, 1, 1), "relu", False, False, False),
    ((1, 9, 5, 17, 29), "relu", False, True, True),  # more positions than one partial sum takes
    ((2, 24, 1, 3, 2), "relu", True, True, False),
    ((2, 17, 2, 2, 2), "none", False, False, False),
]
TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 3e-3}


def maps(shape, residual, device="cpu"):
    generator = torch.Generator().manual_seed(shape[1])
    x, added = ((2 * torch.randn(shape, generator=generator) + 1).to(device) for _ in range(2))
    return x, added if residual else None


def check_half(dtype, device="cpu"):
    """Compare maps in half precision with float64: outputs, gradients, and statistics that stay float32."""
    x, residual = maps((2, 24, 3, 5, 7), True, device)
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(device)
    chain, exact = (Chain(24, "silu", excite=True).to(device) for _ in range(2))
    x, residual, grad = x.to(dtype), residual.to(dtype), grad.to(dtype)
    actual = results(chain, chain, x, residual, grad)
    expected = results(exact.double(), exact.separate, x.double(), residual.double(), grad.double())
    assert actual[0].dtype == actual[1].dtype == actual[2].dtype == dtype
    assert chain.norm.running_var.dtype == torch.float32
    for ours, theirs in zip(actual, expected, strict=True):
        assert (ours.double() - theirs).norm() <= TOLERANCE[dtype] * theirs.double().norm()


def check_large_means(statistics):
    """A mean of thousands of deviations costs the variance none of its digits."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, 16, 5, 21, 23), generator=generator) + 1000 * torch.arange(16.0).view(16, 1, 1, 1)
    mean, var, *clip_means = statistics(x)
    exact = x.double()
    torch.testing.assert_close(mean, exact.mean((0, 2, 3, 4)), rtol=1e-7, atol=1e-6)
    torch.testing.assert_close(var, exact.var((0, 2, 3, 4), unbiased=False), rtol=1e-5, atol=0)
    torch.testing.assert_close(torch.stack(clip_means), exact.mean((2, 3, 4)), rtol=1e-7, atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton comes with torch on Linux only")
def test_agrees_with_torch_under_the_interpreter():
    # Triton reads the variable when a kernel is defined, so the interpreter needs a process of its own.
    result = subprocess.run(
        [sys.executable, "-m", "tests.kernels.test_batch_norm_triton"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton comes with torch on Linux only")
@pytest.mark.parametrize("name", ["statistics", "apply", "reduce", "gradient"])
def test_compiles_for_a_gpu(name):
    """The interpreter accepts what the compiler refuses; compiling needs no GPU."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from pytorchvideo_autox3d.kernels import batch_norm_triton_passes

    kernel = getattr(batch_norm_triton_passes, f"{name}_kernel")
    constants = {"HAS_RESIDUAL": True, "ACTIVATION": "silu", "BLOCK_P": 32, "BLOCK_C": 64}
    pointers = dict.fromkeys(("x", "grad", "residual", "out", "out2"), "*bf16") | {"rows": "*fp32", "sums": "*fp32"}
    types = {name: pointers.get(name, "constexpr" if name in constants else "i32") for name in kernel.arg_names}
    places = {(kernel.arg_names.index(name),): constants[name] for name in types if name in constants}
    compiled = triton.compile(ASTSource(kernel, types, places), target=GPUTarget("cuda", 80, 32))
    assert compiled.asm["cubin"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("case", [*CASES, ((4, 54, 13, 40, 40), "silu", True, True, True)])
def test_agrees_with_torch_on_a_gpu(case, monkeypatch):
    monkeypatch.setitem(batch_norm._LEAST_NUMBERS, "cuda", 1)
    shape, activation, residual, excite, training = case
    check(Chain(shape[1], activation, excite=excite).cuda().train(training), *maps(shape, residual, "cuda"), 3e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_half_precision_on_a_gpu(dtype, monkeypatch):
    monkeypatch.setitem(batch_norm._LEAST_NUMBERS, "cuda", 1)
    check_half(dtype, "cuda")


if __name__ == "__main__":
    from pytorchvideo_autox3d import kernels
    from pytorchvideo_autox3d.kernels import batch_norm_triton

    torch.set_num_threads(1)
    # The CPU's operators find the GPU's passes in place of their own, so all that is around the passes runs, too.
    kernels.batch_norm_cpu = batch_norm_triton
    batch_norm._LEAST_NUMBERS["cpu"] = 1
    batch_norm._DTYPES["cpu"] = batch_norm._DTYPES["cuda"]
    for shape, activation, residual, excite, training in CASES:
        check(Chain(shape[1], activation, excite=excite).train(training), *maps(shape, residual), 3e-4)
    check(Chain(12, affine=False), *maps((2, 12, 2, 3, 3), False), 3e-4)
    for half in TOLERANCE:
        check_half(half)
    check_large_means(batch_norm_triton.statistics)
