"""Measured milliseconds of every choice of a space, as a JSON file: what a latency budget looks up.

The file holds `space` (a built-in name or the space itself), `clip` [T, H, W], `batch`, `backend`, `threads`,
`machine`, and the milliseconds: `fixed`, `groups` (nested lists by entering width, kernel, channels, expansion,
attention; one width enters the first group, the stem's) and `head` (by the last width). `agreement` says, where it is
there, how well whole networks were predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejson
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.analysis.additive import AdditiveCost, FloatArray
from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.plain_data import parse_json
from pytorchvideo_autox3d.space import SearchSpace, load_space, space_from_dict, space_to_dict
from pytorchvideo_autox3d.space.loading import check_keys

_KEYS = ("space", "clip", "batch", "backend", "threads", "machine", "fixed", "groups", "head")


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of a forward pass that add up over neighbouring groups.

    Attributes:
        space: the one whose choices were measured.
        clip: (T, H, W).
        batch: clips in a forward pass.
        backend, threads, machine: with what and where it was measured.
        cost: the milliseconds.
        source: the file, for messages.
    """

    space: SearchSpace
    clip: tuple[int, int, int]
    batch: int
    backend: str
    threads: int
    machine: str
    cost: AdditiveCost
    source: str = "the latency table"

    def check(
        self, space: SearchSpace, clip: tuple[int, int, int], *, machine: str, backend: str = "", threads: int = 0
    ) -> None:
        """Check that the table was measured for given networks and conditions.

        Args:
            space, clip: of the networks whose milliseconds are looked up.
            machine: on which they will run.
            backend, threads: with which they will run; "" and 0 accept any.

        Raises:
            SpaceError: it was measured for something else; names what differs.
        """
        if tuple(clip) != self.clip:
            raise SpaceError(f"{self.source}: was measured at clips of {_times(self.clip)}, not {_times(clip)}")
        if (space.groups, space.stem, space.head) != (self.space.groups, self.space.stem, self.space.head):
            raise SpaceError(f"{self.source}: was measured over space {self.space.name!r}, not {space.name!r}")
        for name, found, meant in (
            ("machine", self.machine, machine),
            ("backend", self.backend, backend or self.backend),
            ("threads", self.threads, threads or self.threads),
        ):
            if found != meant:
                raise SpaceError(f"{self.source}: was measured with {name} {found!r}, meant is {meant!r}")

    def to_json(self, path: str | Path) -> None:
        """Write the file that `from_json` reads.

        Raises:
            AutoX3DError: it can't be written.
        """
        write_json(
            path,
            {
                "space": space_to_dict(self.space),
                "clip": list(self.clip),
                "batch": self.batch,
                "backend": self.backend,
                "threads": self.threads,
                "machine": self.machine,
                "fixed": self.cost.fixed,
                "groups": [group.tolist() for group in self.cost.groups],
                "head": self.cost.head.tolist(),
            },
        )

    @classmethod
    def from_json(cls, path: str | Path) -> LatencyTable:
        """Read a table.

        Raises:
            SpaceError: the file is missing or not JSON, lacks a key, or its numbers don't fit its space; names the file
                and the key.
        """
        if not g_pathmgr.isfile(str(path)):
            raise SpaceError(f"no latency table {str(path)!r}")
        try:
            with g_pathmgr.open(str(path), "r", encoding="utf8") as file:
                data = parse_json(file.read())
        except (simplejson.JSONDecodeError, UnicodeDecodeError) as error:
            raise SpaceError(f"{path}: not JSON: {error}") from None
        try:
            return cls._from_dict(data, source=str(path))
        except SpaceError as error:
            raise SpaceError(f"{path}: {error}") from None

    @classmethod
    def _from_dict(cls, data: Any, *, source: str) -> LatencyTable:
        values = check_keys("the latency table", data, required=_KEYS, optional=("agreement",))
        space = values["space"]
        space = load_space(space) if isinstance(space, str) else space_from_dict(space)
        clip = values["clip"]
        if not (isinstance(clip, list) and len(clip) == 3 and all(type(size) is int and size > 0 for size in clip)):
            raise SpaceError(f"clip: {clip!r} is not [T, H, W]")
        groups = values["groups"]
        if not isinstance(groups, list) or len(groups) != len(space.groups):
            raise SpaceError(f"groups: expected a list of {len(space.groups)}")
        entering = [1, *(len(group.channels) for group in space.groups)]
        shapes = [
            (width, len(group.kernels), len(group.channels), len(group.expansions), len(group.attentions))
            for width, group in zip(entering, space.groups, strict=False)
        ]
        cost = AdditiveCost(
            float(_milliseconds("fixed", values["fixed"], ())),
            tuple(
                _milliseconds(f"groups: group {number}", group, shape)
                for number, (group, shape) in enumerate(zip(groups, shapes, strict=True), start=1)
            ),
            _milliseconds("head", values["head"], (entering[-1],)),
        )
        about = {key: values[key] for key in ("batch", "backend", "threads", "machine")}
        return cls(space=space, clip=tuple(clip), cost=cost, source=source, **about)


def _milliseconds(key: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError):
        raise SpaceError(f"{key}: not numbers in the shape {list(shape)}") from None
    if array.shape != shape:
        raise SpaceError(f"{key}: numbers in the shape {list(array.shape)}, expected {list(shape)}")
    if not (np.isfinite(array) & (array >= 0)).all():
        raise SpaceError(f"{key}: a time that is not 0 or more milliseconds")
    return array


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
