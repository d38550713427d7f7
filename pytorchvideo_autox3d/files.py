"""Writing files so that a reader never sees half of one: beside the target first, then renamed over it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import simplejson

from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to, which then replaces `path`; after an error it is removed.

    Args:
        path: of the file to write; its folder is made where it is missing.

    Raises:
        AutoX3DError: the folder can't be made or written to; names the path.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        os.replace(beside, path)
    except OSError as error:
        raise AutoX3DError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically.

    Raises:
        AutoX3DError: the file can't be written.
    """
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf8")


def write_json(path: str | Path, value: Any) -> None:
    """Write plain data as indented JSON, atomically; NaN and infinity become null, which every JSON reader takes.

    Raises:
        AutoX3DError: the file can't be written.
    """
    write_text(path, simplejson.dumps(value, indent=2, ignore_nan=True) + "\n")


def refuse_overwriting(option: str, targets: Iterable[str | Path], sources: Iterable[str]) -> None:
    """Check that none of the files to write is one of those to read.

    Args:
        option: that names what is written, for the message.
        targets: the files to write.
        sources: the files to read.
    Raises:
        ConfigError: one of them is; names both.
    """
    read = {os.path.realpath(source): source for source in sources}
    for target in targets:
        source = read.get(os.path.realpath(target))
        if source is not None:
            raise ConfigError(f"{option}: {target} would replace {source}, which is read: name another")
