"""Lowering to four dimensions: the same numbers, and a graph without a tensor of five."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytorchvideo_autox3d.errors import ExportError, ModelError
from pytorchvideo_autox3d.export import lower_to_4d
from pytorchvideo_autox3d.export.frames import Frames, fold_clip, frames_of
from pytorchvideo_autox3d.export.rules import Kernel, conv3d
from pytorchvideo_autox3d.kernels import depthwise_kernels
from pytorchvideo_autox3d.layers.mbconv import MBConv3D
from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from tests.export.helpers import random_clip, tiny_architecture, tiny_model, unsettled

TABLE_1 = [(t, s) for t in (1, 3, 5) for s in (3, 5)]


def unfolded(frames: Frames):
    """(T * B, C, H, W), time outermost, as (B, C, T, H, W)."""
    return frames.data.unflatten(0, (frames.frames, -1)).permute(1, 2, 0, 3, 4)


def assert_four_dimensional(lowered, frames):
    """Walk the exported graph: no value of five dimensions, no 3-D operator."""
    program = torch.export.export(lowered, (frames,))
    values = [node.meta.get("val") for node in program.graph.nodes]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    assert len(tensors) > 3
    assert max(value.dim() for value in tensors) <= 4
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not [target for target in targets if "3d" in target]


def check(model, clip):
    lowered = lower_to_4d(model, clip)
    with torch.no_grad():
        expected = model(clip)
        tolerance = (1e-9 if clip.dtype == torch.float64 else 1e-5) * max(1.0, expected.abs().max())
        assert (lowered(fold_clip(clip)) - expected).abs().max() <= tolerance
        assert torch.equal(lowered(clip), lowered(fold_clip(clip)))
    assert_four_dimensional(lowered, fold_clip(clip))
    return lowered


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2), st.just(1)),
    groups=st.sampled_from([1, 2, 4]),
    batch=st.integers(1, 2),
    frames=st.integers(3, 6),
)
def test_any_convolution_is_exact(kernel, stride, padding, dilation, groups, batch, frames):
    spans = [gap * (size - 1) + 1 for size, gap in zip(kernel, dilation, strict=True)]
    sizes = [size + 2 * pad for size, pad in zip((frames, 6, 5), padding, strict=True)]
    if any(span > size for span, size in zip(spans, sizes, strict=True)):
        return
    clip = random_clip(batch, 4, frames, 6, 5).double()
    weight, bias = random_clip(8, 4 // groups, *kernel, seed=2).double(), random_clip(8, seed=3).double()
    expected = F.conv3d(clip, weight, bias, stride, padding, dilation, groups)
    held = frames_of(fold_clip(clip), frames)
    found = conv3d(held, Kernel.of(weight), bias, stride, padding, dilation, groups)
    assert torch.allclose(unfolded(found), expected, atol=1e-12)


class Block(nn.Module):
    """A block of the space with what makes logits of it."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.block = MBConv3D(3, 6, inner_channels=8, kernel=kernel, stride=stride, se_ratio=0.25)

    def forward(self, clip):
        return self.block(clip).mean((2, 3, 4))


@pytest.mark.parametrize("kernel", TABLE_1)
@pytest.mark.parametrize("stride", [1, 2])
def test_every_kernel_of_table_1(kernel, stride):
    torch.manual_seed(0)
    check(unsettled(Block(kernel, stride)), random_clip(2, 3, 4, 9, 8))


@pytest.mark.parametrize("batch", [1, 2])
def test_both_attentions_a_temporal_stem_and_the_head(batch):
    check(tiny_model(), random_clip(batch, 3, 5, 32, 24))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("AutoX3D", {"architecture": tiny_architecture()}),
        ("X3D", {"width_factor": 2.9, "depth_factor": 0.5}),
        ("SlowFast", {}),
    ],
)
def test_registered_models(name, arguments):
    torch.manual_seed(0)
    model = MODEL_REGISTRY.get(name)(model_num_class=3, **arguments).double()
    with depthwise_kernels(False):  # what is compared with; and each kind in float64 takes seconds to compile
        check(unsettled(model, random_clip(2, 3, 8, 32, 32, seed=2).double()), random_clip(1, 3, 8, 32, 32).double())


POOLS = [
    nn.MaxPool3d((3, 2, 3), (2, 1, 2), (1, 1, 0)),
    nn.MaxPool3d(2, ceil_mode=True),
    nn.AvgPool3d((3, 3, 2), 2, (1, 0, 1)),
    nn.AvgPool3d((2, 3, 3), 1, 1, count_include_pad=False),
    nn.AdaptiveAvgPool3d((1, 2, 3)),
    nn.AdaptiveAvgPool3d((5, 2, 2)),
]


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_pools(pool):
    model = nn.Sequential(pool, nn.Conv3d(3, 2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    check(model, random_clip(2, 3, 5, 7, 8))


class TwoStreams(nn.Module):
    """Channels of two kinds, as of RGB and optical flow."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv3d(3, 2, 3), nn.Conv3d(2, 2, 3)

    def forward(self, clip):
        first, second = clip.split([3, 2], 1)
        return torch.cat([self.first(first), self.second(second)], 1).mean((2, 3, 4))


def test_two_streams():
    check(TwoStreams(), random_clip(2, 5, 4, 6, 7))


class Halves(nn.Module):
    """The two halves of the channels, each by a convolution of its own, and every value of the map into the logits."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.proj = nn.Conv3d(2, 2, 3), nn.Conv3d(2, 2, 3), nn.Linear(4 * 2 * 4 * 5, 3)

    def forward(self, clip):
        first, second = clip.chunk(2, 1)
        map_BCTHW = torch.cat([self.first(first), self.second(second)], 1)
        return self.proj(map_BCTHW.reshape(len(clip), -1)) + self.proj(map_BCTHW.flatten(1))


@pytest.mark.parametrize("batch", [1, 2])
def test_halves_and_a_map_flattened_whole(batch):
    torch.manual_seed(0)
    check(Halves(), random_clip(batch, 4, 4, 6, 7))


class Shuffle(nn.Module):
    def forward(self, clip):
        return clip.permute(0, 2, 1, 3, 4).mean((2, 3, 4))


def test_an_operator_without_a_form_is_named_with_its_module():
    model = nn.Sequential(nn.Conv3d(3, 3, 1), Shuffle())
    with pytest.raises(ExportError, match=r"aten.permute.default to the order \[0, 2, 1, 3, 4\] .*module 1") as caught:
        lower_to_4d(model, (4, 5, 5))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("clip", [(3, 4), (0, 5, 5), "5x5", torch.zeros(3, 4, 4), torch.zeros(1, 3, 2, 4, 4).int()])
def test_bad_clips(clip):
    with pytest.raises(ModelError, match="expected a"):
        lower_to_4d(tiny_model(), clip)


def test_a_lowered_network_is_for_one_shape_and_for_inference():
    lowered = lower_to_4d(nn.Sequential(nn.Conv3d(3, 2, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten()), (4, 6, 6))
    with pytest.raises(ModelError, match=r"lowered for a clip of shape \(1, 3, 4, 6, 6\), got \(3, 3, 6, 6\)"):
        lowered(torch.zeros(3, 3, 6, 6))
    with pytest.raises(ModelError, match="inference"):
        lowered.train()
    assert not lowered.eval().training
