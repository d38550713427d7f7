"""`ModelCard`: what must be known beside a network's weights to use them on a video, as plain data.

Training writes it into every checkpoint (key `model_card`), a package keeps it as its JSON file, and an exported file
carries it as metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from pytorchvideo_autox3d.errors import AutoX3DError, ModelError
from pytorchvideo_autox3d.models.net import ClipNet
from pytorchvideo_autox3d.registry import MODEL_REGISTRY
from pytorchvideo_autox3d.space import Architecture

CARD_KEY = "model_card"
"""The key under which a checkpoint holds its card."""

_ARCHITECTURE = "architecture"
_ENSEMBLES = ("sum", "max")
_CHANNELS = {"rgb": 3, "flow": 2, "rgb+flow": 5}


@dataclass(frozen=True)
class Preprocessing:
    """How a clip is taken from a video and made the network's input.

    Attributes:
        num_frames: T, frames of a clip.
        sampling_rate: one frame in so many is taken, counted at `fps` frames a second.
        fps: the rate that frames are counted at; a clip lasts num_frames * sampling_rate / fps seconds.
        crop_size: height and width of the square clip, in pixels.
        short_side: what the video's shorter side is scaled to, in pixels, before the centre is cut out. Where three
            crops are cut, it is scaled to `crop_size`, so that they reach both ends.
        mean, std: of red, green and blue in 0..1; the input is (value - mean) / std.
        modality: "rgb", "flow" or "rgb+flow"; the mean and std are of its 3, 2 or 5 channels.
        frame_sampling: "clip", or "segments": one frame of each of T equal parts of the video, whatever its length.
    Raises:
        ModelError: a value is of the wrong type or out of range; names the field.
    """

    num_frames: int
    sampling_rate: int
    fps: float
    crop_size: int
    short_side: int
    mean: tuple[float, ...] = (0.45, 0.45, 0.45)
    std: tuple[float, ...] = (0.225, 0.225, 0.225)
    frame_sampling: str = "clip"
    modality: str = "rgb"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("num_frames", "sampling_rate", "crop_size", "short_side"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ModelError(f"preprocessing: {name}: {value!r} is no whole number from 1 up")
        if not (isinstance(self.fps, int | float) and self.fps > 0):
            raise ModelError(f"preprocessing: fps: {self.fps!r} is no positive number")
        if self.short_side < self.crop_size:
            raise ModelError(f"preprocessing: short_side: {self.short_side} is below the crop_size {self.crop_size}")
        if self.modality not in _CHANNELS:
            raise ModelError(f"preprocessing: modality: {self.modality!r} is none of {', '.join(_CHANNELS)}")
        channels = _CHANNELS[self.modality]
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != channels or not all(isinstance(value, int | float) for value in values):
                raise ModelError(f"preprocessing: {name}: {list(values)!r} are not {channels} numbers")
        if self.frame_sampling not in ("clip", "segments"):
            raise ModelError(f"preprocessing: frame_sampling: {self.frame_sampling!r} is neither clip nor segments")
        if min(self.std) <= 0:
            raise ModelError(f"preprocessing: std: {list(self.std)!r} are not all positive")

    @property
    def clip(self) -> tuple[int, int, int]:
        """(T, H, W) of the network's input."""
        return self.num_frames, self.crop_size, self.crop_size

    @property
    def seconds(self) -> float:
        """How long one clip lasts, in seconds."""
        return self.num_frames * self.sampling_rate / self.fps

    def short_side_for(self, num_crops: int) -> int:
        """What the shorter side is scaled to, in pixels, where one crop or three (`num_crops`) are cut."""
        return self.crop_size if num_crops == 3 else self.short_side


@dataclass(frozen=True)
class Calibration:
    """What makes a network's scores probabilities, and how high a score must be to be believed.

    Attributes:
        temperature: the logits are divided by it (Guo et al., On Calibration of Modern Neural Networks, 2017).
        threshold: a video whose highest score is below it shows none of the classes.
        ece_before, ece_after: expected calibration error without and with the temperature, from 0 to 1, on the list of
            videos that it was fitted on.
        list_hash: of that list.
    Raises:
        ModelError: a value is out of range; names the field.
    """

    temperature: float
    threshold: float
    ece_before: float
    ece_after: float
    list_hash: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.temperature, int | float) and self.temperature > 0):
            raise ModelError(f"calibration: temperature: {self.temperature!r} is no positive number")
        for name in ("threshold", "ece_before", "ece_after"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= 1):
                raise ModelError(f"calibration: {name}: {value!r} is no number from 0 to 1")

    @classmethod
    def from_dict(cls, data: Any) -> Calibration:
        """Read the fields from a mapping with their names.

        Raises:
            ModelError: a key is missing or unknown, or a value is out of range; names it.
        """
        return cls(**_keys_of(cls, data, "calibration"))


