"""A network and its card from a checkpoint: of this library, or of any harness whose config is at hand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import simplejson
import yaml
from iopath.common.file_io import g_pathmgr
from torch import Tensor

from pytorchvideo_autox3d.config import get_cfg, leaves, load_cfg
from pytorchvideo_autox3d.config.imports import KEY as IMPORTS_KEY
from pytorchvideo_autox3d.data import ClassNames
from pytorchvideo_autox3d.data.json_file import read_json
from pytorchvideo_autox3d.engine import checkpoint_model_state, load_model_state, read_checkpoint
from pytorchvideo_autox3d.errors import AutoX3DError, CheckpointError, DataError, ModelError, RegistryError
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.jobs.build import build_card
from pytorchvideo_autox3d.models import CARD_KEY, Calibration, ClipNet, ModelCard, file_hash
from pytorchvideo_autox3d.models.package import CARD_FILE, WEIGHTS_FILE, find_package
from pytorchvideo_autox3d.models.x3d_checkpoints import convert_state
from pytorchvideo_autox3d.plain_data import parse_yaml

_CALIBRATION = ".calibration.json"


def load_checkpoint(
    path: str, *, cfg: str | None = None, classes: str | Sequence[str] | None = None
) -> tuple[ClipNet, ModelCard]:
    """Load a network with its weights, and its card, from a checkpoint.

    The card is made from `cfg` where it is given (the classes' names still come from the checkpoint's card), else it is
    the checkpoint's card, else it is made from the config that checkpoints hold as text. No module that a checkpoint
    names is imported: a checkpoint must not decide which code runs.

    Args:
        path, cfg, classes: see `Recognizer.from_checkpoint`.
    Raises:
        CheckpointError: the file is no checkpoint, or its weights do not fit.
        ModelError: it does not say what is needed to use it; names what to give.
        ConfigError: `cfg` can't be used.
        DataError: the classes' names can't be read.
    """
    checkpoint = read_checkpoint(path)
    names = read_names(classes) if isinstance(classes, str) else tuple(classes) if classes is not None else None
    card = _card(checkpoint, path, cfg, names)
    network = _built(card, checkpoint, path)
    load_model_state(network, _state(checkpoint, path, card), path)
    network.card = card
    return network, card


def _built(card: ModelCard, checkpoint: Mapping[str, Any], path: str) -> ClipNet:
    """Build the card's network.

    Raises:
        ModelError: a part of it is not registered, such as a user's own whose module was not imported.
    """
    try:
        return card.build()
    except RegistryError as error:
        missing = str(error).partition(";")[0]
        modules = _named_modules(checkpoint)
        if not modules:
            raise ModelError(f"{path}: {error}") from None
        raise ModelError(
            f"{path}: {missing}; it was trained with {IMPORTS_KEY} {modules}, and what a checkpoint names is not "
            f"imported: give a config that has {IMPORTS_KEY} (--cfg FILE.yaml, cfg=...), if you trust it"
        ) from None


def _named_modules(checkpoint: Mapping[str, Any]) -> list[str]:
    """The modules that AUTOX3D.IMPORTS names in the config that the checkpoint holds."""
    try:
        found = dict(leaves(parse_yaml(checkpoint["cfg"]))).get(IMPORTS_KEY)
    except (KeyError, AttributeError, AutoX3DError, yaml.YAMLError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def _state(checkpoint: Mapping[str, Any], path: str, card: ModelCard) -> Mapping[str, Tensor]:
    """The weights under our names, to which those of an X3D that PySlowFast trained are renamed.

    Raises:
        CheckpointError: they can't be renamed.
    """
    state = checkpoint_model_state(checkpoint, path)
    if card.model != "X3D":
        return state
    try:
        return convert_state(state, "pytorchvideo")
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def read_names(path: str) -> tuple[str, ...]:
    """Read the classes' names from a file.

    Args:
        path: .json, a list or {name: number}; else plain text with a name on every line.
    Raises:
        DataError: the file can't be read, or is of another form.
    """
    if not path.endswith(".json"):
        try:
            with g_pathmgr.open(path, "r", encoding="utf-8-sig") as file:
                return tuple(line.strip() for line in file if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: can't read the classes' names: {error}") from None
    return ClassNames.read(path).names


def _card(checkpoint: Mapping[str, Any], path: str, cfg: str | None, names: tuple[str, ...] | None) -> ModelCard:
    """The card of a checkpoint, with the classes and the calibration that belong to it.

    Raises:
        ModelError: the checkpoint does not say its classes or its clips, or the names do not fit the network.
    """
    if cfg is None and CARD_KEY in checkpoint:
        card = ModelCard.from_dict(checkpoint[CARD_KEY], source=path)
    else:
        card = _card_of_config(checkpoint, path, cfg)
        if names is None and CARD_KEY in checkpoint:
            names = ModelCard.from_dict(checkpoint[CARD_KEY], source=path).classes
        if names is None:
            raise ModelError(f"{path}: does not name its classes: give a classes.json (--classes FILE, classes=...)")
    calibration = kept_calibration(path) or card.calibration
    try:
        return replace(card, classes=card.classes if names is None else names, calibration=calibration)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def keep_calibration(model: str, calibration: Calibration) -> Path:
    """Write a calibration into a package's card, or into a file beside a checkpoint or an exported file.

    Args:
        model: the path of any of them.
        calibration: what to write.
    Returns:
        The file that was written.
    Raises:
        ModelError: the model is no checkpoint and no package of the user's own.
    """
    path = calibration_file(model)
    if os.path.isfile(model):
        write_json(path, {**asdict(calibration), "sha256": file_hash(model)})
    else:
        write_json(path, {**simplejson.loads(path.read_text(encoding="utf8")), "calibration": asdict(calibration)})
    return path


def calibration_file(model: str) -> Path:
    """The file in which `keep_calibration` keeps a model's calibration.

    Raises:
        ModelError: the model is no checkpoint and no package of the user's own.
    """
    if os.path.isfile(model):
        return Path(model + _CALIBRATION)
    folder = find_package(model)
    if folder != Path(model):
        raise ModelError(
            f"{model}: is shared by all who use it, and not changed: make a package of your own first "
            f"(autox3d package --model {model} --output FOLDER)"
        )
    return folder / CARD_FILE


def model_hash(model: str) -> str:
    """The SHA-256 of a model's weights: of a checkpoint, of an exported file, or of the weights in a package."""
    if model.endswith(".xml"):
        return file_hash(Path(model).with_suffix(".bin"))  # OpenVINO's weights lie beside its graph
    return file_hash(model if os.path.isfile(model) else find_package(model) / WEIGHTS_FILE)


