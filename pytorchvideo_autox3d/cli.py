"""The `autox3d` command: finds the subcommand, runs it, and turns our errors into one line and exit code 1."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pytorchvideo_autox3d import __version__
from pytorchvideo_autox3d.errors import AutoX3DError, Interrupted

# Read when torch loads, so set before any command imports it. OpenMP's default, to spin for milliseconds at barriers,
# makes a small model's step several times slower as soon as another process wants the same cores; not to spin at all
# costs a step on an idle machine half again its time. Microseconds are enough for the next operation to follow.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

COMMANDS: dict[str, str] = {
    "run": "train, test or search from yaml configs; the same as tools/run_net.py",
    "doctor": "versions, optional parts and what each is for, video decoders, devices",
    "demo": "make the demo data, train and compare small models on it, write a report",
    "make-demo-data": "render the eight-camera-motions data set from photographs",
    "make-bench-data": "render the data set on which networks and searches are compared, from photographs",
    "check-data": "read every video of a list to the end: a clean list, and a report of faults",
    "resize-data": "re-encode a list of videos with a small short side",
    "make-flow": "compute the optical flow of a list's videos, for networks of flow",
    "make-mini-kinetics": "draw Mini-Kinetics-200's lists, or smaller ones, from Kinetics' lists",
    "show-clips": "a picture of the clips that a config trains on, augmentation included",
    "predict": "what videos show: the classes of highest score, by a checkpoint or a package",
    "calibrate": "fit temperature and rejection threshold of a model on labelled videos",
    "extract-features": "features of clips, pooled or as maps, into .npz or .safetensors",
    "probe": "k-NN and linear classifiers on extracted features",
    "gradcam": "where and when a network looked: overlay video and contact sheet",
    "serve": "a web page on this machine: drop a video, see what it shows when",
    "package": "a checkpoint as a folder to give away: weights, card with measured figures, README",
    "export": "a model as a file for ONNX Runtime, OpenVINO, ExecuTorch, LiteRT, Core ML or torch; compared with eager",
    "measure-latency": "milliseconds of every choice of a space on this machine: the table that a latency budget takes",
    "complexity": "multiply-adds, parameters and largest activation of an architecture",
    "fuse": "late fusion of two tests' results, as of colours and flow",
    "draw": "draw an architecture in the manner of the paper's Figure 5",
    "convert-checkpoint": "public weights (PySlowFast, PyTorchVideo, torchvision, TSM) as ours; X3D's both ways",
    "plot-search": "pictures of a search: its curve, the policy, the filters' coverage",
    "plan": "step time, efficiency and days of a training or a search on N processes",
    "bench": "benchmarks: cost, model, depthwise, step, loader, deploy, nas, search",
}


INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def run_safely(command: Callable[[], Any]) -> int:
    """Run a command, and print one line for an error of the error family or a stop.

    Returns:
        The exit code: 0; 1 after a user's error; 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        command()
    except Interrupted as stop:
        say(f"interrupted: {stop}")
        return stop.exit_code
    except AutoX3DError as error:
        say(f"error: {error}")
        return 1
    except (RuntimeError, MemoryError) as error:
        line = _out_of_memory(error) or _lost_worker(error)
        if line is None:
            raise
        say(f"error: {line}")
        return 1
    except BrokenPipeError:
        # The reader (head, less) has what it wants; a second failure at exit would only be noise.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _out_of_memory(error: Exception) -> str | None:
    """What to say where torch or numpy was refused memory; on a CPU torch's exception tells it by its text alone."""
    refused = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if not refused and "can't allocate memory" not in str(error):
        return None
    wanted = re.search(r"tried to allocate ([\d.]+ \w+)", str(error), re.IGNORECASE)
    return (
        f"out of memory{f', asked for {wanted[1]} more' if wanted else ''}: smaller batches or clips "
        "(TRAIN.BATCH_SIZE, TEST.BATCH_SIZE, --batch) need less, in training AUTOX3D.RECOMPUTE_ACTIVATIONS and "
        "MODEL.ACT_CHECKPOINT too"
    )


def _lost_worker(error: Exception) -> str | None:
    """What to say where a process of the loader has died."""
    if not isinstance(error, RuntimeError) or not str(error).startswith("DataLoader worker"):
        return None
    from pytorchvideo_autox3d.data import lost_worker  # torch is loaded: the error is its

    return str(lost_worker(error) or error)


def say(line: str) -> None:
    """Print a line on stderr, once a machine where torchrun's processes would all print it."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from pytorchvideo_autox3d.distributed import said_before

        if said_before(line):
            return
    print(line, file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script and of `python -m pytorchvideo_autox3d`; returns the exit code.

    Args:
        argv: the arguments after the program's name; by default those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="autox3d", description="AutoX3D: efficient video recognition networks.")
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name in arguments[:1]:
            module = importlib.import_module(f"pytorchvideo_autox3d.commands.{name.replace('-', '_')}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    return run_safely(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
