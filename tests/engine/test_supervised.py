import copy

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.engine import CrossEntropy, Precision, Runtime, SupervisedStep, build_optimizer
from pytorchvideo_autox3d.errors import ConfigError
from tests.engine.helpers import Clips, SyntheticLoader, tiny_model, to_float

CPU = torch.device("cpu")


def step_for(model, *, precision="fp32", **settings):
    runtime = Runtime(device=CPU, preprocess=to_float, precision=Precision(precision))
    return SupervisedStep(
        model,
        build_optimizer(model, base_lr=0.1),
        CrossEntropy(),
        runtime=runtime,
        scaler=runtime.scaler(),
        **settings,
    )


def without_bn():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))


def joined(batches):
    return Clips(
        *(torch.cat([getattr(b, name) for b in batches]) for name in ("clip_BCTHW", "label_B", "video_B", "view_B"))
    )


def test_accumulated_batches_are_one_large_batch():
    batches = list(SyntheticLoader(batches=3).__iter__())
    batches[2] = Clips(*(getattr(batches[2], n)[:1] for n in ("clip_BCTHW", "label_B", "video_B", "view_B")))
    models = [(model := without_bn()), copy.deepcopy(model)]
    scalars = [step_for(models[0])(batches, None), step_for(models[1])([joined(batches)], None)]
    for ours, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    for name in ("loss", "top1_err", "top5_err", "grad_norm"):
        torch.testing.assert_close(scalars[0][name], scalars[1][name])


def test_errors_are_those_of_the_logits():
    batch = next(iter(SyntheticLoader(batch_size=8)))
    model = without_bn()
    expected = 100 * (model(to_float(batch.clip_BCTHW)).argmax(1) != batch.label_B).float().mean()
    scalars = step_for(model)([batch], None)
    assert scalars["top1_err"] == pytest.approx(expected.item())
    assert scalars["top5_err"] == 0  # there are three classes


def test_clipping_limits_the_update():
    batch = next(iter(SyntheticLoader()))
    model = without_bn()
    step_for(model, clip_norm=1e-3)([batch], None)
    total = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert total == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_trains_fp32_weights(precision):
    model = tiny_model()
    step, before = step_for(model, precision=precision), model[6].weight.clone()
    for batch in SyntheticLoader(batches=3):
        assert torch.isfinite(step([batch], None)["loss"])
    assert model[6].weight.dtype == torch.float32
    assert not torch.equal(before, model[6].weight)
    assert step.scaler.is_enabled() == (precision == "fp16")


def test_mix_replaces_clips_and_targets():
    def mix(clip_BCTHW, label_B):
        return clip_BCTHW.flip(0), nn.functional.one_hot(label_B.flip(0), 3).float()

    batch = next(iter(SyntheticLoader()))
    models = [(model := without_bn()), copy.deepcopy(model)]
    plain, mixed = step_for(models[0])([batch], None), step_for(models[1], mix=mix)([batch], None)
    torch.testing.assert_close(plain["loss"], mixed["loss"])
    assert plain["top1_err"] == mixed["top1_err"]


def test_an_unknown_precision_is_named():
    with pytest.raises(ConfigError, match="'tf32'"):
        Precision("tf32")
