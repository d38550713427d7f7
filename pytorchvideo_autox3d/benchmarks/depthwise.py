"""`autox3d bench depthwise`: the depthwise convolution kernels against torch's, shape by shape, beside the limit.

The shapes are those that models meet in training. All candidates of a shape run in turn, round after round, so that
a busy machine slows all of them alike: in its turn each runs once unmeasured, to have its own code and tensors in the
caches, and then three times. Figures are medians. On a CPU freed memory is kept, as in training. The limit of a pass
is the larger of two times: the bytes that must move (each tensor read or written once) over the machine's copy
bandwidth, and the multiply-adds over its rate of a large matrix product; both are measured first, with the same
threads.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from pytorchvideo_autox3d.benchmarks.depthwise_shapes import Shape, shapes_of
from pytorchvideo_autox3d.benchmarks.machine_rates import copy_rate, multiply_add_rate, synchronise
from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.kernels.depthwise import DepthwiseConv3d, depthwise_kernels

PASSES = ("forward", "backward", "both")
_TORCH = ("torch_channels_last", "torch_contiguous")
# Longest that one candidate of one shape is timed for, and the least rounds whatever they take.
_SECONDS_PER_SHAPE = 2.0
_LEAST_ROUNDS = 2
_CALLS_PER_TURN = 3
# Unmeasured rounds at first: until then the allocator still asks the system for memory.
_SETTLING_ROUNDS = 3


def run(
    models: Sequence[str] = ("x3d_s", "x3d_m", "autox3d_s", "demo"),
    batches: Sequence[int] = (4, 32),
    *,
    device: str = "cpu",
    dtype: str = "float32",
    repeats: int = 7,
    most_gigabytes: float = 2.0,
) -> dict[str, Any]:
    """Time every depthwise shape of the models' training: ours and torch's two layouts.

    Args:
        models: names in the hub, or "demo".
        batches: numbers of clips in a step.
        device: "cpu" or "cuda".
        dtype: "float32", "bfloat16" or (GPU only) "float16".
        repeats: rounds; fewer where a round takes more than a second.
        most_gigabytes: shapes whose input is larger are listed as left out.
    Returns:
        The machine's measured rates, a row for each shape, and the shapes left out; plain data.
    Raises:
        ModelError: no such model.
    """
    element = getattr(torch, dtype)
    if device == "cpu":
        keep_freed_memory()
    named: dict[Shape, list[str]] = {}
    for name in models:
        for batch in batches:
            for shape in shapes_of(name, batch):
                named.setdefault(shape, []).append(f"{name}/{batch}")
    rates = {
        "copy_bytes_per_second": copy_rate(device),
        "multiply_adds_per_second": multiply_add_rate(device),
    }
    rows, left_out = [], []
    bar = ProgressBar()
    try:
        bar.start("depthwise shapes", len(named))
        for number, (shape, users) in enumerate(named.items()):
            bar.update(number, " ".join(map(str, shape.input)))
            if prod(shape.input) * element.itemsize > most_gigabytes * 1e9:
                left_out.append({**asdict(shape), "models": users})
            else:
                rows.append({**asdict(shape), "models": users, **_measure(shape, device, element, repeats, rates)})
    finally:
        bar.stop()
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        **rates,
        "rows": rows,
        "left_out": left_out,
    }


def _candidate(
    shape: Shape, layout: torch.memory_format, kernels: bool, device: str, dtype: torch.dtype
) -> Callable[[], tuple[float, float]]:
    """A call that runs forward and backward once and returns the seconds of each."""
    channels = shape.input[1]
    padding = tuple(size // 2 for size in shape.kernel)
    conv = DepthwiseConv3d(channels, channels, shape.kernel, shape.stride, padding, groups=channels, bias=False)  # type: ignore[arg-type]
    conv = conv.to(device, dtype)
    clip = torch.randn(shape.input, device=device, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    with depthwise_kernels(kernels):
        grad = torch.randn_like(conv(clip)).contiguous(memory_format=layout)

    def once() -> tuple[float, float]:
        with depthwise_kernels(kernels):
            synchronise(device)
            start = time.perf_counter()
            out = conv(clip)
            synchronise(device)
            middle = time.perf_counter()
            torch.autograd.grad(out, (clip, conv.weight), grad)
            synchronise(device)
            return middle - start, time.perf_counter() - middle

    return once


def _measure(shape: Shape, device: str, dtype: torch.dtype, repeats: int, rates: dict[str, float]) -> dict[str, Any]:
    last, plain = torch.channels_last_3d, torch.contiguous_format
    candidates = {
        "kernels": _candidate(shape, last, True, device, dtype),
        "torch_channels_last": _candidate(shape, last, False, device, dtype),
        "torch_contiguous": _candidate(shape, plain, False, device, dtype),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for call in [*candidates.values()] * _SETTLING_ROUNDS:
        call()
    start = time.perf_counter()
    for index in range(repeats):
        if index >= _LEAST_ROUNDS and time.perf_counter() - start > _SECONDS_PER_SHAPE * len(candidates):
            break
        for name, call in candidates.items():
            call()
            times[name] += [call() for _ in range(_CALLS_PER_TURN)]
    return _summarise(shape, times, dtype, rates)


def _passes(pairs: list[tuple[float, float]], pick: Callable[[Iterable[float]], float]) -> dict[str, float]:
    """One figure in milliseconds for each pass, from the seconds of (forward, backward) in each round."""
    return {
        "forward": 1e3 * pick(forward for forward, _ in pairs),
        "backward": 1e3 * pick(backward for _, backward in pairs),
        "both": 1e3 * pick(forward + backward for forward, backward in pairs),
    }


def _summarise(
    shape: Shape, times: dict[str, list[tuple[float, float]]], dtype: torch.dtype, rates: dict[str, float]
) -> dict[str, Any]:
    """Milliseconds of each candidate and pass, the gain over the better of torch's layouts, the share of the limit."""
    milliseconds = {name: _passes(pairs, statistics.median) for name, pairs in times.items()}
    fastest = {name: _passes(pairs, min) for name, pairs in times.items()}
    result: dict[str, Any] = {
        "milliseconds": milliseconds,
        "fastest_milliseconds": fastest,
        "gain": {},
        "gain_fastest": {},
        "share_of_limit": {},
    }
    for which, count in zip(PASSES, (1, 2, 3), strict=True):
        ours = milliseconds["kernels"][which]
        moved = shape.values_moved(which) * dtype.itemsize / rates["copy_bytes_per_second"]
        computed = count * shape.multiply_adds / rates["multiply_adds_per_second"]
        result["gain"][which] = min(milliseconds[name][which] for name in _TORCH) / ours
        result["gain_fastest"][which] = min(fastest[name][which] for name in _TORCH) / fastest["kernels"][which]
        result["share_of_limit"][which] = 1e3 * max(moved, computed) / ours
    return result


