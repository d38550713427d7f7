"""`accelerate` on the networks of the real PySlowFast: the same training, and what isn't known left alone."""

import copy

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.kernels import accelerate, batch_norm, depthwise_kernels
from tests.integration.slowfast_support import load_small, needs_slowfast
from tests.kernels.operators import Recorder

pytestmark = [needs_slowfast, pytest.mark.usefixtures("_quiet_process", "_registered", "_only_norms")]

SLOWFAST = {
    "SLOWFAST__ALPHA": 2, "SLOWFAST__BETA_INV": 4, "SLOWFAST__FUSION_CONV_CHANNEL_RATIO": 2, "MODEL__ARCH": "slowfast",
    "DATA__INPUT_CHANNEL_NUM": [3, 3], "RESNET__WIDTH_PER_GROUP": 16, "RESNET__SPATIAL_DILATIONS": [[1, 1]] * 4,
    "RESNET__SPATIAL_STRIDES": [[1, 1], [2, 2], [2, 2], [2, 2]], "NONLOCAL__GROUP": [[1, 1]] * 4,
    "NONLOCAL__LOCATION": [[[], []]] * 4,
}  # fmt: skip
RESNET_50 = {
    "RESNET__TRANS_FUNC": "bottleneck_transform",
    "RESNET__NUM_BLOCK_TEMP_KERNEL": [[3] * 2, [4] * 2, [6] * 2, [3] * 2],
}
RESNET_18 = {
    "RESNET__TRANS_FUNC": "basic_transform",
    "RESNET__DEPTH": 18,
    "RESNET__NUM_BLOCK_TEMP_KERNEL": [[2, 2]] * 4,
}
# A yaml of ours, settings, and how many norms no known block has.
NETWORKS = {
    "X3D": ("autox3d/X3D_S.yaml", {"X3D__DEPTH_FACTOR": 2.2}, 1),  # its head's
    "SlowFast": ("autox3d/S.yaml", SLOWFAST | RESNET_50, 0),
    "SlowFast-18": ("autox3d/S.yaml", SLOWFAST | RESNET_18, 0),
    "PTVCSN": ("autox3d/S.yaml", {"DATA__NUM_FRAMES": 16, "RESNET__WIDTH_PER_GROUP": 16, "MODEL__ARCH": "csn"}, 0),
}


@pytest.fixture(scope="module")
def _registered():
    from pytorchvideo_autox3d.slowfast import register

    register()


@pytest.fixture
def _only_norms(monkeypatch):
    """Small maps go to the norms' kernels; the depthwise ones are tested elsewhere and would only be compiled."""
    monkeypatch.setitem(batch_norm._LEAST_NUMBERS, "cpu", 1)
    with depthwise_kernels(False):
        yield


def build(name, **changes):
    """A network of PySlowFast in float64, and the clips that it takes."""
    from slowfast.models import build_model

    path, settings, _ = NETWORKS[name]
    settings = {"MODEL__MODEL_NAME": name.partition("-")[0], "MODEL__DROPOUT_RATE": 0.0, **settings, **changes}
    cfg = load_small(path, **settings)
    torch.manual_seed(0)
    model = build_model(cfg).double()
    for norm in norms(model):  # the last norm of a block begins at zero, which would hide its branch
        if norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    generator = torch.Generator().manual_seed(1)
    frames = cfg.DATA.NUM_FRAMES
    counts = [frames // cfg.SLOWFAST.ALPHA, frames] if len(cfg.DATA.INPUT_CHANNEL_NUM) == 2 else [frames]
    return model, [torch.randn((3, 3, t, 32, 32), generator=generator, dtype=torch.float64) for t in counts]


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]


def train(model, clips):
    """Two steps of SGD and an evaluation: logits, gradients, state and scores."""
    optimizer, found = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), []
    for _ in range(2):
        optimizer.zero_grad()
        logits = model.train()([clip.clone() for clip in clips])
        nn.functional.cross_entropy(logits, torch.tensor([1, 3, 0])).backward()
        optimizer.step()
        found.append((logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}))
    return found, model.state_dict(), model.eval()([clip.clone() for clip in clips]).detach()


@pytest.mark.parametrize("name", NETWORKS)
def test_trains_and_evaluates_the_same(name):
    plain, clips = build(name)
    ours, before = copy.deepcopy(plain), {key: value.clone() for key, value in plain.state_dict().items()}
    assert accelerate(ours) > 0
    after = ours.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    with Recorder() as recorder:
        ours.train()([clip.clone() for clip in clips])
    left = NETWORKS[name][2]
    assert recorder.count("aten.native_batch_norm") == left
    assert recorder.count("autox3d.batch_norm_act.") == len(norms(plain)) - left
    ours.load_state_dict(before)
    torch.testing.assert_close(train(ours, clips), train(plain, clips), rtol=1e-5, atol=1e-6)


def test_other_norms_hooked_blocks_and_non_local_blocks_are_left():
    location = [[[0], []], [[], []], [[], []], [[], []]]
    plain, clips = build("SlowFast-18", NONLOCAL__LOCATION=location)
    ours, calls = copy.deepcopy(plain), []
    accelerate(ours)
    ours.s2.pathway0_res0.branch2.a_bn.register_forward_hook(lambda *_: calls.append("norm"))
    ours.s3.pathway1_res0.branch2.register_forward_hook(lambda *_: calls.append("branch"))
    with Recorder() as recorder:
        actual = ours.train()(clips)
    assert calls == ["norm", "branch"]
    # The non-local block's norm, the hooked one, and the shortcut's beside the hooked branch.
    assert recorder.count("aten.native_batch_norm") == 3
    torch.testing.assert_close(actual, plain.train()(clips), rtol=1e-6, atol=1e-8)


def test_sub_batch_norms_are_left():
    plain, clips = build("X3D", BN__NORM_TYPE="sub_batchnorm", BN__NUM_SPLITS=3, X3D__DEPTH_FACTOR=1.0)
    ours = copy.deepcopy(plain)
    accelerate(ours)
    with Recorder() as recorder:
        actual = ours.train()([clips[0].clone()])
    # Its head has plain ones, but no known block.
    assert recorder.count("autox3d.batch_norm_act.") == 0
    torch.testing.assert_close(actual, plain.train()([clips[0].clone()]), rtol=1e-8, atol=1e-10)
