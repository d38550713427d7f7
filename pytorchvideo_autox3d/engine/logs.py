"""Log lines: plain text on stdout and in `stdout.log`, and PySlowFast's `json_stats: {...}`."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import simplejson
import torch

from pytorchvideo_autox3d import distributed

PACKAGE = "pytorchvideo_autox3d"
_FORMAT = "[%(asctime)s][%(levelname)s] %(filename)s: %(lineno)4d: %(message)s"
_logger = logging.getLogger(f"{PACKAGE}.engine")


class _StdoutHandler(logging.StreamHandler[Any]):
    """Writes to whatever `sys.stdout` is at that moment: a live progress bar puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


class _LogFile(logging.FileHandler):
    """Says once that the log can't be written (a full disk), and leaves the job to go on without."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._failed:
            print(f"warning: {self.baseFilename} can't be written: {sys.exc_info()[1]}", file=sys.stderr)
        self._failed = True

    def close(self) -> None:
        with suppress(OSError):  # what could not be written is tried once more here
            super().close()


def setup_logging(output_dir: str | None = None) -> None:
    """Show the package's log on stdout and, on the main process, append it to `<output_dir>/stdout.log`.

    Other processes show warnings and errors only. A second call replaces the handlers of the first.

    Args:
        output_dir: is made where it is missing; None logs to no file.

    Raises:
        OSError: the folder or the file can't be written to.
    """
    logger = logging.getLogger(PACKAGE)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = False
    logger.setLevel(logging.INFO if distributed.is_main() else logging.WARNING)
    handlers: list[logging.Handler] = [_StdoutHandler(sys.stdout)]
    if output_dir is not None and distributed.is_main():
        path = Path(output_dir, "stdout.log")
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_LogFile(path, encoding="utf8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%m/%d %H:%M:%S"))
        logger.addHandler(handler)


def log_json_stats(stats: Mapping[str, Any]) -> None:
    """Log one `json_stats:` line as PySlowFast does, with sorted keys and five decimals, on the main process."""
    if not distributed.is_main():
        return
    rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in stats.items()}
    _logger.info("json_stats: %s", simplejson.dumps(rounded, sort_keys=True, ignore_nan=True))


def gpu_memory_text() -> str:
    """Peak GPU memory of this process, as PySlowFast's "gpu_mem"; 0.00G without a GPU."""
    used = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return f"{used / 1024**3:.2f}G"


def duration_text(seconds: float) -> str:
    """A duration as H:MM:SS, seconds rounded down."""
    whole = max(0, math.floor(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
