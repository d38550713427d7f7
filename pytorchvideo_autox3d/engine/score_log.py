"""Writes the scores of a test to disk as they come, so that a test that was stopped or killed goes on where it was.

    <folder>/about.json             what the scores are of: checkpoint, list, config, as hashes
    <folder>/part_00000.scores      records that process 0 has appended: video, view, label, score, checksum

Shapes: B views in a batch, K classes.
"""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.plain_data import parse_json

_logger = logging.getLogger(__name__)


class ScoreLog:
    """Appends this process's scores, and finds those that an earlier run of the same test left.

    Every process of the job makes one at the same time; the earlier run may have had another number of processes.

    Args:
        folder: for this test alone. It is made where it is missing, and emptied if it is of another test.
        about: strings that identify the test.
        num_classes: K.
        num_views: views of each video; a video with fewer scores counts as not scored.

    Attributes:
        scored: the videos that have all their scores.
        found: the records of these: video, view, label and score.

    Raises:
        EvaluationError: a file can't be written.
    """

    def __init__(self, folder: str, about: Mapping[str, str], *, num_classes: int, num_views: int) -> None:
        self._folder = Path(folder)
        self._record = np.dtype(
            [("video", "<i8"), ("view", "<i8"), ("label", "<i8"), ("score", "<f4", (num_classes,)), ("sum", "<u4")]
        )
        if distributed.is_main():
            self._open_folder({**about, "classes": str(num_classes), "views": str(num_views)})
        distributed.barrier()
        parts = {path: self._whole_records(path) for path in sorted(self._folder.glob("part_*.scores"))}
        found = np.concatenate([np.zeros(0, self._record), *parts.values()])
        counts = Counter(found["video"].tolist())
        self.scored: frozenset[int] = frozenset(video for video, count in counts.items() if count >= num_views)
        self.found: NDArray[Any] = found[np.isin(found["video"], list(self.scored))]
        distributed.barrier()  # all have read before anyone appends
        own = self._folder / f"part_{distributed.rank():05d}.scores"
        self._file: IO[bytes] = self._open(own, len(parts.get(own, ())))

    def append(self, video_B: Tensor, view_B: Tensor, label_B: Tensor, score_BK: Tensor) -> None:
        """Write the scores of a batch of views; once this returns, they are not lost when the process is killed.

        Raises:
            EvaluationError: it can't be written; names the file.
        """
        records = np.zeros(len(video_B), self._record)
        records["video"], records["view"], records["label"] = video_B.cpu(), view_B.cpu(), label_B.cpu()
        records["score"] = score_BK.detach().float().cpu().numpy()
        records["sum"] = _checksums(records)
        try:
            self._file.write(records.tobytes())
            self._file.flush()
        except OSError as error:
            raise EvaluationError(f"can't write {self._file.name}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def remove(self) -> None:
        """Delete the folder: the test is over, its results are written."""
        distributed.barrier()
        if distributed.is_main():
            shutil.rmtree(self._folder, ignore_errors=True)

    def _open_folder(self, about: Mapping[str, str]) -> None:
        path = self._folder / "about.json"
        try:
            before = parse_json(path.read_text(encoding="utf8")) if path.is_file() else None
        except (OSError, ValueError):
            before = {}
        if before == dict(about):
            return
        if before is not None:
            _logger.info("%s is of another test: scoring everything anew", self._folder)
        shutil.rmtree(self._folder, ignore_errors=True)
        write_json(path, dict(about))

    def _whole_records(self, path: Path) -> NDArray[Any]:
        """The records up to the first that is cut or changed."""
        content = path.read_bytes()
        whole = len(content) // self._record.itemsize
        records = np.frombuffer(content, self._record, count=whole)
        broken = np.flatnonzero(records["sum"] != _checksums(records))
        return records[: broken[0]] if len(broken) else records

    def _open(self, path: Path, records: int) -> IO[bytes]:
        """Open the file to append to, after cutting off what follows its whole records."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            os.ftruncate(handle, records * self._record.itemsize)
            os.lseek(handle, 0, os.SEEK_END)
            return os.fdopen(handle, "wb")
        except OSError as error:
            raise EvaluationError(f"can't write {path}: {error.strerror or error}") from error


def _checksums(records: NDArray[Any]) -> NDArray[np.uint32]:
    """CRC-32 of each record without its own field, the last."""
    size = records.dtype.itemsize
    content = memoryview(records.tobytes())
    sums = [zlib.crc32(content[start : start + size - 4]) for start in range(0, len(content), size)]
    return np.array(sums, dtype=np.uint32)
