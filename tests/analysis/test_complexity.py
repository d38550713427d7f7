"""The cost from the description equals what fvcore and a shape counter find in the built network, exactly."""

import dataclasses
import gc
import math
from collections import Counter
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.overrides import TorchFunctionMode

from pytorchvideo_autox3d.analysis import complexity, count_module, count_parameters
from pytorchvideo_autox3d.errors import ModelError, RegistryError
from pytorchvideo_autox3d.kernels.batch_norm import batch_norm_kernels
from pytorchvideo_autox3d.layers import MBConv3D
from pytorchvideo_autox3d.models import create_autox3d, reference_architecture
from pytorchvideo_autox3d.space import Architecture, load_space

CLIPS = [(13, 160, 160), (16, 224, 224), (4, 45, 61), (1, 32, 32)]
CONVOLUTIONS = (torch.conv1d, torch.conv3d)
# Their outputs have the shape of their input, and those of two operands that of the larger one.
ELEMENTWISE = {F.batch_norm, F.relu, F.silu, F.dropout, torch.relu, torch.sigmoid}
BROADCAST = {torch.mul, torch.Tensor.mul, torch.add, torch.Tensor.add}


class ShapeCounter(TorchFunctionMode):
    """Multiply-adds and the largest output of convolutions, linear layers and matrix products, from shapes alone.

    On the meta device; operators that are not matrix products of any kind are not even run, to save time.
    """

    def __init__(self):
        super().__init__()
        self.macs = self.peak = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in ELEMENTWISE:
            return args[0]
        if func in BROADCAST:
            return max((one for one in args if isinstance(one, torch.Tensor)), key=torch.Tensor.numel)
        if func is torch.Tensor.mean:  # of a squeeze-excitation and a head
            sizes = [1 if axis in kwargs["dim"] else size for axis, size in enumerate(args[0].shape)]
            return torch.empty(sizes, device="meta")
        if func in CONVOLUTIONS:
            out = torch.empty(convolved_shape(*args[:2], *args[3:5]), device="meta")
            # An output element is a sum over the input channels of its group and the taps of the kernel.
            self._add(out, math.prod(args[1].shape[1:]))
            return out
        out = func(*args, **(kwargs or {}))
        if func is F.linear:
            self._add(out, args[1].shape[1])
        elif func in (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__):
            self._add(out, args[0].shape[-1])
        return out

    def _add(self, out, terms):
        self.macs += out.numel() * terms
        self.peak = max(self.peak, out.numel())


