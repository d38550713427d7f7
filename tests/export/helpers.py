"""Small networks whose normalisations do something, for the tests of the exporters."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.space import Architecture, GroupChoice, GroupSpec, HeadSpec, SearchSpace, StemSpec


def unsettled(model, clip=None, seed=0):
    """The model in eval as training leaves it: random affine parameters in every BN, statistics of what arrives there.

    Without statistics that fit, the signal would fade from block to block and all clips get the same logits.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
        if norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(norm.bias, 0, 0.2, generator=generator)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.2, generator=generator)
    with torch.no_grad():
        model.train()(random_clip(2, 3, 4, 32, 32, seed=3) if clip is None else clip)
    return model.eval()


def random_clip(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tiny_architecture(attentions=("glore", "nonlocal")):
    """Two groups of two blocks: a 3x3^2 and a 5x5^2 kernel, a stride, squeeze-excitation, both attentions."""
    choices = [GroupChoice((3, 3), 8, 1.5, attentions[0]), GroupChoice((5, 5), 12, 2.0, attentions[1])]
    groups = [
        GroupSpec((choice.channels,), (choice.kernel,), (choice.expansion,), (choice.attention,), 2, 2)
        for choice in choices
    ]
    space = SearchSpace(name="tiny", groups=tuple(groups), stem=StemSpec(8, 5), head=HeadSpec(16, 24))
    return Architecture(choices, space)


def tiny_model(classes=3, **arguments):
    torch.manual_seed(0)
    model = create_autox3d(
        tiny_architecture(**arguments), model_num_class=classes, input_clip_length=5, input_crop_size=32
    )
    return unsettled(model)
