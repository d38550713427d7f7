import torch

from pytorchvideo_autox3d.engine import Runtime, recalibrate_bn
from tests.engine.helpers import SyntheticLoader, tiny_model, to_float


def test_statistics_are_the_population_s_and_nothing_else_changes():
    model, loader = tiny_model(dropout=0.5).train(), SyntheticLoader(batches=6)
    buffer = model[1].running_mean
    weights = [parameter.clone() for parameter in model.parameters()]
    rng = torch.get_rng_state()
    # 10 are asked for, the loader has 6.
    recalibrate_bn(model, loader, num_batches=10, runtime=Runtime(device=torch.device("cpu"), preprocess=to_float))
    with torch.no_grad():
        maps = [model[0](to_float(batch.clip_BCTHW)) for batch in loader]
    per_batch_mean = torch.stack([m.mean((0, 2, 3, 4)) for m in maps])
    torch.testing.assert_close(model[1].running_mean, per_batch_mean.mean(0))
    # All batches are equally large: the population variance is that of all values together, up to n / (n - 1).
    population = torch.cat(maps).var((0, 2, 3, 4), unbiased=False)
    torch.testing.assert_close(model[1].running_var, population, rtol=0.01, atol=1e-5)
    assert model[1].running_mean is buffer
    assert model.training
    assert model[5].training
    assert model[1].momentum == 0.1
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
