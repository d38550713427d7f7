"""The depthwise convolution against torch's, in float64, and everything a drop-in must not change."""

import copy
import os
import subprocess
import sys
import threading

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from pytorchvideo_autox3d.kernels import depthwise_cpu
from pytorchvideo_autox3d.kernels.depthwise import (
    DepthwiseConv3d,
    depthwise_conv3d,
    depthwise_kernels,
)
from tests.kernels.operators import runs

KERNEL = torch.ops.autox3d.depthwise_conv3d.default


def uses_kernel(call):
    return runs(KERNEL, call)


def error(actual, expected):
    """Relative error in the Euclidean norm; both of shape alike."""
    assert actual.shape == expected.shape
    actual, expected = actual.detach().double(), expected.detach().double()
    return float((actual - expected).norm() / expected.norm().clamp(min=1e-30))


def three_results(x, weight, grad, stride, padding, function):
    """Output and both gradients of `function`, for leaves that are copies of x and weight with their strides."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    out = function(x, weight, None, stride, padding, (1, 1, 1), weight.shape[0])
    return (out.detach(), *torch.autograd.grad(out, (x, weight), grad.to(out.dtype)))


def check(x, weight, stride, tolerance):
    padding = tuple(size // 2 for size in weight.shape[2:])
    plain = F.conv3d(x.double(), weight.double(), None, stride, padding, 1, weight.shape[0])
    grad = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1)).to(x.dtype)
    assert uses_kernel(lambda: depthwise_conv3d(x, weight, None, stride, padding))
    actual = three_results(x, weight, grad, stride, padding, depthwise_conv3d)
    expected = three_results(x.double(), weight.double(), grad, stride, padding, F.conv3d)
    for name, ours, theirs in zip(("output", "input gradient", "weight gradient"), actual, expected, strict=True):
        assert ours.dtype == x.dtype
        assert error(ours, theirs) <= tolerance, (name, x.shape, weight.shape, stride)


def make_clip(shape, layout, generator):
    """A clip of `shape` whose memory is laid out as `layout` says."""
    batch, channels, *rest = shape
    if layout == "sliced":  # some channels and rows of a larger one, as a supernet takes them
        wide = torch.randn((batch, channels + 5, *rest[:2], rest[2] + 2), generator=generator)
        return wide[:, 3 : 3 + channels, :, :, 1:-1]
    clip = torch.randn(shape, generator=generator)
    if layout == "channels_last":
        return clip.contiguous(memory_format=torch.channels_last_3d)
    return clip.transpose(3, 4).contiguous().transpose(3, 4) if layout == "transposed" else clip


@settings(deadline=None, max_examples=60)
@given(
    batch=st.integers(0, 2),
    channels=st.integers(16, 40),
    frames=st.integers(1, 5),
    rows=st.integers(1, 9),
    columns=st.integers(1, 26),
    size=st.tuples(st.sampled_from((1, 3, 5, 7)), st.sampled_from((1, 3, 5, 7))),
    stride=st.tuples(st.sampled_from((1, 2)), st.sampled_from((1, 2))),
    layout=st.sampled_from(("contiguous", "channels_last", "sliced", "transposed")),
    threads=st.sampled_from((1, 2)),
)
def test_float32_agrees_with_torch(batch, channels, frames, rows, columns, size, stride, layout, threads):
    generator = torch.Generator().manual_seed(frames * 100 + columns)
    clip = make_clip((batch, channels, frames, rows, columns), layout, generator)
    weight = torch.randn((channels + 7, 1, size[0], size[1], size[1]), generator=generator)[4 : 4 + channels]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        check(clip, weight, (stride[0], stride[1], stride[1]), 1e-5)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("columns", range(1, 32))
def test_every_row_length_meets_its_edges(columns):
    generator = torch.Generator().manual_seed(columns)
    clip = torch.randn((1, 16, 2, 3, columns), generator=generator)
    for stride in (1, 2):
        check(clip, torch.randn((16, 1, 3, 3, 3), generator=generator), (1, stride, stride), 1e-5)


@pytest.mark.parametrize("channels", [4, 7, 15, 16, 17, 54, 64])
def test_every_channel_count_meets_its_last_vector(channels):
    generator = torch.Generator().manual_seed(channels)
    check(torch.randn((2, channels, 2, 3, 4), generator=generator),
          torch.randn((channels, 1, 3, 3, 3), generator=generator), (1, 1, 1), 1e-5)  # fmt: skip


def test_bfloat16_accumulates_in_float32():
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn((2, 24, 4, 9, 13), generator=generator).bfloat16()
    check(clip, torch.randn((24, 1, 5, 3, 3), generator=generator).bfloat16(), (1, 1, 1), 1e-2)


def test_bfloat16_keeps_what_is_not_finite():
    clip = torch.full((1, 16, 1, 1, 3), 1.0, dtype=torch.bfloat16)
    clip[..., 0], clip[..., 2] = float("nan"), float("inf")
    out = depthwise_conv3d(clip, torch.ones((16, 1, 1, 3, 3), dtype=torch.bfloat16), None, (1, 1, 1), (0, 1, 1))
    assert out[0, :, 0, 0, 0].isnan().all()
    assert (out[0, :, 0, 0, 2] == float("inf")).all()


@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2)])
def test_gradients_of_first_and_second_order(stride):
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn((2, 8, 3, 4, 3), generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn((8, 1, 3, 3, 3), generator=generator, dtype=torch.float64, requires_grad=True)

    def function(x, w):
        return depthwise_conv3d(x, w, None, stride, (1, 1, 1))

    assert uses_kernel(lambda: function(clip, weight))
    assert torch.autograd.gradcheck(function, (clip, weight), fast_mode=True)
    assert torch.autograd.gradgradcheck(function, (clip, weight), fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: function(x, weight.detach()), (clip,), fast_mode=True)
    assert torch.autograd.gradcheck(lambda w: function(clip.detach(), w), (weight,), fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: function(x, weight) + function(x * x, weight), (clip,), fast_mode=True)


def test_bias_is_added():
    conv = DepthwiseConv3d(16, 16, 3, padding=1, groups=16)
    clip = torch.randn((1, 16, 2, 3, 4))
    assert uses_kernel(lambda: conv(clip))
    assert error(conv(clip), F.conv3d(clip, conv.weight, conv.bias, 1, 1, 1, 16)) <= 1e-6


# ------------------------------------------------------------------------------------------ threads and processes


def large_case():
    """A case of so much work that several threads share it; odd sizes, so that the shares differ."""
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn((3, 40, 5, 17, 23), generator=generator)
    weight = torch.randn((40, 1, 3, 3, 3), generator=generator)
    return clip, weight, torch.randn(clip.shape, generator=generator)


def run_large_case():
    return three_results(*large_case(), (1, 1, 1), (1, 1, 1), depthwise_conv3d)


@pytest.fixture
def _restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize("openmp", [True, False])
def test_same_result_for_any_number_of_threads(openmp, monkeypatch):
    if not openmp:
        monkeypatch.setattr(depthwise_cpu.threads(), "_openmp", None)
    torch.set_num_threads(1)
    alone = run_large_case()
    for threads in (2, 3, 5):
        torch.set_num_threads(threads)
        assert all(torch.equal(a, b) for a, b in zip(alone, run_large_case(), strict=True))


@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize(("channels", "columns"), [(16, 7), (24, 8), (40, 14), (20, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_writing_past_the_caches_changes_nothing(channels, columns, stride, monkeypatch):
    """Rows of whole lines forward, backward or both, and rows that are not and so are written as ever."""
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn((2, channels, 3, 5, columns), generator=generator)
    weight = torch.randn((channels, 1, 3, 3, 3), generator=generator)
    grad = torch.randn((2, channels, 3, -(-5 // stride), -(-columns // stride)), generator=generator)
    expected = three_results(clip, weight, grad, (1, stride, stride), (1, 1, 1), depthwise_conv3d)
    monkeypatch.setattr(depthwise_cpu, "PAST_CACHES_BYTES", 0)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found = three_results(clip, weight, grad, (1, stride, stride), (1, 1, 1), depthwise_conv3d)
        assert all(map(torch.equal, expected, found))


@pytest.mark.usefixtures("_restore_threads")
def test_several_python_threads_at_once():
    torch.set_num_threads(2)
    expected = run_large_case()
    results = []
    workers = [threading.Thread(target=lambda: results.append(run_large_case())) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4
    assert all(torch.equal(a, b) for result in results for a, b in zip(expected, result, strict=True))


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


FORK = """
import os, torch
from torch.utils.data import DataLoader
from pytorchvideo_autox3d.kernels.depthwise import depthwise_conv3d
# Only the kernel may run in the forked child: torch's own parallel loops hang there.
clip = torch.ones(3, 40, 5, 17, 23).contiguous(memory_format=torch.channels_last_3d)
weight = torch.ones(40, 1, 3, 3, 3)
def run():
    return depthwise_conv3d(clip, weight, None, (1, 1, 1), (1, 1, 1))[:, 0, 0, 5, 5].tolist()
