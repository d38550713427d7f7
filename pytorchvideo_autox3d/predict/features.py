"""Features of clips: what the network's classifier, or its head, receives.

Shapes: V views of a video, C channels, T', H', W' of the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import simplejson
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor

from pytorchvideo_autox3d.errors import ConfigError, DataError, DecodeError
from pytorchvideo_autox3d.files import atomic_write, write_json
from pytorchvideo_autox3d.models import ClipNet
from pytorchvideo_autox3d.predict.recognizer import Recognizer
from pytorchvideo_autox3d.predict.records import unique_names

Kind = Literal["pooled", "map"]
SUFFIXES = (".npz", ".safetensors")
INDEX = "index.json"


def feature_function(recognizer: Recognizer, kind: Kind) -> Callable[[Tensor], Tensor]:
    """Make a function from uint8 clip_VCTHW to features, on the CPU.

    Args:
        recognizer: whose network is used.
        kind: "pooled" for what the classifier receives, (V, C), averaged over positions where there are several; "map"
            for what the head receives, (V, C, T', H', W').
    Raises:
        ConfigError: the network is an exported one; or, when the function is called, "map" is asked for and the network
            has several pathways.
    """
    network = recognizer.network
    if not isinstance(network, ClipNet):
        raise ConfigError("features: an exported network has none: name the checkpoint or the package")

    def map_of(clip_BCTHW: Tensor) -> Tensor:
        found = network.forward_features(clip_BCTHW)
        if not isinstance(found, Tensor):
            raise ConfigError("features: a network of several pathways has no single map: take pooled features")
        return found

    def pooled(clip_BCTHW: Tensor) -> Tensor:
        with _classifier_input(network) as received:
            network(clip_BCTHW)
        (features,) = received
        return features.reshape(len(features), -1, features.shape[-1]).mean(dim=1)

    return lambda clip_VCTHW: recognizer.run(pooled if kind == "pooled" else map_of, clip_VCTHW)


@contextmanager
def _classifier_input(network: ClipNet) -> Iterator[list[Tensor]]:
    """Inside the `with`, each input of the last layer is appended to the list that is given."""
    received: list[Tensor] = []
    handle = network.blocks[-1].proj.register_forward_pre_hook(lambda module, inputs: received.append(inputs[0]))
    try:
        yield received
    finally:
        handle.remove()


class FeatureFolder:
    """A folder with a file of features for every video, and `index.json`, which lists them.

    Args:
        folder: made where there is none.
        made_with: what the features depend on; a folder begun with something else is refused.
        suffix: one of `SUFFIXES`.

    Raises:
        ConfigError: an unknown suffix.
        DataError: the folder was begun with something else.
    """

    def __init__(self, folder: str | Path, made_with: Mapping[str, Any], *, suffix: str) -> None:
        if suffix not in SUFFIXES:
            raise ConfigError(f"features: {suffix!r} is none of {', '.join(SUFFIXES)}")
        self.folder, self._suffix = Path(folder), suffix
        self._made_with = simplejson.loads(simplejson.dumps({**made_with, "suffix": suffix}))
        index = self.folder / INDEX
        if index.is_file():
            before = read_index(self.folder)["made_with"]
            differs = [key for key in self._made_with if before.get(key) != self._made_with[key]]
            if differs:
                raise DataError(f"{index}: was begun with another {differs[0]}: name another folder")

    def extract(
        self,
        recognizer: Recognizer,
        videos: Sequence[str],
        function: Callable[[Tensor], Tensor],
        *,
        labels: Sequence[int] | None = None,
        on_fault: Callable[[Any, DecodeError], None] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> int:
        """Write the files that are not there yet, then the index.

        A file holds `features`, one row for each view, and `spans`, start and end of each view in seconds.

        Args:
            recognizer: decodes the videos.
            videos: their paths.
            function: what `feature_function` made.
            labels: the videos' classes, kept in the index.
            on_fault: as of `Recognizer.predict`.
            progress: told how many videos are done.
        Returns:
            How many videos have a file now.
        Raises:
            DecodeError: a video can't be read, and there is no `on_fault`.
        """
        names = {video: f"{name}{self._suffix}" for video, name in unique_names(videos).items()}
        self._write_index([], names)  # so that a folder that is not finished says what it was begun with
        left = [video for video in videos if not (self.folder / names[video]).is_file()]
        done = len(videos) - len(left)
        for video, clips in recognizer.decoded(left, on_fault=on_fault):
            features = function(clips.clip_VCTHW).numpy()
            self._write(names[str(video)], {"features": features, "spans": np.array(clips.spans, np.float32)})
            done += 1
            progress(done)
        there = [n for n, video in enumerate(videos) if (self.folder / names[video]).is_file()]
        entries = [{"video": videos[n], **({"label": int(labels[n])} if labels is not None else {})} for n in there]
        self._write_index(entries, names)
        return len(entries)

    def _write_index(self, entries: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
        rows = [{**entry, "file": names[entry["video"]]} for entry in entries]
        write_json(self.folder / INDEX, {"made_with": self._made_with, "videos": rows})

    def _write(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        with atomic_write(self.folder / name) as beside:
            if self._suffix == ".safetensors":
                beside.write_bytes(save({key: np.ascontiguousarray(array) for key, array in arrays.items()}))
            else:
                with open(beside, "wb") as stream:
                    np.savez(stream, **arrays)  # type: ignore[arg-type]


def read_index(folder: str | Path) -> dict[str, Any]:
    """Read a folder's index: "made_with", and "videos", one entry for each (video, file and, where known, label).

    Raises:
        DataError: there is no index, or the file is none.
    """
    path = Path(folder, INDEX)
    try:
        content = simplejson.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        raise DataError(f"{path}: no index of features: make them with autox3d extract-features") from None
    if not isinstance(content, dict) or not {"made_with", "videos"} <= set(content):
        raise DataError(f"{path}: is no index of features")
    return content


def read_features(path: str | Path) -> np.ndarray:
    """Read the features in a file, one row for each view.

    Raises:
        DataError: the file holds none; names it.
    """
    try:
        if str(path).endswith(".safetensors"):
            features: np.ndarray = load_file(path)["features"]
        else:
            with np.load(path, allow_pickle=False) as content:
                features = content["features"]
    except (OSError, ValueError, KeyError, EOFError, SafetensorError) as error:
        raise DataError(f"{path}: holds no features: {str(error).splitlines()[0]}") from None
    return features
