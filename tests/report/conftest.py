import pytest
import torch

from pytorchvideo_autox3d.report import ClipStrip, DemoReport, ModelResult, PolicyTable, SearchSummary, film_strip
from pytorchvideo_autox3d.space import load_space

CLASSES = ["left", "right"]


def history(epochs, accuracy):
    return [
        {"epoch": e, "loss": 2.0 / e, "top1_err": 100 - accuracy * e / epochs, "data_time": 1.0, "compute_time": 3.0}
        for e in range(1, epochs + 1)
    ]


@pytest.fixture
def architecture():
    return load_space("table2").sample(torch.Generator().manual_seed(3))


@pytest.fixture
def models(architecture):
    """On 100 videos: 90 and 70 right at nearly equal cost, and three random architectures."""
    ours = ModelResult(
        name="AutoX3D-tiny <1>", role="searched", top1=90.0, top5=100.0, macs=50_000_000, params=900_000,
        latency_ms=4.2, per_class=[96.0, 84.0], confusion=[[48, 2], [8, 42]], history=history(4, 90),
        architecture=architecture, settings={"SOLVER.BASE_LR": 0.1},
    )  # fmt: skip
    theirs = ModelResult(
        name="X3D-tiny", role="X3D", top1=70.0, macs=51_000_000, params=1_000_000, per_class=[70.0, 70.0],
        confusion=[[35, 15], [15, 35]], history=history(4, 70),
    )  # fmt: skip
    randoms = [
        ModelResult(name=f"random {i}", role="random", top1=top1, macs=49_000_000, params=800_000)
        for i, top1 in enumerate((60.0, 95.0, 80.0))
    ]
    return [theirs, *randoms, ours]


@pytest.fixture
def report(models):
    search = SearchSummary(
        history=[{"epoch": e, "gflops": 0.06 / e, "entropy": 3.0 / e, "ess": 5.0} for e in (1, 2, 3)],
        target_gflops=0.05,
        num_samples=13,
        warmup_epochs=1,
        policy=[PolicyTable("kernel", [["3×3²", "1×3²"]], [[0.9, 0.1]])],
        coverage={"naive": [[True, False], [True, True]]},
    )
    clip_CTHW = torch.arange(3 * 4 * 8 * 8, dtype=torch.int64).remainder(255).to(torch.uint8).view(3, 4, 8, 8)
    return DemoReport(
        title="Tiny & small", class_names=CLASSES, num_test_videos=100, clip=(4, 32, 32), models=models, num_views=3,
        task="Left or right.", machine={"processor": "Abacus", "torch threads": "2"}, search=search,
        clips=[ClipStrip("left", film_strip(clip_CTHW))], commands=[("this page", "make demo")], notes=["One seed."],
    )  # fmt: skip
