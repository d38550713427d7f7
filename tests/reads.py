"""Which keys of a config a piece of code really reads: what `config.readers` is compared with."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from yacs.config import CfgNode

# What reads every key without using it: checks of values, translation between the harnesses, yacs itself.
_BOOKKEEPING = ("yacs.", "fvcore.common.config", "pytorchvideo_autox3d.config.", __name__,
                "pytorchvideo_autox3d.slowfast.configuration", "pytorchvideo_autox3d.slowfast.preflight",
                "pytorchvideo_autox3d.slowfast.rules", "slowfast.config.")  # fmt: skip


@contextlib.contextmanager
def recorded_reads(cfg: CfgNode | None = None) -> Iterator[set[str]]:
    """The dotted keys whose values are read inside, of `cfg` and its copies, or of any config without it."""
    seen: set[str] = set()
    if cfg is not None:
        cfg.__dict__["_path"] = ""

    def getitem(node: CfgNode, name: str) -> Any:
        value = dict.__getitem__(node, name)
        if cfg is not None and "_path" not in node.__dict__:
            return value
        path = f"{node.__dict__.get('_path', '')}{name}"
        if isinstance(value, CfgNode):
            value.__dict__["_path"] = f"{path}."
        elif not _reader().startswith(_BOOKKEEPING):
            seen.add(path)
        return value

    CfgNode.__getitem__ = getitem
    try:
        yield seen
    finally:
        del CfgNode.__getitem__


def _reader() -> str:
    """The module that asked, past yacs's own attribute access and `value_at`."""
    frame = sys._getframe(2)
    while frame.f_globals["__name__"] in ("yacs.config", "pytorchvideo_autox3d.config.keys"):
        frame = frame.f_back
    return frame.f_globals["__name__"]
