"""Cost: multiply-adds, parameters, activations and measured latency."""

from pytorchvideo_autox3d.analysis.complexity import Complexity, complexity
from pytorchvideo_autox3d.analysis.counting import ModuleCount, count_module, count_parameters
from pytorchvideo_autox3d.analysis.latency import Latency, measure_latency, peak_memory
from pytorchvideo_autox3d.analysis.table import Costs, CostTable

__all__ = [
    "Complexity",
    "CostTable",
    "Costs",
    "Latency",
    "ModuleCount",
    "complexity",
    "count_module",
    "count_parameters",
    "measure_latency",
    "peak_memory",
]
