import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.engine import Precision, Runtime

CPU = torch.device("cpu")


@pytest.mark.parametrize("channels_last", [False, True])
def test_clips_and_weights_have_the_memory_format_asked_for(channels_last):
    runtime = Runtime(device=CPU, preprocess=lambda clip: clip.float() - 1, channels_last=channels_last)
    model = runtime.place(nn.Conv3d(3, 4, 3))
    clip_BCTHW = runtime.prepare(torch.full((2, 3, 4, 5, 5), 3, dtype=torch.uint8))
    torch.testing.assert_close(clip_BCTHW, torch.full((2, 3, 4, 5, 5), 2.0))
    for tensor in (clip_BCTHW, model.weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last_3d) is channels_last


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_forward_pass_has_the_number_format_asked_for(name, dtype):
    runtime = Runtime(device=CPU, preprocess=lambda clip: clip, precision=Precision(name))
    with runtime.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
    assert not runtime.scaler().is_enabled()


@pytest.mark.parametrize(
    "found", [{}, {"avx512_bf16": False}, {"amx_bf16": True}, {"avx512_bf16": True}, {"bf16": True}]
)
def test_bfloat16_is_slow_on_a_cpu_without_instructions_for_it(found, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert Precision("bf16").is_slow_on(CPU) is not any(found.values())
    assert not Precision("fp32").is_slow_on(CPU)
    assert not Precision("bf16").is_slow_on(torch.device("cuda"))
