"""Eval mode for a while."""

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.eval_mode import evaluating


@pytest.mark.parametrize("error", [None, KeyError])
def test_every_module_gets_its_mode_back(error):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[1].eval()  # a frozen batch norm
    try:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            assert not torch.is_grad_enabled()
            if error is not None:
                raise error
    except KeyError:
        pass
    assert torch.is_grad_enabled()
    assert model.training
    assert not model[1].training
