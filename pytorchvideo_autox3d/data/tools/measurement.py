"""Reads one video file to its end, and records what that finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.pyav_reader import NoVideoStreamError, PyAVReader
from pytorchvideo_autox3d.data.time_limit import call_within
from pytorchvideo_autox3d.errors import DecodeError

MISSING, UNREADABLE, NO_STREAM, BROKEN = "missing", "unreadable", "no video stream", "decode error"
TOO_SHORT, WRONG_SIZE, VARIABLE_RATE = "too short", "wrong size", "variable frame rate"
TWO_LABELS, UNNAMED_CLASS = "two labels", "no class name"
FAULTS = (
    MISSING, UNREADABLE, NO_STREAM, BROKEN, TOO_SHORT, WRONG_SIZE, VARIABLE_RATE, TWO_LABELS, UNNAMED_CLASS
)  # fmt: skip
_SPARE_FRAMES = 2  # placeholders at the end that never were pictures, as XviD leaves them
# Frame periods vary by rounding to the container's unit, 1 ms in Matroska: that is no variable rate.
_ROUNDING_SECONDS, _ROUNDING_SHARE = 0.0021, 0.2


@dataclass(frozen=True)
class Measurement:
    """What reading a file to its end found.

    Attributes:
        problem: one of `FAULTS`, or "" where there is none.
        detail: the message that goes with it.
        num_frames, fps, height, width: from the packets and the header; 0 where the file could not be read so far.
        bad_frame: the number of the first frame that can't be decoded, or -1.
        variable_rate: frames are not evenly spread in time.
    """

    problem: str = ""
    detail: str = ""
    num_frames: int = 0
    fps: float = 0.0
    height: int = 0
    width: int = 0
    bad_frame: int = -1
    variable_rate: bool = False


def measure_video(path: str, *, seconds: float = 0) -> Measurement:
    """Decode a video to its end. For a file that can't be read, no error is raised; the result has a `problem`.

    Args:
        path: the video.
        seconds: the time after which it is given up as "unreadable"; 0 waits for ever.

    Raises:
        DataError: too many files have been given up and still have not returned.
    """
    if not g_pathmgr.exists(path):
        return Measurement(MISSING, "no such file")
    try:
        return call_within(lambda: _measure(path), seconds=seconds, path=path)
    except NoVideoStreamError as error:
        return Measurement(NO_STREAM, _without(path, error))
    except DecodeError as error:
        return Measurement(UNREADABLE, _without(path, error))


def _measure(path: str) -> Measurement:
    with PyAVReader(path) as reader:
        found = reader.metadata()
        times: list[float | None] = []
        message = ""
        try:
            for time, whole in reader.scan():
                if not whole:
                    message = "damaged"
                    break
                times.append(time)
        except DecodeError as error:
            message = _without(path, error)
        if not message and len(times) < found.num_frames - _SPARE_FRAMES:
            message = "the file ends"
    bad = len(times) if message else -1
    detail = f"frame {bad} of {found.num_frames}: {message}" if message else ""
    return Measurement(
        BROKEN if message else "", detail, found.num_frames, found.fps, found.height, found.width, bad, _varies(times)
    )


def _varies(times: list[float | None]) -> bool:
    known = [time for time in times if time is not None]
    if len(known) < 3 or len(known) < len(times):
        return False
    periods = np.diff(np.array(sorted(known)))
    tolerance = max(_ROUNDING_SECONDS, _ROUNDING_SHARE * float(np.median(periods)))
    return bool(np.ptp(periods) > tolerance)


def _without(path: str, error: DecodeError) -> str:
    return str(error).removeprefix(f"{path}: ")
