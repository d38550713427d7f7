"""`autox3d run` and `tools/run_net.py`: train, test or search from PySlowFast-style yaml configs."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence

from pytorchvideo_autox3d.errors import ConfigError

HARNESSES = ("native", "slowfast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """PySlowFast's arguments, and the choice of the harness."""
    parser.add_argument(
        "--cfg", dest="cfg_files", nargs="+", required=True, metavar="YAML", help="config files, read in turn"
    )
    parser.add_argument("--shard_id", type=int, default=None, help="number of this machine, from 0")
    parser.add_argument("--num_shards", type=int, default=None, help="how many machines take part")
    parser.add_argument(
        "--init_method", default=None, help="tcp://HOST:PORT of machine 0; a free port when there is one"
    )
    parser.add_argument("--harness", choices=HARNESSES, default="native", help="who trains: this package or PySlowFast")
    parser.add_argument("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="override keys")
    parser.add_argument("rest", nargs="*", metavar="KEY VALUE", help="the same, without --opts")


def split_config_files(items: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split what follows --cfg into yaml files and the KEY VALUE pairs after them.

    Raises:
        ConfigError: the first item is not a yaml file.
    """
    count = next((i for i, item in enumerate(items) if not item.endswith((".yaml", ".yml"))), len(items))
    if count == 0:
        raise ConfigError(f"--cfg: {items[0]!r} is no .yaml file")
    return list(items[:count]), list(items[count:])


def run(args: argparse.Namespace) -> None:
    """Load the config and hand it to the harness."""
    files, overrides = split_config_files(args.cfg_files)
    opts = [*overrides, *args.rest, *args.opts]
    for key, value in (("SHARD_ID", args.shard_id), ("NUM_SHARDS", args.num_shards)):
        if value is not None:
            opts += [key, str(value)]
    if args.harness == "slowfast":
        from pytorchvideo_autox3d.slowfast import harness

        harness.run(files, opts, init_method=args.init_method)
        return
    from pytorchvideo_autox3d import jobs
    from pytorchvideo_autox3d.cli import say
    from pytorchvideo_autox3d.config import load_cfg

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        cfg = load_cfg(files, opts)
    for warning in caught:
        say(f"warning: {warning.message}")
    jobs.launch(cfg, init_method=args.init_method)