torch.set_num_threads(2)
expected = run()
child = os.fork()
if child == 0:
    os._exit(0 if run() == expected else 1)
assert os.waitpid(child, 0)[1] == 0, "forked child"
class Clips(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return run()
assert DataLoader(Clips(), num_workers=2, batch_size=None).__iter__().__next__() == expected
assert run() == expected
"""


def test_survives_a_fork_and_data_workers():
    result = run_python(FORK)
    assert result.returncode == 0, result.stderr


def test_costs_nothing_until_used():
    result = run_python(
        "import sys, pytorchvideo_autox3d.kernels.depthwise\n"
        "assert 'numba' not in sys.modules and 'llvmlite' not in sys.modules"
    )
    assert result.returncode == 0, result.stderr


# ------------------------------------------------------------------------------------------------------- drop-in


@pytest.mark.parametrize(
    "settings_",
    [
        {"dilation": (1, 2, 2), "padding": (1, 2, 2)},
        {"groups": 8},
        {"groups": 1},
        {"kernel_size": (2, 4, 4)},
        {"kernel_size": (3, 3, 5), "padding": (1, 1, 2)},
        {"padding": 0},
        {"padding": "same"},
        {"padding_mode": "circular"},
        {"stride": 3},
        {"stride": (1, 1, 2)},
        {"kernel_size": 9, "padding": 4},
        {"out_channels": 32},
    ],
)
def test_other_convolutions_are_left_to_torch(settings_):
    arguments = {"in_channels": 16, "out_channels": 16, "kernel_size": 3, "padding": 1, "groups": 16, **settings_}
    torch.manual_seed(0)
    plain = nn.Conv3d(**arguments)
    ours = DepthwiseConv3d(**arguments)
    ours.load_state_dict(plain.state_dict())
    clip = torch.randn(2, 16, 5, 9, 10)
    assert not uses_kernel(lambda: ours(clip))
    torch.testing.assert_close(ours(clip), plain(clip), rtol=0, atol=0)


def test_other_inputs_are_left_to_torch():
    conv = DepthwiseConv3d(16, 16, 3, padding=1, groups=16)
    unbatched = torch.randn(16, 2, 3, 4)
    assert torch.equal(conv(unbatched), conv._conv_forward(unbatched, conv.weight, conv.bias))
    half = copy.deepcopy(conv).half()
    assert not uses_kernel(lambda: half(unbatched[None].half()))
    assert conv.to("meta")(unbatched[None].to("meta")).shape == (1, 16, 2, 3, 4)
    with pytest.raises(RuntimeError):
        DepthwiseConv3d(16, 16, 3, padding=1, groups=16)(torch.randn(1, 8, 2, 3, 4))


SWITCHED_OFF = """
import torch
from torch.profiler import profile
from pytorchvideo_autox3d.kernels.depthwise import depthwise_conv3d, depthwise_kernels
def uses_kernel():
    with profile() as record:
        depthwise_conv3d(torch.randn(1, 16, 2, 3, 4), torch.randn(16, 1, 3, 3, 3), padding=(1, 1, 1))
    return any(event.key.startswith("autox3d::") for event in record.key_averages())
print(uses_kernel())
with depthwise_kernels(True):
    print(uses_kernel())
"""


def test_switch():
    conv, clip = DepthwiseConv3d(16, 16, 3, padding=1, groups=16), torch.randn(1, 16, 2, 3, 4)
    with depthwise_kernels(False):
        assert not uses_kernel(lambda: conv(clip))
        with depthwise_kernels(True):
            assert uses_kernel(lambda: conv(clip))
    assert run_python(SWITCHED_OFF, AUTOX3D_DEPTHWISE="0").stdout.split() == ["False", "False"]
    wrong = run_python(SWITCHED_OFF, AUTOX3D_DEPTHWISE="off")
    assert "AUTOX3D_DEPTHWISE='off': must be 0 or 1" in wrong.stderr


def test_same_parameters_and_initialisation():
    torch.manual_seed(3)
    plain = nn.Conv3d(16, 16, (3, 5, 5), padding=(1, 2, 2), groups=16)
    torch.manual_seed(3)
    ours = DepthwiseConv3d(16, 16, (3, 5, 5), padding=(1, 2, 2), groups=16)
    assert isinstance(ours, nn.Conv3d)
    assert list(plain.state_dict()) == list(ours.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), ours.parameters(), strict=True))


def test_accelerated_model_learns_the_same():
    """200 steps of training give the same loss with and without the kernels."""

    def losses():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv3d(3, 16, 1), DepthwiseConv3d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm3d(16),
            nn.ReLU(), DepthwiseConv3d(16, 16, 3, padding=1, stride=(1, 2, 2), groups=16), nn.SiLU(),
            nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 4),
        )  # fmt: skip
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        generator = torch.Generator().manual_seed(0)
        clips, labels = torch.randn((16, 3, 3, 8, 8), generator=generator), torch.arange(16) % 4
        history = []
        for _ in range(200):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(clips), labels)
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        return torch.tensor(history)

    with_kernels = losses()
    with depthwise_kernels(False):
        without = losses()
    assert without[-1] < 0.7 * without[0]
    torch.testing.assert_close(with_kernels, without, rtol=1e-3, atol=1e-4)


# ----------------------------------------------------------------------------------------- torch's own machinery


@pytest.fixture
def conv():
    torch.manual_seed(0)
    return DepthwiseConv3d(16, 16, 3, stride=(1, 2, 2), padding=1, groups=16, bias=False)


@pytest.fixture
def clip():
    return torch.randn((2, 16, 3, 6, 7), generator=torch.Generator().manual_seed(0))


def test_operators_are_registered_soundly(conv, clip):
    arguments = (clip.requires_grad_(), conv.weight, 1, 2)
    torch.library.opcheck(KERNEL, arguments)
    grad = torch.randn(conv(clip).shape)
    ops = torch.ops.autox3d
    torch.library.opcheck(ops.depthwise_conv3d_input_gradient.default, (grad, conv.weight, list(clip.shape), 1, 2))
    torch.library.opcheck(ops.depthwise_conv3d_weight_gradient.default, (grad, clip, list(conv.weight.shape), 1, 2))


def test_autocast_runs_in_bfloat16(conv, clip):
    with torch.autocast("cpu", torch.bfloat16):
        assert uses_kernel(lambda: conv(clip))
        out = conv(clip)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
    assert error(out, conv(clip).detach()) <= 1e-2


def test_compile_keeps_the_kernel(conv, clip):
    compiled = torch.compile(conv, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(clip), conv(clip))
    compiled(clip).sum().backward()
    compiled_grad, conv.weight.grad = conv.weight.grad, None
    conv(clip).sum().backward()
    torch.testing.assert_close(compiled_grad, conv.weight.grad)


def test_export_and_tracing_see_a_plain_convolution(conv, clip):
    targets = {str(node.target) for node in torch.export.export(conv, (clip,)).graph.nodes}
    assert "aten.conv3d.default" in targets
    assert not any("autox3d." in target for target in targets)
    traced = torch.jit.trace(conv, clip)
    assert "autox3d::" not in str(traced.inlined_graph)
    torch.testing.assert_close(traced(clip), conv(clip))
    scripted = torch.jit.script(conv)
    torch.testing.assert_close(scripted(clip), conv(clip))
    batched = torch.func.vmap(conv)(clip[None])
    torch.testing.assert_close(batched[0], conv(clip))


def test_counted_like_the_convolution_it_replaces(conv, clip):
    from fvcore.nn import FlopCountAnalysis

    multiply_adds = conv(clip).numel() * 27
    assert FlopCountAnalysis(conv, clip).total() == multiply_adds
    with FlopCounterMode(display=False) as counter:
        conv(clip)
    assert counter.get_total_flops() == 2 * multiply_adds
    with FlopCounterMode(display=False) as counter:
        conv(clip.requires_grad_()).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * multiply_adds


def test_activation_checkpointing(conv, clip):
    clip.requires_grad_()
    expected = torch.autograd.grad(conv(clip).square().sum(), (clip, conv.weight))
    again = torch.autograd.grad(checkpoint(conv, clip, use_reentrant=False).square().sum(), (clip, conv.weight))
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


def test_distributed_data_parallel(conv, clip, tmp_path):
    conv(clip).square().sum().backward()
    expected, conv.weight.grad = conv.weight.grad, None
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        nn.parallel.DistributedDataParallel(conv)(clip).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close(conv.weight.grad, expected)
