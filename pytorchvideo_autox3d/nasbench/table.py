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

import numpy as np
import numpy.typing as npt
import simplejson

from pytorchvideo_autox3d.errors import DataError, SpaceError
from pytorchvideo_autox3d.files import atomic_write
from pytorchvideo_autox3d.plain_data import parse_json
from pytorchvideo_autox3d.space import Architecture, SearchSpace, space_from_dict, space_to_dict

VERSION = 1
Array = npt.NDArray[Any]
SPLITS = ("val", "test")


@dataclass(frozen=True)
class Table:
    """What the file holds. A training that is missing has -1 in the counts of videos and NaN elsewhere.

    Attributes:
        space: which the networks are of.
        card: how it was made: recipe, data, versions, limits. Read from it are `videos`, the number in "train", "val"
            and "test", `clip` (T, H, W), `num_classes` and the recipe's `batch_size`.
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
_WHOLE = ("seeds", "epochs", "val_right", "test_right", "macs", "params")
_CARD_COUNTS = (
    ("videos", "train"), ("videos", "val"), ("videos", "test"), ("num_classes",), ("recipe", "batch_size"),
)  # fmt: skip


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
        DataError: there is no such file, or it is not a table or of another version, or lacks an array; or an array or
            the card is not what `Table` says. Names the file, and the array or the card's key.
    """
    arrays = _read_arrays(path)
    try:
        _check_names(arrays)
        table = Table(
            space=_space(str(arrays["space"])),
            card=_parsed("card", str(arrays["card"])),
            **{field: arrays[name] for field, name in _ARRAYS.items()},
        )
        _check_card(table.card)
        _check_shapes(table)
        _check_values(table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return table


def _read_arrays(path: str | Path) -> dict[str, Array]:
    """All arrays of an .npz by their names; `DataError` names the file where it is none."""
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(f"{path}: not a table of networks: one array, not an .npz of several")
        with file:
            arrays = dict(file)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path or repr('')}: no such table of networks") from None
    # Damaged bytes end in whatever part of zipfile, zlib, numpy or tokenize meets them, each with errors of its own.
    except Exception as error:
        raise DataError(f"{path}: not a table of networks: {error}") from error
    for name, array in arrays.items():  # numpy gives the bytes of a member that does not begin as an array
        if not isinstance(array, np.ndarray):
            raise DataError(f"{path}: not a table of networks: {name} is no array")
    return arrays


def _check_names(arrays: Mapping[str, Array]) -> None:
    version = arrays.get("version")
    if version is None or version.shape != () or version.dtype.kind not in "iu" or version != VERSION:
        found = "without a version" if version is None else f"of version {version}"
        raise DataError(f"a table {found}; this release reads version {VERSION}")
    missing = [name for name in (*_ARRAYS.values(), "space", "card") if name not in arrays]
    if missing:
        raise DataError(f"the table lacks {', '.join(missing)}")


def _parsed(name: str, text: str) -> Any:
    try:
        return parse_json(text)
    except simplejson.JSONDecodeError as error:
        raise DataError(f"{name} is not JSON: {error}") from error


def _space(text: str) -> SearchSpace:
    try:
        return space_from_dict(_parsed("space", text))
    except SpaceError as error:
        raise DataError(f"space: {error}") from error


def _check_card(card: Any) -> None:
    """Check the part of the card that queries and comparisons read."""
    for *above, last in _CARD_COUNTS:
        node = card
        for key in above:
            node = node.get(key) if isinstance(node, Mapping) else None
        value = node.get(last) if isinstance(node, Mapping) else None
        if not _is_count(value):
            raise DataError(f"card: {'.'.join((*above, last))} is {value!r}, expected a whole number from 1")
    clip = card.get("clip")
    if not isinstance(clip, list) or len(clip) != 3 or not all(map(_is_count, clip)):
        raise DataError(f"card: clip is {clip!r}, expected three whole numbers from 1 (T, H, W)")


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _check_shapes(table: Table) -> None:
    sizes = {"N": table.space.size, "S": table.seeds_S.size, "E": table.epochs_E.size}
    for field, name in _ARRAYS.items():
        array, shape = getattr(table, field), tuple(sizes[letter] for letter in field.rsplit("_", 1)[1])
        numbers, kinds = ("whole numbers", "iu") if name in _WHOLE else ("numbers", "iuf")
        if array.shape != shape or array.dtype.kind not in kinds:
            raise DataError(f"{name} has {array.dtype} of shape {array.shape}, expected {numbers} of shape {shape}")


def _check_values(table: Table) -> None:
    if not table.seeds_S.size or len(set(table.seeds_S.tolist())) < table.seeds_S.size:
        raise DataError(f"seeds are {table.seeds_S.tolist()}, expected at least one, and each once")
    epochs = table.epochs_E.tolist()
    if not epochs or epochs[0] < 1 or epochs != sorted(set(epochs)):
        raise DataError(f"epochs are {epochs}, expected at least one, ascending from 1 or more")
    if table.macs_N.min() < 1:
        raise DataError(f"macs holds {table.macs_N.min()}, expected 1 or more")
    for split in SPLITS:
        right_NSE, videos = getattr(table, f"{split}_right_NSE"), table.card["videos"][split]
        if right_NSE.min() < -1 or right_NSE.max() > videos:
            raise DataError(f"{split}_right goes from {right_NSE.min()} to {right_NSE.max()}, expected -1 to {videos}")
    for split in SPLITS:  # a -1 of a training that is there would be taken for a count
        if ((getattr(table, f"{split}_right_NSE") >= 0) != table.trained_NS[:, :, None]).any():
            raise DataError(f"{split}_right is -1 for other trainings than the last epoch of test_right")
