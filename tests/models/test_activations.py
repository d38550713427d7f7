"""Checkpointed blocks: the same outputs, gradients and state, from maps that are computed twice."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.layers.norms import SubBatchNorm3d, replace_norms
from pytorchvideo_autox3d.models import checkpoint_activations
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

SIZES = {"input_clip_length": 4, "input_crop_size": 32, "model_num_class": 3}


def build(name, **options):
    torch.manual_seed(0)
    model = MODEL_REGISTRY.get(name)(**SIZES, **options).train()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm3d):  # the last of a block begins at 0, which would hide its block
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    return model


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("AutoX3D", {}, False),
        ("AutoX3D", {}, True),
        ("X3D", {"depth_factor": 1.0}, False),
        ("SlowFast", {"model_depth": 50}, False),
        ("MobileNetV2_3D", {}, False),
    ],
)
def test_gradients_and_statistics_are_those_of_the_plain_model(name, options, parts):
    plain = build(name, **options)
    if parts:
        replace_norms(plain, partial(SubBatchNorm3d, num_splits=2))
    wrapped = copy.deepcopy(plain)
    checkpoint_activations(wrapped)
    assert list(wrapped.state_dict()) == list(plain.state_dict())
    clip = torch.randn(2, 3, 8 if name == "SlowFast" else 4, 32, 32, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(1)
    plain(clip).square().sum().backward()
    torch.manual_seed(1)
    wrapped(clip).square().sum().backward()
    for one, other in zip(plain.parameters(), wrapped.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad)
    for (key, one), other in zip(plain.state_dict().items(), wrapped.state_dict().values(), strict=True):
        torch.testing.assert_close(other, one, msg=key)


def size_kept(model):
    """The numbers that a forward pass keeps for the backward pass, which is then run."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()) or tensor, lambda x: x):
        loss = model(torch.randn(1, 3, 4, 32, 32)).sum()
    loss.backward()
    return sum(sizes)


def test_each_block_but_the_head_runs_twice_and_keeps_only_what_enters_it():
    model = build("AutoX3D")
    calls = {"block": 0, "head": 0}
    hook = {name: lambda *_, name=name: calls.__setitem__(name, calls[name] + 1) for name in calls}
    model.blocks[3].block1.register_forward_pre_hook(hook["block"])
    model.blocks[-1].register_forward_pre_hook(hook["head"])
    plain = size_kept(model)
    checkpoint_activations(model)
    assert size_kept(model) < plain / 3
    assert calls == {"block": 3, "head": 2}


def test_a_wrapped_model_takes_and_gives_the_plain_ones_checkpoint():
    plain, wrapped = build("AutoX3D"), build("AutoX3D")
    checkpoint_activations(wrapped)
    wrapped.load_state_dict(plain.state_dict())
    plain.load_state_dict(wrapped.state_dict())
