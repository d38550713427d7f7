"""Where a training step on the kernels spends its processor time, pass by pass, and what recomputation costs.

    python projects/autox3d/step_passes.py [--model x3d_s] [--batch 4] [--rounds 3] [--json FILE]

One thread, and the process's own time: what else the machine does counts little. The candidates run in turn: PyTorch in
channels_last_3d, the kernels, and the kernels with activations computed again; ratios are taken within each round. The
passes of the fused batch norm and of the depthwise convolution are timed one by one in further steps.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorchvideo_autox3d.benchmarks.depthwise_shapes import build_model
from pytorchvideo_autox3d.benchmarks.memory import peak_of_step
from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.kernels import (
    batch_norm_cpu,
    batch_norm_kernels,
    depthwise_cpu,
    depthwise_kernels,
    recompute_activations,
)

PASSES = {
    batch_norm_cpu: ("statistics", "apply", "reduce", "gradient"),
    depthwise_cpu: ("forward", "input_gradient", "weight_gradient"),
}
CANDIDATES = {"channels_last_3d": (False, False), "kernels": (True, False), "recomputing": (True, True)}


def make_step(name: str, batch: int) -> tuple[nn.Module, Callable[[], None]]:
    """A network in channels_last_3d, and a call that trains it for one step."""
    torch.manual_seed(0)
    model, clip_size = build_model(name)
    model = model.to(memory_format=torch.channels_last_3d).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    clip = torch.randn(batch, 3, *clip_size).to(memory_format=torch.channels_last_3d)
    label = torch.arange(batch) % 5

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(clip), label).backward()
        optimizer.step()

    return model, step


@contextmanager
def as_candidate(name: str) -> Iterator[None]:
    """Run a step as the candidate `name` does."""
    kernels, recomputes = CANDIDATES[name]
    with depthwise_kernels(kernels), batch_norm_kernels(kernels), recompute_activations(recomputes):
        yield


@contextmanager
def timed_passes(milliseconds: dict[str, float]) -> Iterator[None]:
    """Add up the processor time of every pass of the kernels in `milliseconds`."""
    originals = {(module, name): getattr(module, name) for module, names in PASSES.items() for name in names}

    def wrap(key: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any) -> Any:
            start = time.process_time()
            result = function(*arguments)
            milliseconds[key] = milliseconds.get(key, 0.0) + 1e3 * (time.process_time() - start)
            return result

        return timed

    for (module, name), function in originals.items():
        setattr(module, name, wrap(f"{module.__name__.rpartition('.')[2]}.{name}", function))
    try:
        yield
    finally:
        for (module, name), function in originals.items():
            setattr(module, name, function)


def measure(model: str, batch: int, rounds: int) -> dict[str, Any]:
    """Processor milliseconds of a step by candidate and by pass, ratios to the kernels' step, and peak bytes."""
    net, step = make_step(model, batch)
    times: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for number in range(rounds + 1):
        for name in CANDIDATES:
            with as_candidate(name):
                start = time.process_time()
                step()
            if number > 0:  # the first round compiles kernels and fills caches
                times[name].append(1e3 * (time.process_time() - start))
    passes: dict[str, float] = {}
    with as_candidate("kernels"), timed_passes(passes):
        for _ in range(rounds):
            step()
    peaks = {}
    for name in CANDIDATES:
        with as_candidate(name):
            peaks[name] = peak_of_step(step, [net], torch.device("cpu"))
    return {
        "model": model,
        "batch": batch,
        "rounds": rounds,
        "processor_milliseconds": {name: statistics.median(values) for name, values in times.items()},
        "over_kernels": {
            name: statistics.median(own / kernels for own, kernels in zip(values, times["kernels"], strict=True))
            for name, values in times.items()
        },
        "passes_milliseconds": {name: value / rounds for name, value in sorted(passes.items())},
        "peak_bytes": peaks,
        "memory_ratio": {name: value / peaks["channels_last_3d"] for name, value in peaks.items()},
    }


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="x3d_s")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    found = measure(args.model, args.batch, args.rounds)
    for name, value in found["processor_milliseconds"].items():
        ratio, memory = found["over_kernels"][name], found["memory_ratio"][name]
        print(f"{name:18s} {value:7.0f} ms   {ratio:.3f} of the kernels' time   {memory:.2f} of the memory", flush=True)
    whole = found["processor_milliseconds"]["kernels"]
    for name, value in found["passes_milliseconds"].items():
        print(f"  {name:34s} {value:6.1f} ms   {value / whole:.1%}")
    if args.json:
        write_json(args.json, found)


if __name__ == "__main__":
    main()