def convolved_shape(x, weight, strides, paddings):
    """(B, out, ...) of a convolution without dilation, from the textbook formula."""
    sizes = zip(x.shape[2:], weight.shape[2:], strides, paddings, strict=True)
    return (x.shape[0], weight.shape[0], *((n + 2 * pad - k) // stride + 1 for n, k, stride, pad in sizes))


def random_architectures(count, name="table2", seed=0):
    space = load_space(name)
    rows = space.sample_indices(count, torch.Generator().manual_seed(seed)).tolist()
    return [Architecture.from_indices(space, row) for row in rows]


class BlockStore:
    """Builds the real blocks, and hands out again those of earlier networks, each of them once a network.

    Blocks on the meta device have shapes alone, and networks of one space have most of their blocks' shapes in common.
    So a kind of block is run once for each shape of its input; after that, what `counter` found there is added to it.
    """

    def __init__(self):
        self.blocks, self.used, self.found = {}, Counter(), {}
        self.counter = None

    def __call__(self, *channels, inner_channels, kernel, stride, se_ratio, **layers):
        key = (*channels, inner_channels, kernel, stride, se_ratio)
        same, number = self.blocks.setdefault(key, []), self.used[key]
        if number == len(same):
            sizes = {"inner_channels": inner_channels, "kernel": kernel, "stride": stride, "se_ratio": se_ratio}
            block = MBConv3D(*channels, **sizes, **layers)
            block.forward = partial(self._run, key, block.forward)
            same.append(block)
        self.used[key] += 1
        return same[number]

    def _run(self, key, forward, clip):
        counter, place = self.counter, (key, clip.shape)
        if place not in self.found:
            before, counter.macs, counter.peak = (counter.macs, counter.peak), 0, 0
            out = forward(clip)
            self.found[place] = counter.macs, counter.peak, out.shape
            counter.macs, counter.peak = before
        macs, peak, shape = self.found[place]
        counter.macs, counter.peak = counter.macs + macs, max(counter.peak, peak)
        return torch.empty(shape, device="meta")


@pytest.fixture
def block_store(monkeypatch):
    """Networks of blocks from a store, without initial values, which mean nothing on the meta device.

    Both would take most of the time of building. So would collecting garbage among all that earlier tests left.
    """
    gc.collect()
    gc.freeze()
    monkeypatch.setattr("pytorchvideo.models.net.init_net_weights", lambda model: model)
    monkeypatch.setattr("pytorchvideo_autox3d.layers.glore.c2_msra_fill", lambda module: None)
    for base in (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.Linear):
        monkeypatch.setattr(base, "reset_parameters", lambda module: None)
    store = BlockStore()
    monkeypatch.setattr("pytorchvideo_autox3d.models.autox3d.MBConv3D", store)
    with batch_norm_kernels(False):
        yield store
    gc.unfreeze()


def test_1000_random_architectures_over_four_clip_sizes(block_store):
    for index, architecture in enumerate(random_architectures(1000)):
        clip = CLIPS[index % len(CLIPS)]
        block_store.used.clear()
        with torch.device("meta"):
            model = create_autox3d(architecture).eval()
        with torch.no_grad(), ShapeCounter() as counter:
            block_store.counter = counter
            model(torch.empty(1, 3, *clip, device="meta"))
        cost = complexity(architecture, clip=clip)
        assert (cost.macs, cost.peak_activation) == (counter.macs, counter.peak), (clip, architecture)
        assert cost.params == count_parameters(model)


@pytest.mark.parametrize("index", range(24))
def test_fvcore_counts_the_same(index):
    name = ("table2", "table2-nonlocal")[index % 2]
    architecture = random_architectures(1, name, seed=100 + index)[0]
    clip = [(2, 32, 32), (3, 40, 33), (1, 48, 64)][index % 3]
    depth_factor, stem, classes = (1.0, 1.5)[index % 2], (None, "x3d", "table2")[index % 3], 7 + index
    options = {"glore": {"node_ratio": (1.25, 0.5)[index % 2]}}
    se_ratio = (0.0625, 0.0)[index // 12]
    arguments = {"depth_factor": depth_factor, "stem": stem, "attention_options": options, "se_ratio": se_ratio}
    model = create_autox3d(architecture, model_num_class=classes, **arguments)
    cost = complexity(architecture, clip=clip, num_classes=classes, **arguments)
    count = count_module(model, clip)
    assert (cost.macs, cost.params) == (count.macs, count.params)


def test_only_conv_linear_and_matmul_are_counted():
    # By hand from fvcore's own report, which also counts BN and pooling.
    architecture = random_architectures(1, seed=7)[0]
    model = create_autox3d(architecture, model_num_class=9).eval()
    with torch.no_grad():
        report = FlopCountAnalysis(model, torch.zeros(1, 3, 2, 32, 32))
        report.unsupported_ops_warnings(False).tracer_warnings("none")
        by_operator = report.by_operator()
    expected = sum(by_operator[name] for name in ("conv", "linear", "matmul"))
    assert complexity(architecture, clip=(2, 32, 32), num_classes=9).macs == expected
    assert by_operator["batch_norm"] > 0


def test_integers_come_out():
    cost = complexity(reference_architecture("S"))
    assert all(type(value) is int for value in (cost.macs, cost.params, cost.peak_activation))
    assert cost.gflops == cost.macs / 1e9


@pytest.mark.parametrize("clip", [(13, 160), (0, 160, 160), (13, 160, 160.0)])
def test_an_impossible_clip_is_refused(clip):
    with pytest.raises(ModelError, match="a clip is"):
        complexity(reference_architecture("S"), clip=clip)


def test_the_cost_of_an_unknown_attention_is_an_error():
    space = load_space("table2")
    groups = tuple(dataclasses.replace(group, attentions=("mine",)) for group in space.groups)
    mine = dataclasses.replace(space, name="mine", groups=groups)
    with pytest.raises(RegistryError, match="no entry named 'mine'"):
        complexity(mine.sample(torch.Generator().manual_seed(0)))
