"""A progress bar for the main process on a terminal; elsewhere nothing is shown, as log lines say the same."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pytorchvideo_autox3d import distributed


class ProgressBar:
    """One line with a title, a bar, the number done, the time elapsed, and a text of the caller's.

    Args:
        console: where to draw; by default stdout.
    """

    def __init__(self, *, console: Console | None = None) -> None:
        console = console or Console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            disable=not (console.is_terminal and distributed.is_main()),
        )
        self._task: TaskID | None = None

    def start(self, title: str, total: int, *, done: int = 0) -> None:
        """Show a new bar in place of the one before, with `done` of `total` already done."""
        self._progress.start()
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(title, total=total, completed=done, text="")

    def update(self, done: int, text: str = "") -> None:
        """Set the number done and the text."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, text=text)

    def stop(self) -> None:
        """Stop drawing and leave the terminal to others."""
        self._progress.stop()