def print_table(result: dict[str, Any]) -> None:
    """Print what `run` returned."""
    table = Table("input", "kernel", "ours", "torch cl", "torch", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("gain fwd", "gain", "limit fwd", "limit"):
        table.add_column(heading, justify="right", width=5)
    for row in result["rows"]:
        times = [
            f"{row['milliseconds'][name]['forward']:.2f} {row['milliseconds'][name]['backward']:.2f}"
            for name in ("kernels", *_TORCH)
        ]
        gains = [f"{row['gain'][which]:.1f}" for which in ("forward", "both")]
        shares = [f"{100 * row['share_of_limit'][which]:.0f}%" for which in ("forward", "both")]
        kernel = "x".join(map(str, row["kernel"])) + (f"/{row['stride'][1]}" if row["stride"][1] > 1 else "")
        table.add_row(",".join(map(str, row["input"])), kernel, *times, *gains, *shares)
    console = Console()
    console.print(table)
    console.print(
        f"Milliseconds forward and backward, medians of {_CALLS_PER_TURN} warm calls in each of up to "
        f"{result['repeats']} rounds in turn; {result['threads']} threads, {result['dtype']}, {result['device']}. "
        "cl: channels_last_3d. Gain: over the better of torch's two layouts, forward alone and forward + backward; "
        "limit: the share reached of the machine's own, "
        f"{result['copy_bytes_per_second'] / 1e9:.1f} GB/s copied and "
        f"{result['multiply_adds_per_second'] / 1e9:.0f} G multiply-adds/s. "
        f"Left out for their size: {len(result['left_out'])}."
    )
