"""The fused batch norm against torch's separate layers in float64, and everything a drop-in must not change."""

import copy

import pytest
import torch
import torch.nn.functional as F
from fvcore.nn.squeeze_excitation import SqueezeExcitation
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels import batch_norm, batch_norm_cpu
from pytorchvideo_autox3d.kernels.batch_norm import FusedBatchNormAct3d, batch_norm_kernels, norm_act
from tests.kernels.operators import runs

KERNEL = torch.ops.autox3d.batch_norm_act.default
ACTIVATIONS = {"none": nn.Identity, "relu": nn.ReLU, "silu": nn.SiLU}


def uses_kernel(call):
    return runs(KERNEL, call)


class Chain(nn.Module):
    """A norm with random affine parameters and statistics, and what follows it."""

    def __init__(self, channels, activation="relu", *, excite=False, seed=0, **options):
        super().__init__()
        torch.manual_seed(seed)
        self.norm = nn.BatchNorm3d(channels, **options)
        self.excite = SqueezeExcitation(channels, num_channels_reduced=3, is_3d=True) if excite else None
        self.activation = ACTIVATIONS[activation]()
        for tensor in self.norm.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(channels) + 0.3)

    def forward(self, x, residual=None):
        return norm_act(self.norm, self.activation, x, residual=residual, squeeze_excite=self.excite)

    def separate(self, x, residual=None):
        with batch_norm_kernels(False):
            return self(x, residual)


def make_map(shape, layout, generator):
    """A map of `shape`, not centred, whose memory is laid out as `layout` says."""
    batch, channels, *rest = shape
    if layout == "sliced":
        wide = torch.randn((batch, channels + 5, *rest[:2], rest[2] + 2), generator=generator)
        return 2 * wide[:, 3 : 3 + channels, :, :, 1:-1] + 1
    values = 2 * torch.randn(shape, generator=generator) + 1
    return values.contiguous(memory_format=torch.channels_last_3d) if layout == "channels_last" else values


def results(chain, call, x, residual, grad):
    """Output, gradients of everything, and the running statistics, in that order."""
    leaves = [x.detach().requires_grad_()] + ([] if residual is None else [residual.detach().requires_grad_()])
    out = call(*leaves)
    parameters = [p for p in chain.parameters() if p.requires_grad]
    grads = torch.autograd.grad(out, [*leaves, *parameters], grad.to(out.dtype))
    return [out.detach(), *grads, *(b.clone() for b in chain.buffers())]


def check(chain, x, residual, tolerance):
    """The fused results of `chain` against the separate layers in float64."""
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x)
    exact, chain = copy.deepcopy(chain).double(), copy.deepcopy(chain)
    assert uses_kernel(lambda: copy.deepcopy(chain)(x, residual))
    actual = results(chain, chain, x, residual, grad)
    wide = None if residual is None else residual.double()
    expected = results(exact, exact.separate, x.double(), wide, grad.double())
    assert len(actual) == len(expected)
    for number, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
        assert ours.shape == theirs.shape
        error = (ours.double() - theirs.double()).norm() / theirs.double().norm().clamp(min=1e-2)
        assert error <= tolerance, (number, x.shape, float(error))


@settings(deadline=None, max_examples=80)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(16, 40), st.integers(1, 4), st.integers(1, 7), st.integers(1, 11)),
    layout=st.sampled_from(("contiguous", "channels_last", "sliced")),
    activation=st.sampled_from(tuple(ACTIVATIONS)),
    residual=st.booleans(),
    excite=st.booleans(),
    training=st.booleans(),
    affine=st.sampled_from((True, False, "frozen")),
    threads=st.sampled_from((1, 2)),
)
def test_agrees_with_separate_layers(shape, layout, activation, residual, excite, training, affine, threads):
    generator = torch.Generator().manual_seed(shape[1])
    x = make_map(shape, layout, generator)
    if x.numel() // shape[1] < 4:  # of two or three values the deviation may be next to nothing
        training = False
    chain = Chain(shape[1], activation, excite=excite, affine=bool(affine)).train(training)
    if affine == "frozen":
        chain.norm.requires_grad_(False)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        check(chain, x, make_map(shape, "contiguous", generator) if residual else None, 3e-4)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("channels", [4, 7, 15, 16, 17])
def test_every_channel_count_meets_its_last_vector(channels):
    x = make_map((2, channels, 2, 3, 5), "channels_last", torch.Generator().manual_seed(channels))
    check(Chain(channels), x, None, 1e-4)


