"""`autox3d serve --model M`: a web page on this machine that tells what videos show."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from pytorchvideo_autox3d.commands.model_arguments import add_model, recognizer_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the address, and what may be uploaded."""
    add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="this machine alone, or 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=None, help="default: the first free one from 7860 on")
    parser.add_argument("--max-megabytes", type=float, default=200, help="of an uploaded file")
    parser.add_argument("--max-minutes", type=float, default=20, help="of a video")


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    from pytorchvideo_autox3d.predict.web import Limits, served

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave as by Ctrl-C, uploads removed
    limits = Limits(args.max_megabytes, args.max_minutes)
    recognizer = recognizer_of(args)
    with served(recognizer, title=f"autox3d: {args.model}", limits=limits, host=args.host, port=args.port) as address:
        print(f"serving on {address} (Ctrl-C stops it)", flush=True)
        threading.Event().wait()
