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
        self._files: dict[str, str] = {}
        index = self.folder / INDEX
        if index.is_file():
            content = read_index(self.folder)
            self._files = {row["video"]: row["file"] for row in content["videos"]} | content.get("files", {})
            before = content["made_with"]
            differs = [key for key in self._made_with if before.get(key) != self._made_with[key]]
            if differs:
                raise DataError(f"{index}: was begun with another {differs[0]}: name another folder")

    def extract(
        self,
        recognizer: Recognizer,
        videos: Sequence[str],
        function: Callable[[Tensor], Tensor],
        *,
        labels: Sequence[int] | Sequence[str] | None = None,
        on_fault: Callable[[Any, DecodeError], None] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> int:
        """Write the files that are not there yet, then the index.

        A file holds `features`, one row for each view, and `spans`, start and end of each view in seconds. It is named
        after its video; the index remembers which file is whose, since several videos may have one name.

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
        left = [video for video in videos if not self._there(video)]
        names = self._named(left)
        self._files |= names
        self._write_index([])  # so that a folder that is not finished says what it was begun with
        done = len(videos) - len(left)
        for video, clips in recognizer.decoded(left, on_fault=on_fault):
            features = function(clips.clip_VCTHW).numpy()
            self._write(self._files[str(video)], {"features": features, "spans": np.array(clips.spans, np.float32)})
            done += 1
            progress(done)
        there = [n for n, video in enumerate(videos) if self._there(video)]
        entries = [{"video": videos[n], **({"label": labels[n]} if labels is not None else {})} for n in there]
        self._write_index(entries)
        if not any((self.folder / file).is_file() for file in self._files.values()):
            (self.folder / INDEX).unlink()  # nothing could be read, now or earlier
        return len(entries)

    def _there(self, video: str) -> bool:
        return video in self._files and (self.folder / self._files[video]).is_file()

    def _named(self, videos: Sequence[str]) -> dict[str, str]:
        """A file's name for each video: that of an earlier run, or one that no other video has."""
        taken = {Path(file).stem for file in self._files.values()}
        if self.folder.is_dir():
            taken |= {file.stem for file in self.folder.glob(f"*{self._suffix}")}
        fresh = [video for video in videos if video not in self._files]
        names = unique_names(fresh, taken=taken)
        return {video: self._files.get(video) or f"{names[video]}{self._suffix}" for video in videos}

    def _write_index(self, entries: Sequence[Mapping[str, Any]]) -> None:
        rows = [{**entry, "file": self._files[entry["video"]]} for entry in entries]
        write_json(self.folder / INDEX, {"made_with": self._made_with, "videos": rows, "files": self._files})

    def _write(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        with atomic_write(self.folder / name) as beside:
            if self._suffix == ".safetensors":
                beside.write_bytes(save({key: np.ascontiguousarray(array) for key, array in arrays.items()}))
            else:
                with open(beside, "wb") as stream:
                    np.savez(stream, **arrays)  # type: ignore[arg-type]


def read_index(folder: str | Path) -> dict[str, Any]:
    """Read a folder's index.

    Returns:
        "made_with"; "videos", one entry for each (video, file and, where known, label: a name, or a number where there
        are no names); and "files", the file of every video that was ever asked for here.

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
