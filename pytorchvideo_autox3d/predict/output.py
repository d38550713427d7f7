"""Predictions as text: a table on the terminal, JSON lines, csv; and a file of them that can be continued."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import simplejson
from rich import box
from rich.table import Table
from rich.text import Text

from pytorchvideo_autox3d.errors import AutoX3DError, DataError, printable
from pytorchvideo_autox3d.files import write_text

NONE_OF_THESE = "none of these"
"""Shown for a video whose highest score is below the calibration's threshold."""


def json_line(record: Mapping[str, Any]) -> str:
    """A record as JSON on one line, whatever is in its names."""
    return str(simplejson.dumps(record, ignore_nan=True))


def csv_header(top: int, *, segments: bool = False) -> str:
    """The first line of the csv whose rows `csv_lines` makes."""
    if segments:
        return _csv(["video", "start", "end", "label", "score", "error"])
    pairs = [name for rank in range(1, top + 1) for name in (f"label_{rank}", f"score_{rank}")]
    return _csv(["video", *pairs, "rejected", "error"])


def csv_lines(record: Mapping[str, Any], top: int, *, segments: bool = False) -> list[str]:
    """A record's rows as csv.

    Args:
        record: as `Prediction.to_dict` or `Timeline.to_dict` gives it, or "video" and "error".
        top: how many classes a row has.
        segments: whether to make a row for each segment rather than one for the video.
    """
    if segments and "segments" in record:
        columns = ("start", "end", "label", "score")
        return [_csv([record["video"], *(one[name] for name in columns), ""]) for one in record["segments"]]
    if segments:
        return [_csv([record["video"], "", "", "", "", record["error"]])]
    pairs = [item for pair in record.get("top", ()) for item in pair]
    pairs += [""] * (2 * top - len(pairs))
    return [_csv([record["video"], *pairs, record.get("rejected", ""), record.get("error", "")])]


def _csv(values: Iterable[Any]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="").writerow(values)
    return stream.getvalue()


def table_of(records: Sequence[Mapping[str, Any]]) -> Table:
    """A table with a row for each video; of a single video, also the next classes and a row for each of its clips."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("video", overflow="fold")
    single = len(records) == 1
    for name in ("seconds", "label", "score", "next") if single else ("label", "score"):
        table.add_column(name, no_wrap=name != "next")
    for record in records:
        top = record["top"]
        if record.get("rejected"):
            top = [[NONE_OF_THESE, top[0][1]], *top]
        label, score, following = _cells(top)
        row = ("", label, score, following) if single else (label, score)
        table.add_row(Text(printable(record["video"])), *row)
        for clip in record["clips"] if single and len(record["clips"]) > 1 else ():
            table.add_row("", f"{clip['start']:.1f} to {clip['end']:.1f}", *_cells(clip["top"]), style="dim")
    return table


def segment_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """A table with a row for each segment of each video."""
    table = Table("video", "from", "to", "label", "score", box=box.SIMPLE_HEAD)
    for record in records:
        for number, one in enumerate(record["segments"]):
            video = Text("" if number else printable(record["video"]), overflow="fold")
            table.add_row(
                video, _clock(one["start"]), _clock(one["end"]), Text(printable(one["label"])), f"{one['score']:.3f}"
            )
    return table


def _clock(seconds: float) -> str:
    """`75.25` -> `1:15.2`; hours where there are any."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _cells(top: Sequence[Sequence[Any]]) -> tuple[Text, str, Text]:
    (label, score), *others = top
    following = ", ".join(f"{name} {value:.3f}" for name, value in others[:2])
    return Text(printable(label)), f"{score:.3f}", Text(printable(following))


class ResumableRecords:
    """Records of a list of videos, kept as they come in `<path>.partial` and written to `path` when all are there.

    Args:
        path: ends in .csv, or else holds JSON lines.
        made_with: what the records depend on (the model, its views); a file begun with something else is refused.
    Raises:
        DataError: `path` is a folder, or `<path>.partial` was begun with something else, or is damaged.
    """

    def __init__(self, path: str | Path, made_with: Mapping[str, Any]) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise DataError(f"{path}: is a folder: name a file")
        self.partial = Path(f"{path}.partial")
        self._made_with = simplejson.loads(simplejson.dumps(made_with))
        self.records = self._begun() if self.partial.is_file() else {}

    @contextmanager
    def appending(self) -> Iterator[None]:
        """Open `<path>.partial`; inside the `with`, `add` may be called.

        An exception before there is any record leaves no file.

        Raises:
            AutoX3DError: the file can't be written.
        """
        try:
            self.partial.parent.mkdir(parents=True, exist_ok=True)
            # Written anew, so that a line that was cut short is gone.
            lines = [json_line(self._made_with), *map(json_line, self.records.values())]
            write_text(self.partial, "".join(f"{line}\n" for line in lines))
            with self.partial.open("a", encoding="utf8") as self._stream:
                try:
                    yield
                except BaseException:
                    if not self.records:
                        self.partial.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise AutoX3DError(f"can't write {self.partial}: {error.strerror or error}") from error

    def add(self, record: Mapping[str, Any]) -> None:
        """Keep one video's record."""
        self.records[record["video"]] = dict(record)
        self._stream.write(json_line(record) + "\n")
        self._stream.flush()

    def finish(self, videos: Iterable[str], *, top: int) -> None:
        """Write `path`, and remove the partial file.

        Args:
            videos: the order of the records; those without one are left out.
            top: how many classes a csv's row has.
        """
        chosen = [self.records[video] for video in videos if video in self.records]
        if self.path.suffix == ".csv":
            segments = bool(self._made_with.get("segments"))
            rows = (line for record in chosen for line in csv_lines(record, top, segments=segments))
            lines = [csv_header(top, segments=segments), *rows]
        else:
            lines = [json_line(record) for record in chosen]
        write_text(self.path, "".join(f"{line}\n" for line in lines))
        os.remove(self.partial)

    def _begun(self) -> dict[str, dict[str, Any]]:
        """Read the records of an earlier run.

        Raises:
            DataError: they were made with something else, or the file is damaged.
        """
        lines = self.partial.read_text(encoding="utf8").splitlines()
        rows = [_parsed(line) for line in lines]
        if rows and rows[-1] is None:  # cut short by an interruption
            rows.pop()
        if None in rows or not rows:
            raise DataError(f"{self.partial}: is no file of predictions: remove it, or name another")
        if rows[0] != self._made_with:
            differs = next(key for key in self._made_with if rows[0].get(key) != self._made_with[key])
            raise DataError(f"{self.partial}: was begun with another {differs}: remove it, or name another file")
        return {row["video"]: row for row in rows[1:]}


def _parsed(line: str) -> Any:
    try:
        return simplejson.loads(line)
    except simplejson.JSONDecodeError:
        return None


def write_records(
    records: Iterable[Mapping[str, Any]], stream: TextIO, *, form: str, top: int, segments: bool = False
) -> None:
    """Write records as they come.

    Args:
        records: as for `csv_lines`.
        stream: where to.
        form: "json" for JSON lines, or "csv".
        top: how many classes a csv's row has.
        segments: whether a csv has a row for each segment.
    """
    if form == "csv":
        print(csv_header(top, segments=segments), file=stream)
    for record in records:
        lines = csv_lines(record, top, segments=segments) if form == "csv" else [json_line(record)]
        print("\n".join(lines), file=stream, flush=True)
