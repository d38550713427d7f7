"""A description of the machine, by which measured latencies of different machines are kept apart."""

from __future__ import annotations

import os
import platform

import torch


def describe_machine() -> dict[str, str]:
    """Processor, cores, torch's threads, accelerator and versions, to be kept beside measured figures."""
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "torch threads": str(torch.get_num_threads()),
        "accelerator": accelerator,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def machine_name() -> str:
    """This machine's processor and cores, as latency tables name it: "AMD EPYC, 2 cores"."""
    found = describe_machine()
    return f"{found['processor']}, {found['cores']} cores"


def _processor() -> str:
    """The processor's model name where the system tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
