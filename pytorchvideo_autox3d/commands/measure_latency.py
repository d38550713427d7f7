"""`autox3d measure-latency --space S --backend B --output TABLE`: milliseconds of every choice of a space."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytorchvideo_autox3d.commands.arguments import check_at_least, clip_of
from pytorchvideo_autox3d.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The space, its clip, what runs it, and the table."""
    parser.add_argument("--space", default="table2", help="a built-in name or a yaml file")
    parser.add_argument("--clip", default="13x160", metavar="TxS", help="frames x crop")
    parser.add_argument("--backend", default="eager", help="eager, onnx, openvino or executorch")
    parser.add_argument("--threads", type=int, default=None, help="default: torch's number")
    parser.add_argument("--batch", type=int, default=1, help="clips a pass")
    parser.add_argument("--repeats", type=int, default=7, help="timed passes of each piece")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the table (JSON)")
    parser.add_argument("--machine", default=None, help="with --measured: the name that the script was given")
    parser.add_argument(
        "--export-blocks", type=Path, default=None, metavar="FOLDER",
        help="for another machine: write the pieces as ONNX with a script that times them, and measure nothing here",
    )  # fmt: skip
    parser.add_argument(
        "--measured", type=Path, default=None, metavar="FILE", help="make the table of what that script measured"
    )


def run(args: argparse.Namespace) -> None:
    """Measure, or go on with a measurement; then make the table and say how well it predicts whole networks."""
    check_at_least(args, 1, "batch", "repeats", *(["threads"] if args.threads is not None else []))
    if args.export_blocks and args.measured:
        raise ConfigError("--export-blocks and --measured are two ends of one way: give one of them")
    if args.machine and not args.measured:
        raise ConfigError("--machine names where --measured was measured; what is measured here is of this machine")

    import simplejson
    import torch

    from pytorchvideo_autox3d import latency
    from pytorchvideo_autox3d.analysis import machine_name
    from pytorchvideo_autox3d.files import write_json
    from pytorchvideo_autox3d.space import load_space

    space, clip = load_space(args.space), clip_of(args.clip)
    machine = args.machine or machine_name()
    elsewhere = args.export_blocks or args.measured
    backend, threads = "onnx" if elsewhere else args.backend, args.threads or torch.get_num_threads()
    setting = latency.Setting(space.name, clip, args.batch, backend, threads, machine)
    pieces = latency.pieces_to_measure(space, clip, backend)
    if args.export_blocks:
        latency.write_portable(pieces, setting, args.export_blocks)
        print(f"{len(pieces)} pieces: run {args.export_blocks}/run_blocks.py on the other machine")
        return
    if args.measured:
        measured = latency.read_measured(args.measured, setting)
        absent = [key for key in pieces if key not in measured]
        if absent:
            raise ConfigError(f"{args.measured}: {len(absent)} of {len(pieces)} pieces are not measured: {absent[0]!r}")
    else:
        measured = latency.measure_pieces(
            pieces, setting, args.output.with_name(f"{args.output.stem}.pieces.json"), repeats=args.repeats
        )
    table, agreement = latency.make_table(space, setting, measured)
    table.to_json(args.output)
    written = simplejson.loads(args.output.read_text(encoding="utf8"))
    write_json(args.output, {**written, "agreement": agreement.to_dict()})
    print(f"{args.output}: {len(pieces)} pieces of {space.name} at {args.clip} by {setting.backend}, {setting.threads} "
          f"threads, {machine}")  # fmt: skip
    print(agreement)
