import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.kernels.batch_norm import batch_norm_kernels
from pytorchvideo_autox3d.layers.elastic import ElasticBatchNorm3d
from pytorchvideo_autox3d.layers.windows import ChannelWindow, slice_channels
from pytorchvideo_autox3d.space import Architecture, GroupSpec, HeadSpec, SearchSpace, StemSpec
from pytorchvideo_autox3d.supernet import Supernet
from pytorchvideo_autox3d.supernet.mixture import group_choices, mixture_logits, place_channels

GROUPS = (
    GroupSpec((4, 8), ((1, 3), (3, 3)), (1.5, 3.0), ("none",), blocks=1, stride=2),
    GroupSpec((8, 6), ((3, 3),), (1.5,), ("none", "glore"), blocks=2, stride=1),
)
SPACE = SearchSpace("toy", GROUPS, StemSpec(4), HeadSpec(8, 8))


def make(selection: str) -> Supernet:
    torch.manual_seed(0)
    options = {"input_clip_length": 2, "input_crop_size": 8, "dropout_rate": 0.0}
    return Supernet(SPACE, model_num_class=3, channel_selection=selection, **options)


@pytest.mark.parametrize(("start", "width"), [(0, 3), (2, 3), (5, 4), (0, 7), (6, 1)])
def test_place_channels_is_the_adjoint_of_slicing(start, width):
    window = ChannelWindow(start, width, 7)
    wide, narrow = torch.randn(2, 7, 1, 2, 2), torch.randn(2, width, 1, 2, 2)
    placed = place_channels(narrow, window)
    assert placed.shape == wide.shape
    assert torch.equal(slice_channels(placed, window, 1), narrow)
    torch.testing.assert_close((placed * wide).sum(), (narrow * slice_channels(wide, window, 1)).sum())


@pytest.mark.parametrize("selection", ["naive", "fair"])
def test_all_weight_on_one_candidate_gives_the_network_of_it(selection):
    supernet, clip = make(selection).eval(), torch.randn(2, 3, 2, 8, 8)
    architecture = Architecture.widest(SPACE, with_attention=True)
    weights = []
    for spec, choice in zip(SPACE.groups, architecture.groups, strict=True):
        shape = (len(spec.kernels), len(spec.channels), len(spec.expansions), len(spec.attentions))
        weights.append(torch.zeros(shape))
        for index, candidate in group_choices(spec):
            weights[-1][index] = float(candidate == choice)
    torch.testing.assert_close(mixture_logits(supernet, clip, weights), supernet(clip, architecture))


def test_half_and_half_is_the_mean_before_the_next_group():
    supernet, clip = make("naive").eval(), torch.randn(2, 3, 2, 8, 8)
    even = [torch.full((2, 2, 2, 1), 1 / 8), torch.zeros(1, 2, 1, 2)]
    even[1][0, 0, 0, 0] = 1.0
    entering = supernet.stem(clip)
    wide = torch.zeros(2, 8, 2, 2, 2)
    for _, choice in group_choices(GROUPS[0]):
        out = supernet.groups[0](entering, choice)
        wide[:, : choice.channels] += out / 8
    last = supernet.groups[1](wide, Architecture.widest(SPACE).groups[1])
    logits = supernet.head(torch.nn.functional.conv3d(last, supernet.head_conv.weight))
    torch.testing.assert_close(mixture_logits(supernet, clip, even), logits)


@pytest.mark.parametrize("kernels", [False, True])
def test_candidates_that_share_statistics_run_backward_together(kernels):
    norm = ElasticBatchNorm3d(24).train()
    clip = torch.randn(8, 16, 4, 24, 24).contiguous(memory_format=torch.channels_last_3d)
    windows = [ChannelWindow(0, 16, 24), ChannelWindow(4, 16, 24), ChannelWindow(16, 16, 24)]
    # The kernels have no tanh, so that both forms move one layer's statistics before either runs backward.
    activations = [nn.Tanh(), None, nn.Tanh()]
    with batch_norm_kernels(kernels):
        outs = [norm(clip, window, activation=act) for window, act in zip(windows, activations, strict=True)]
        sum(out.square().sum() for out in outs).backward()
    mean, moved = clip.mean(dim=(0, 2, 3, 4)), torch.zeros(24)
    for window in windows:
        for place in range(16):
            channel = (window.start + place) % 24
            moved[channel] += 0.1 * (mean[place] - moved[channel])
    torch.testing.assert_close(norm.running_mean, moved)
