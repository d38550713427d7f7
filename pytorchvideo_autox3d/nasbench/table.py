"""The table's file: curves, costs and the card of every network of a space, as plain arrays in one .npz.

Shapes: N networks in the order of the space's candidate indices, the last decision fastest; S seeds, E epochs
after which the network was tested.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import simplejson

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import atomic_write
from pytorchvideo_autox3d.space import Architecture, SearchSpace, space_from_dict, space_to_dict

VERSION = 1
Array = npt.NDArray[Any]
SPLITS = ("val", "test")


@dataclass(frozen=True)
class Table:
    """What the file holds. A training that is missing has -1 in the counts of videos and NaN elsewhere.

    Attributes:
        space: which the networks are of.
        card: how it was made: recipe, data, versions, limits; `videos` gives the number in "val" and "test".
        seeds_S: the seeds of the trainings.
        epochs_E: the epochs after which networks were tested; the last is the end.
        val_right_NSE, test_right_NSE: how many videos were classified correctly after each of them.
        val_loss_NSE, test_loss_NSE: mean cross-entropy in nats.
        seconds_NS: CPU time of training, without the tests.
        macs_N, params_N: multiply-adds of a clip; number of parameters.
        milliseconds_N: latency of one clip; NaN where it was not measured.
    """

    space: SearchSpace
    card: Mapping[str, Any]
    seeds_S: Array
    epochs_E: Array
    val_right_NSE: Array
    test_right_NSE: Array
    val_loss_NSE: Array
    test_loss_NSE: Array
    seconds_NS: Array
    macs_N: Array
    params_N: Array
    milliseconds_N: Array

    @property
    def trained_NS(self) -> Array:
        """Whether the training of a network from a seed is in the table."""
        return np.asarray(self.test_right_NSE[:, :, -1] >= 0)


_ARRAYS = {field.name: field.name.rsplit("_", 1)[0] for field in fields(Table) if field.name not in ("space", "card")}


def all_architectures(space: SearchSpace) -> list[Architecture]:
    """Every network of a space, in the table's order."""
    choices = itertools.product(*(range(len(decision.candidates)) for decision in space.decisions))
    return [Architecture.from_indices(space, row) for row in choices]


def write_table(path: str | Path, table: Table) -> None:
    """Write the file atomically; the same table gives the same bytes.

    Raises:
        AutoX3DError: the file can't be written.
    """
    texts = {"space": simplejson.dumps(space_to_dict(table.space)), "card": simplejson.dumps(table.card, indent=2)}
    arrays: dict[str, Any] = {name: getattr(table, field) for field, name in _ARRAYS.items()}
    arrays |= {name: np.array(text) for name, text in texts.items()}
    with atomic_write(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, version=np.array(VERSION), **arrays)


def read_table(path: str | Path) -> Table:
    """Read what `write_table` wrote.

    Raises:
        DataError: there is no such file, or it is not a table, lacks an array or is of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such table of networks") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path}: not a table of networks: {error}") from None
    version = arrays.get("version")
    if version is None or version.shape != () or int(version) != VERSION:
        found = "without a version" if version is None else f"of version {version}"
        raise DataError(f"{path}: a table {found}; this release reads version {VERSION}")
    missing = [name for name in (*_ARRAYS.values(), "space", "card") if name not in arrays]
    if missing:
        raise DataError(f"{path}: the table lacks {', '.join(missing)}")
    return Table(
        space=space_from_dict(simplejson.loads(str(arrays["space"]))),
        card=simplejson.loads(str(arrays["card"])),
        **{field: arrays[name] for field, name in _ARRAYS.items()},
    )
