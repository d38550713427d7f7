import math

import pytest
import torch

from pytorchvideo_autox3d.search.gradient_noise import GradientNoise


def test_by_the_two_pass_formula():
    gradients = torch.randn(40, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1.0
    noise = GradientNoise()
    for gradient in gradients:
        noise.add(gradient)
    mean = gradients.mean(dim=0)
    variance = ((gradients - mean) ** 2).sum() / 39
    wanted = math.sqrt(float((mean @ mean - variance / 40) / variance))
    assert noise.signal_to_noise == pytest.approx(wanted)


def test_noise_alone_is_near_0_and_one_step_says_nothing():
    generator, noise = torch.Generator().manual_seed(1), GradientNoise()
    assert math.isnan(noise.signal_to_noise)
    for _ in range(400):
        noise.add(torch.randn(10, generator=generator))
    assert noise.signal_to_noise < 0.03


def test_it_goes_on_from_its_state():
    rows = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    whole, first, second = GradientNoise(), GradientNoise(), GradientNoise()
    for row in rows:
        whole.add(row)
    for row in rows[:4]:
        first.add(row)
    for wrong in (2, 4):
        with pytest.raises(ValueError, match=f"other lengths than {wrong}"):
            second.load_state_dict(first.state_dict(), length=wrong)
    second.load_state_dict(first.state_dict(), length=3)
    for row in rows[4:]:
        second.add(row)
    assert second.signal_to_noise == whole.signal_to_noise