def kept_calibration(path: str) -> Calibration | None:
    """The calibration beside a checkpoint or an exported file; None where there is none.

    Raises:
        ModelError: it was made of another file, or can't be read.
    """
    file = path + _CALIBRATION
    if not os.path.isfile(file):
        return None
    content = read_json(file)
    if not isinstance(content, dict) or content.pop("sha256", None) != file_hash(path):
        raise ModelError(f"{file} is of another file of weights: remove it, or run autox3d calibrate again")
    return Calibration.from_dict(content)


def _card_of_config(checkpoint: Mapping[str, Any], path: str, cfg: str | None) -> ModelCard:
    """The card made from the given config, or from the one that the checkpoint holds.

    Raises:
        ModelError: there is neither, or the checkpoint's own can't be used.
    """
    if cfg is not None:
        return build_card(load_cfg(cfg))
    text = checkpoint.get("cfg")
    if not isinstance(text, str) or not text.strip():
        raise ModelError(
            f"{path}: says neither its architecture nor its clips: give the config it was trained with "
            "(--cfg FILE.yaml, cfg=...)"
        )
    try:
        return build_card(load_cfg([], _known_options(text)))
    except (AutoX3DError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: the config in it can't be used ({reason}): give one (--cfg FILE.yaml)") from None


def _known_options(text: str) -> list[Any]:
    """The keys of a config that this library has too, as KEY VALUE pairs; PySlowFast's has hundreds more.

    AUTOX3D.IMPORTS is left out, since reading it would import what it names.

    Raises:
        ModelError: the text is no mapping.
    """
    known = dict(leaves(get_cfg()))
    values = parse_yaml(text)
    if not isinstance(values, dict):
        raise ModelError(f"expected keys and values, got {type(values).__name__}")
    found = [(key, value) for key, value in leaves(values) if key in known and key != IMPORTS_KEY]
    return [item for pair in found for item in pair]
