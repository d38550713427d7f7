"""Cost: multiply-adds, parameters, activations and measured latency."""

from pytorchvideo_autox3d.analysis.additive import AdditiveCost
from pytorchvideo_autox3d.analysis.complexity import Complexity, complexity
from pytorchvideo_autox3d.analysis.counting import ModuleCount, count_module, count_parameters
from pytorchvideo_autox3d.analysis.latency import Latency, measure_latency, whole_network_ms
from pytorchvideo_autox3d.analysis.latency_table import LatencyTable
from pytorchvideo_autox3d.analysis.memory import peak_bytes_of, peak_memory
from pytorchvideo_autox3d.analysis.table import Costs, CostTable

__all__ = [
    "AdditiveCost",
    "Complexity",
    "CostTable",
    "Costs",
    "Latency",
    "LatencyTable",
    "ModuleCount",
    "complexity",
    "count_module",
    "count_parameters",
    "measure_latency",
    "peak_bytes_of",
    "peak_memory",
    "whole_network_ms",
]
