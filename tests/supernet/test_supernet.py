import itertools
import re

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.errors import ModelError, RegistryError, SpaceError
from pytorchvideo_autox3d.layers.elastic import ElasticBatchNorm3d
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.registry import ATTENTION_REGISTRY, register_attention
from pytorchvideo_autox3d.space import Architecture, GroupSpec, HeadSpec, SearchSpace, StemSpec, load_space
from pytorchvideo_autox3d.supernet import Supernet, inherit


def make_space(attentions: tuple[str, ...]) -> SearchSpace:
    """Widths whose fair windows wrap, a stride-1 first block that sometimes has a residual, two kernels."""
    groups = (
        GroupSpec((4, 6, 8), ((1, 3), (3, 5)), (1.5, 2.25, 3.0), attentions, blocks=1, stride=2),
        GroupSpec((6, 8, 10), ((3, 3), (5, 3)), (1.5, 3.0), attentions, blocks=2, stride=1),
        GroupSpec((8, 12), ((3, 3),), (2.0,), attentions, blocks=2, stride=2),
    )
    return SearchSpace("small", groups, StemSpec(8), HeadSpec(16, 24))


def make_supernet(space: SearchSpace, **options) -> Supernet:
    """With every weight and statistic random, so that nothing hides behind a zero."""
    torch.manual_seed(0)
    supernet = Supernet(space, model_num_class=5, **options)
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
    return supernet


@pytest.mark.parametrize("selection", ["naive", "fair"])
@pytest.mark.parametrize("attentions", [("none",), ("none", "glore"), ("none", "glore", "nonlocal")])
def test_inherited_network_has_the_same_logits(selection, attentions):
    space = make_space(attentions)
    supernet = make_supernet(space, channel_selection=selection).eval()
    generator = torch.Generator().manual_seed(1)
    clip = torch.randn(2, 3, 4, 16, 16, generator=generator)
    for _ in range(12):
        architecture = space.sample(generator)
        net = inherit(supernet, architecture)
        assert not net.training
        with torch.no_grad():
            assert (net(clip) - supernet(clip, architecture)).abs().max() <= 1e-5


