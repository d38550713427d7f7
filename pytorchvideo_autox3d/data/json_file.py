"""Reading json that a user wrote."""

from __future__ import annotations

from typing import Any

import simplejson
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.plain_data import parse_json


def read_json(path: str) -> Any:
    """Parse a json file.

    Raises:
        DataError: it is missing, can't be read or is not json; names the file, and the line where there is one.
    """
    try:
        with g_pathmgr.open(path, "r", encoding="utf-8-sig") as file:
            return parse_json(file.read())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: can't read it: {error.strerror or error}") from None
    except simplejson.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not json: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not json: no UTF-8 at byte {error.start}") from None