@dataclass(frozen=True)
class ModelCard:
    """A network, its classes, and how its input is made; `to_dict` gives it as plain data for JSON.

    Attributes:
        model: its name in the MODEL registry.
        arguments: of its builder, without the number of classes; an architecture is in the form of its JSON.
        num_classes: K.
        preprocessing: how a clip is made.
        classes: the K names in the order of their numbers, or none where training knew none.
        num_clips, num_crops: views of a video, as the test of the training's config takes them.
        ensemble: how views are combined: "sum" (the mean of their softmax scores) or "max".
        calibration: of the scores, where `autox3d calibrate` has fitted one.
    Raises:
        ModelError: a value is of the wrong type or out of range, or there are not K different names; names the field.
    """

    model: str
    arguments: Mapping[str, Any]
    num_classes: int
    preprocessing: Preprocessing
    classes: tuple[str, ...] = ()
    num_clips: int = 10
    num_crops: int = 3
    ensemble: str = "sum"
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.classes, Sequence) or isinstance(self.classes, str):
            raise ModelError(f"classes: expected a list of names, found {type(self.classes).__name__}")
        object.__setattr__(self, "classes", tuple(self.classes))
        if type(self.num_classes) is not int or self.num_classes < 1:
            raise ModelError(f"num_classes: {self.num_classes!r} is no whole number from 1 up")
        if self.classes and len(self.classes) != self.num_classes:
            raise ModelError(f"classes: {len(self.classes)} names for a network of {self.num_classes} classes")
        if not all(isinstance(name, str) for name in self.classes) or len(set(self.classes)) < len(self.classes):
            raise ModelError("classes: expected names, each once")
        if type(self.num_clips) is not int or self.num_clips < 1 or self.num_crops not in (1, 3):
            raise ModelError(f"views: {self.num_clips!r}x{self.num_crops!r}, expected 1 or more clips x 1 or 3 crops")
        if self.ensemble not in _ENSEMBLES:
            raise ModelError(f"ensemble: {self.ensemble!r} is neither {' nor '.join(_ENSEMBLES)}")
        if not isinstance(self.arguments, Mapping):
            raise ModelError(f"arguments: expected a mapping, found {type(self.arguments).__name__}")
        plain = {
            key: value.to_dict() if isinstance(value, Architecture) else value for key, value in self.arguments.items()
        }
        object.__setattr__(self, "arguments", plain)

    @property
    def labels(self) -> tuple[str, ...]:
        """The K names, or the classes' numbers where there are no names."""
        return self.classes or tuple(map(str, range(self.num_classes)))

    def build(self, *, num_classes: int | None = None) -> ClipNet:
        """The network with freshly initialised weights.

        Args:
            num_classes: another number of classes than the card's.
        Raises:
            RegistryError: no model has the card's name.
            ModelError: the model does not take the card's arguments, or one is out of range.
            SpaceError: the arguments hold an architecture that is none.
        """
        builder = MODEL_REGISTRY.get(self.model, key="model")
        arguments = dict(self.arguments)
        if arguments.get(_ARCHITECTURE) is not None:
            arguments[_ARCHITECTURE] = Architecture.from_dict(arguments[_ARCHITECTURE])
        try:
            network: ClipNet = builder(model_num_class=num_classes or self.num_classes, **arguments)
        except TypeError as error:
            raise ModelError(f"arguments: {self.model} can't be built from {sorted(arguments)}: {error}") from None
        return network

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` is its inverse."""
        preprocessing = {**asdict(self.preprocessing), "mean": list(self.preprocessing.mean)}
        preprocessing["std"] = list(self.preprocessing.std)
        return {**asdict(self), "classes": list(self.classes), "preprocessing": preprocessing}

    @classmethod
    def from_dict(cls, data: Any, *, source: str) -> ModelCard:
        """Read what `to_dict` gave.

        Args:
            data: the mapping.
            source: where it was read, for the error.
        Raises:
            ModelError: a key is missing, unknown or of a wrong value; names `source` and the key.
        """
        try:
            values = _keys_of(cls, data, "the card")
            preprocessing = Preprocessing(**_keys_of(Preprocessing, values.pop("preprocessing"), "preprocessing"))
            if values.get("calibration") is not None:
                values["calibration"] = Calibration.from_dict(values["calibration"])
            return cls(preprocessing=preprocessing, **values)
        except (AutoX3DError, TypeError) as error:  # a value of another type than its field
            raise ModelError(f"{source}: {error}") from None


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Architecture) else value


def _keys_of(kind: type, data: Any, what: str) -> dict[str, Any]:
    """Check a mapping's keys against a dataclass's fields, and return it as a dictionary.

    Args:
        kind: the dataclass.
        data: the mapping.
        what: what it describes, for the error.
    Raises:
        ModelError: it is no mapping, or a key is missing or unknown.
    """
    if not isinstance(data, Mapping):
        raise ModelError(f"{what}: expected a mapping, found {type(data).__name__}")
    known = fields(kind)
    unknown = sorted(set(data) - {one.name for one in known})
    if unknown:
        raise ModelError(f"{what}: unknown key {unknown[0]!r}")
    absent = [one.name for one in known if one.name not in data and one.default is MISSING]
    if absent:
        raise ModelError(f"{what}: has no {absent[0]!r}")
    return dict(data)