@pytest.mark.parametrize("options", [{"stem": "x3d"}, {"se_ratio": 0.0}, {"inner_act": nn.ReLU, "norm_eps": 1e-3}])
def test_options_reach_the_inherited_network(options):
    space = make_space(("none", "glore"))
    supernet = make_supernet(space, **options).eval()
    clip = torch.randn(2, 3, 4, 16, 16)
    architecture = space.sample(torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert (inherit(supernet, architecture)(clip) - supernet(clip, architecture)).abs().max() <= 1e-5


def test_table_2_inherits():
    space = load_space("table2-nonlocal")
    supernet = make_supernet(space).eval()
    clip = torch.randn(1, 3, 2, 32, 32)
    architecture = space.sample(torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = supernet(clip, architecture)
        assert (inherit(supernet, architecture)(clip) - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(
            min=1
        )


@pytest.mark.parametrize("selection", ["naive", "fair"])
def test_training_step_equals_the_inherited_networks(selection):
    """Same batch statistics, same loss, and afterwards the same running statistics and gradients, slice by slice."""
    space = make_space(("none", "glore"))
    supernet = make_supernet(space, channel_selection=selection, dropout_rate=0.0).train()
    clip = torch.randn(4, 3, 4, 16, 16)
    label = torch.tensor([0, 1, 2, 3])
    for architecture in (space.sample(torch.Generator().manual_seed(seed)) for seed in range(4)):
        net = inherit(supernet, architecture)
        assert net.training
        supernet.zero_grad()
        losses = [nn.functional.cross_entropy(logits, label) for logits in (net(clip), supernet(clip, architecture))]
        torch.testing.assert_close(losses[0], losses[1])
        for loss in losses:
            loss.backward()
        after = inherit(supernet, architecture)
        for name, buffer in net.named_buffers():
            if "running" in name:
                torch.testing.assert_close(after.get_buffer(name), buffer, rtol=1e-4, atol=1e-5)
        # A step down the gradient, and the inherited network has taken it too.
        with torch.no_grad():
            for parameter in itertools.chain(net.parameters(), supernet.parameters()):
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
        after = inherit(supernet, architecture)
        for (name, stepped), expected in zip(after.named_parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(stepped, expected, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("selection", ["naive", "fair"])
def test_only_the_windows_of_the_architecture_are_touched(selection):
    space = make_space(("none",))
    supernet = make_supernet(space, channel_selection=selection).train()
    norm = supernet.groups[1].blocks[0].project_norm
    before = norm.running_mean.clone()
    architecture = space.sample(torch.Generator().manual_seed(0))
    supernet(torch.randn(2, 3, 4, 16, 16), architecture).sum().backward()
    window = set(supernet.groups[1].windows[architecture.groups[1].channels])
    moved = set((norm.running_mean != before).nonzero().flatten().tolist())
    assert moved == window
    assert set(norm.weight.grad.nonzero().flatten().tolist()) <= window


def test_inner_windows_cover_evenly_for_each_input_width_and_overall():
    space = load_space("table2")
    supernet = Supernet(space, model_num_class=2)
    block = supernet.groups[3].blocks[0]
    ring = block.expand.out_channels
    assert ring == 64 * 6
    for widths in ([24], [64], list(space.groups[2].channels)):
        counts = [0] * ring
        for (channels, _), window in block.inner_windows.items():
            if channels in widths:
                for filter_ in window:
                    counts[filter_] += 1
        assert max(counts) - min(counts) <= 1


def test_every_parameter_is_used_by_some_architecture():
    space = make_space(("none", "glore", "nonlocal"))
    supernet = make_supernet(space)
    clip = torch.randn(2, 3, 4, 16, 16)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        supernet(clip, space.sample(generator)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in supernet.parameters())


def test_largest_architecture_is_no_smaller_than_the_supernet_but_for_kernels_and_attention():
    space = make_space(("none",))
    widest = Architecture.from_indices(space, [len(decision.candidates) - 1 for decision in space.decisions])
    supernet = Supernet(space, model_num_class=5)
    unused = sum(
        conv.weight.numel()
        for group, choice in zip(supernet.groups, widest.groups, strict=True)
        for block in group.blocks
        for key, conv in ((key, module.conv) for key, module in block.depthwise.items())
        if key != f"t{choice.kernel[0]}_s{choice.kernel[1]}"
    )
    plain = sum(p.numel() for p in create_autox3d(widest, model_num_class=5).parameters())
    assert sum(p.numel() for p in supernet.parameters()) == plain + unused


def test_inherit_leaves_the_generator_alone():
    space = make_space(("none",))
    supernet = make_supernet(space)
    state = torch.get_rng_state()
    inherit(supernet, space.sample(torch.Generator()))
    assert torch.equal(torch.get_rng_state(), state)


def test_all_norms_of_the_groups_are_elastic():
    supernet = Supernet(make_space(("none", "glore")), model_num_class=5)
    plain = [m for m in supernet.groups.modules() if isinstance(m, nn.BatchNorm3d)]
    assert plain
    assert all(isinstance(module, ElasticBatchNorm3d) for module in plain)


def test_bad_input():
    space = make_space(("none",))
    supernet = make_supernet(space)
    other = make_space(("none", "glore")).sample(torch.Generator())
    with pytest.raises(SpaceError, match="the architecture is of space"):
        supernet(torch.randn(1, 3, 4, 16, 16), other)
    with pytest.raises(SpaceError, match="the architecture is of space"):
        inherit(supernet, other)
    with pytest.raises(ModelError, match=r"got \(3, 4, 16, 16\)"):
        supernet(torch.randn(3, 4, 16, 16), space.sample(torch.Generator()))
    with pytest.raises(RegistryError, match="CHANNEL_SELECTION"):
        Supernet(space, channel_selection="unfair")


class Halved(nn.Module):
    """An attention that its author got wrong: half of the channels."""

    def __init__(self, channels, *, norm=nn.BatchNorm3d):
        super().__init__()
        self.project = nn.Conv3d(channels, channels // 2, 1)

    def forward(self, clip_BCTHW):
        return self.project(clip_BCTHW)


class OfLargeMaps(nn.Identity):
    """Right, on the maps that it is made for."""

    def forward(self, clip_BCTHW):
        if clip_BCTHW.shape[-1] < 1000:
            raise RuntimeError("too small")
        return clip_BCTHW


def create_network(space):
    return create_autox3d(space.sample(torch.Generator().manual_seed(0)), model_num_class=5)


@pytest.fixture
def _registered(monkeypatch):
    monkeypatch.setattr(ATTENTION_REGISTRY, "_obj_map", dict(ATTENTION_REGISTRY._obj_map))
    register_attention("halved", Halved)
    register_attention("of_large_maps", lambda channels, *, norm: OfLargeMaps())


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("build", [lambda space: Supernet(space, model_num_class=5), create_network])
def test_an_attention_that_changes_the_shape_is_refused_where_it_is_built(build):
    with pytest.raises(ModelError) as raised:
        build(make_space(("halved",)))
    assert re.fullmatch(
        r"attention 'halved' gives \(1, (\d+), 4, 8, 8\) for a map of \(1, (\d+), 4, 8, 8\), expected the same shape",
        str(raised.value),
    )
    build(make_space(("of_large_maps",)))