def test_long_runs_and_large_means_keep_their_digits():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, 16, 9, 31, 23), generator=generator) + 1000 * torch.arange(16.0).view(16, 1, 1, 1)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    mean, var, *clip_means = torch.from_numpy(batch_norm_cpu.statistics(x))
    exact = x.double()
    torch.testing.assert_close(mean, exact.mean((0, 2, 3, 4)), rtol=1e-7, atol=1e-6)
    torch.testing.assert_close(var, exact.var((0, 2, 3, 4), unbiased=False), rtol=1e-5, atol=0)
    torch.testing.assert_close(torch.stack(clip_means), exact.mean((2, 3, 4)), rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("excite", [False, True])
def test_bfloat16_keeps_float32_statistics(excite):
    generator = torch.Generator().manual_seed(0)
    x, residual = (make_map((2, 24, 3, 5, 7), "channels_last", generator).bfloat16() for _ in range(2))
    chain = Chain(24, "silu", excite=excite)
    out = chain(x, residual)
    assert out.dtype == torch.bfloat16
    assert chain.norm.running_mean.dtype == torch.float32
    expected = Chain(24, "silu", excite=excite).double()(x.double(), residual.double())
    assert (out.double() - expected).norm() <= 1e-2 * expected.norm()
    out.float().sum().backward()
    assert chain.norm.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", ["none", "silu"])
@pytest.mark.parametrize("excite", [True, False])
def test_gradients(training, activation, excite):
    chain = Chain(6, activation, excite=excite).double().train(training)
    generator = torch.Generator().manual_seed(0)
    x, residual = (torch.randn((2, 6, 2, 3, 3), generator=generator, dtype=torch.float64) for _ in range(2))
    parameters = dict(chain.named_parameters())

    def function(x, residual, *values):
        chain.norm.running_mean.zero_()
        return torch.func.functional_call(chain, dict(zip(parameters, values, strict=True)), (x, residual))

    inputs = [tensor.detach().requires_grad_() for tensor in (x, residual, *parameters.values())]
    assert uses_kernel(lambda: function(*inputs))
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


def test_used_twice_in_one_graph():
    chain = Chain(16, "silu")
    x = make_map((2, 16, 2, 3, 4), "channels_last", torch.Generator().manual_seed(0)).requires_grad_()

    def twice(forward):
        return torch.autograd.grad(forward(forward(x), x).square().sum(), (x, *chain.parameters()))

    torch.testing.assert_close(twice(chain), twice(chain.separate), rtol=1e-3, atol=1e-4)


def test_a_second_derivative_is_refused():
    x = torch.randn(2, 16, 2, 3, 4, requires_grad=True)
    (grad,) = torch.autograd.grad(Chain(16)(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


# ------------------------------------------------------------------------------------------------ threads, torch


@pytest.fixture
def _restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_restore_threads")
def test_same_result_for_any_number_of_threads():
    generator = torch.Generator().manual_seed(0)
    x, residual, grad = (torch.randn((3, 40, 5, 17, 23), generator=generator) for _ in range(3))
    reference = None
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        chain = Chain(40, "silu", excite=True)
        found = results(chain, chain, x, residual, grad)
        reference = reference or found
        assert all(torch.equal(a, b) for a, b in zip(reference, found, strict=True))


@pytest.mark.parametrize("channels", [16, 24, 20])
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_writing_past_the_caches_changes_nothing(channels, activation, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x, residual, grad = (torch.randn((2, channels, 2, 6, 7), generator=generator) for _ in range(3))
    found = []
    for limit in (0, 1 << 40):
        monkeypatch.setattr(batch_norm_cpu, "_PAST_CACHES_BYTES", limit)
        chain = Chain(channels, activation)
        found.append(results(chain, chain, x, residual, grad))
    assert all(map(torch.equal, *found))


@pytest.fixture
def x():
    return torch.randn((2, 16, 3, 4, 5), generator=torch.Generator().manual_seed(0)) + 0.5


def test_operators_are_registered_soundly(x):
    chain, batch = Chain(16, "silu", excite=True), x.detach().requires_grad_()
    excite = [chain.excite.block[0].weight, chain.excite.block[0].bias, chain.excite.block[2].weight,
              chain.excite.block[2].bias]  # fmt: skip
    affine = (chain.norm.weight, chain.norm.bias)
    torch.library.opcheck(KERNEL, (batch, x, *affine, *excite, None, 1e-5, "silu"))
    torch.library.opcheck(
        KERNEL,
        (batch, None, *affine, *[None] * 4, torch.stack((torch.zeros(16), torch.ones(16))).double(), 1e-5, "relu"),
    )


@pytest.mark.parametrize("momentum", [0.3, None, 0.0])
def test_running_statistics_move_as_torch_moves_them(x, momentum):
    ours, theirs = Chain(16, momentum=momentum), Chain(16, momentum=momentum)
    for scale in (1.0, 2.0, 3.0):
        ours(scale * x)
        theirs.separate(scale * x)
    for name, buffer in theirs.norm.named_buffers():
        torch.testing.assert_close(ours.norm.get_buffer(name), buffer)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs.separate(x))


def test_without_running_statistics_the_batch_is_used_in_evaluation_too(x):
    chain = Chain(16, track_running_stats=False).eval()
    assert uses_kernel(lambda: chain(x))
    torch.testing.assert_close(chain(x), chain.separate(x), rtol=1e-4, atol=1e-5)


def test_autocast_keeps_the_maps_type(x):
    chain = Chain(16)
    with torch.autocast("cpu", torch.bfloat16):
        assert chain(x).dtype == chain.separate(x).dtype == torch.float32
        assert chain(x.bfloat16()).dtype == chain.separate(x.bfloat16()).dtype == torch.bfloat16
        # torch's sum of bfloat16 and float32 is float32: left to it.
        assert not uses_kernel(lambda: chain(x.bfloat16(), x))


def test_activation_checkpointing(x):
    chain, leaf = Chain(16, "silu"), x.requires_grad_()
    expected = torch.autograd.grad(chain(leaf).square().sum(), (leaf, chain.norm.weight))
    again = checkpoint(chain, leaf, use_reentrant=False).square().sum()
    assert all(map(torch.equal, expected, torch.autograd.grad(again, (leaf, chain.norm.weight))))


def test_compile_keeps_the_kernel(x):
    chain = Chain(16, "silu")
    compiled = torch.compile(copy.deepcopy(chain), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), chain(x))


def test_export_and_tracing_see_plain_layers(x):
    chain = Chain(16, "silu", excite=True).eval()
    targets = {str(node.target) for node in torch.export.export(chain, (x,)).graph.nodes}
    assert any("batch_norm" in target for target in targets)
    assert not any("autox3d." in target for target in targets)
    traced = torch.jit.trace(chain, x)
    assert "autox3d::" not in str(traced.inlined_graph)
    torch.testing.assert_close(traced(x), chain(x))


def test_distributed_data_parallel(x, tmp_path):
    chain = Chain(16, "silu", excite=True)
    chain(x).square().sum().backward()
    expected = [p.grad.clone() for p in chain.parameters()]
    chain.zero_grad()
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        nn.parallel.DistributedDataParallel(chain)(x).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close([p.grad for p in chain.parameters()], expected)


# --------------------------------------------------------------------------------------------------- left to torch


def other_chains():
    yield "sync norm", lambda chain: setattr(chain, "norm", nn.SyncBatchNorm(16).eval())
    yield "subclass", lambda chain: setattr(chain.norm, "__class__", type("Mine", (nn.BatchNorm3d,), {}))
    yield "other activation", lambda chain: setattr(chain, "activation", nn.GELU())
    yield "hook on the norm", lambda chain: chain.norm.register_forward_hook(lambda *_: None)
    yield "hook in the excitation", lambda chain: chain.excite.block[1].register_forward_pre_hook(lambda *_: None)
    yield "other excitation", lambda chain: setattr(chain, "excite", nn.Dropout(0.0))
    yield "activation inside", lambda chain: chain.excite.block.__setitem__(1, nn.SiLU())


@pytest.mark.parametrize(("name", "change"), [pytest.param(*case, id=case[0]) for case in other_chains()])
def test_other_layers_are_called(x, name, change):
    chain = Chain(16, "relu", excite=True)
    change(chain)
    chain.eval()
    assert not uses_kernel(lambda: chain(x))
    torch.testing.assert_close(chain(x), chain.separate(x), rtol=0, atol=0)


def test_maps_too_small_to_gain_are_left_to_torch(x, monkeypatch):
    monkeypatch.setitem(batch_norm._LEAST_NUMBERS, "cpu", x.numel() + 1)
    assert not uses_kernel(lambda: Chain(16)(x))
    monkeypatch.setitem(batch_norm._LEAST_NUMBERS, "cpu", x.numel())
    assert uses_kernel(lambda: Chain(16)(x))


def test_other_maps_are_left_to_torch(x):
    chain = Chain(16)
    assert not uses_kernel(lambda: chain.half()(x.half()))
    assert not uses_kernel(lambda: Chain(3)(x[:, :3]))
    with pytest.raises(ValueError, match="more than 1 value"):
        Chain(16)(torch.zeros(1, 16, 1, 1, 1))
    assert Chain(16)(torch.zeros(0, 16, 1, 2, 2)).shape[0] == 0
    assert Chain(16).to("meta")(x.to("meta")).shape == x.shape
    with pytest.raises(RuntimeError):
        Chain(16)(torch.zeros(1, 17, 1, 2, 2))


def test_the_layer_has_the_state_of_a_batch_norm(x):
    plain, layer = nn.BatchNorm3d(16), FusedBatchNormAct3d(16, activation="silu")
    assert list(plain.state_dict()) == list(layer.state_dict())
    assert uses_kernel(lambda: layer(x, x))
    layer.reset_running_stats()
    torch.testing.assert_close(layer(x, x), F.silu(plain(x) + x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.running_var, plain.running_var)
    with batch_norm_kernels(False):
        assert not uses_kernel(lambda: layer(x))
    for features in (1, 8):  # a norm of one channel would broadcast
        with pytest.raises(RuntimeError, match=r"running_mean|elements"):
            FusedBatchNormAct3d(features)(x)
    with pytest.raises(ModelError, match="activation 'tanh' is none of none, relu, silu"):
        FusedBatchNormAct3d(16, activation="tanh")
