"""The data tools: what makes, checks and rewrites lists and videos before a job reads them."""

from pytorchvideo_autox3d.data.tools.bench_data import BenchSettings, make_bench_data
from pytorchvideo_autox3d.data.tools.bench_motion import BENCH_CLASSES
from pytorchvideo_autox3d.data.tools.demo import DemoSettings, make_demo_data
from pytorchvideo_autox3d.data.tools.demo_motion import CLASSES as DEMO_CLASSES

__all__ = [
    "BENCH_CLASSES",
    "DEMO_CLASSES",
    "BenchSettings",
    "DemoSettings",
    "make_bench_data",
    "make_demo_data",
]
