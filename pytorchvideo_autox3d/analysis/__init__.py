"""Cost: multiply-adds, parameters, activations and measured latency."""

from pytorchvideo_autox3d.analysis.additive import AdditiveCost
from pytorchvideo_autox3d.analysis.complexity import Complexity, complexity
from pytorchvideo_autox3d.analysis.counting import ModuleCount, count_module, count_parameters
from pytorchvideo_autox3d.analysis.latency import Latency, measure_latency
from pytorchvideo_autox3d.analysis.latency_table import LatencyTable
from pytorchvideo_autox3d.analysis.machine import describe_machine, machine_name
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
    "describe_machine",
    "machine_name",
    "measure_latency",
    "peak_bytes_of",
    "peak_memory",
]
