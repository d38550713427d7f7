import logging

import torch
from torch import nn

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.jobs.model_info import log_model_info


def cfg_of(*opts):
    return load_cfg(config_path("autox3d/demo_x3d.yaml"), list(opts))


def test_parameters_and_multiply_adds_are_told_for_the_clip_asked_for(caplog):
    cfg = cfg_of("DATA.NUM_FRAMES", 4)
    macs, params = counted(build.build_model(cfg), (4, 32, 32))
    with caplog.at_level(logging.INFO):
        log_model_info(cfg, crop_size=32)
    wanted = f"X3D: {params / 1e6:.4g} M parameters, {macs / 1e9:.4g} GFLOPs (multiply-adds) for a clip of 4 x 32^2"
    # A machine that has not run these kernels yet tells of their compilation first.
    assert [record.message for record in caplog.records if record.name.endswith("model_info")] == [wanted]


def counted(model, clip):
    """Multiply-adds by hooks on the layers that have any, and parameters."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        weights = module.weight[0].numel()
        total += weights * output.numel()

    for module in model.modules():
        if isinstance(module, (nn.Conv3d, nn.Linear)):
            module.register_forward_hook(count)
    model.eval()(torch.zeros(1, 3, *clip))
    return total, sum(weight.numel() for weight in model.parameters())


def test_nothing_is_told_where_that_is_off(caplog):
    with caplog.at_level(logging.INFO):
        log_model_info(cfg_of("LOG_MODEL_INFO", False), crop_size=32)
    assert caplog.messages == []


def test_what_the_meta_device_cannot_run_has_parameters_alone(caplog, monkeypatch):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, clip):
            return clip.sum().item()

    monkeypatch.setattr(build, "build_model", lambda cfg: Odd())
    with caplog.at_level(logging.INFO):
        log_model_info(cfg_of(), crop_size=32)
    assert caplog.messages[0].startswith("X3D: 1.6e-05 M parameters, multiply-adds not counted (")
