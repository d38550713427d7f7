"""Packages: a trained network as a folder that can be given away.

    model.safetensors   the weights
    config.json         the card: network, classes, clip, normalisation, views; what was measured; licence; SHA-256
    README.md           the same for people to read

The file names are those of the Hugging Face hub's models. Nothing in a package is code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simplejson
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import AutoX3DError, ModelError
from pytorchvideo_autox3d.files import atomic_write, write_json, write_text
from pytorchvideo_autox3d.models.card import ModelCard
from pytorchvideo_autox3d.models.net import ClipNet
from pytorchvideo_autox3d.models.package_readme import package_readme
from pytorchvideo_autox3d.plain_data import parse_json

WEIGHTS_FILE, CARD_FILE, README_FILE = "model.safetensors", "config.json", "README.md"
FORMAT = "autox3d-package"
_VERSION = 1
_SHIPPED = Path(__file__).with_name("packages")


@dataclass(frozen=True)
class Release:
    """What a package says beside the card of its network.

    Attributes:
        name: a short one, for people.
        description: one sentence: what was trained, and on what.
        license: of the weights, as SPDX spells it.
        measured: what was measured, by name (top1_acc, latency_ms, machine, list_hash, ...).
    """

    name: str
    description: str = ""
    license: str = "Apache-2.0"
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Package:
    """A package on the disk, its card read and its weights checked against their hash."""

    folder: Path
    card: ModelCard
    release: Release

    def load(self, *, num_classes: int | None = None) -> ClipNet:
        """The network with its weights, in eval mode; `.card` is its card.

        Args:
            num_classes: another number of classes: the classifier alone is then fresh, and `.card` stays None.
        Raises:
            ModelError: the weights do not fit the network that the card describes; names the file and the tensor.
        """
        weights = self.folder / WEIGHTS_FILE
        state = _read_weights(weights)
        try:
            with torch.device("meta"):  # takes no memory: a card may describe far more than its weights are
                described = self.card.build()
        except AutoX3DError as error:
            raise ModelError(f"{self.folder / CARD_FILE}: {error}") from None
        except RuntimeError as error:  # torch's, of sizes beyond any memory
            raise ModelError(f"{weights}: does not fit its card: {str(error).splitlines()[0]}") from None
        _check_fits(described, state, str(weights), self.card)
        network = self.card.build()
        network.load_state_dict(state)
        if num_classes not in (None, self.card.num_classes):
            network.reset_classifier(num_classes)
        else:
            network.card = self.card
        return network.eval()


def load_package(path_or_name: str | Path, *, num_classes: int | None = None) -> ClipNet:
    """Load a package's network with its weights, in eval mode; `.card` is its card.

    Args:
        path_or_name: the folder; or the name of a package that comes with this library ("demo"); or OWNER/NAME of one
            on the Hugging Face hub, where the package huggingface_hub is installed.
        num_classes: another number of classes, for fine-tuning: the classifier alone is then fresh.
    Raises:
        ModelError: there is no such package, its weights' hash differs from that in its card, or they do not fit.
    """
    return read_package(path_or_name).load(num_classes=num_classes)


def read_package(path_or_name: str | Path) -> Package:
    """Find a package, read its card, and compare its weights with their hash.

    Args:
        path_or_name: as in `load_package`.
    Raises:
        ModelError: there is no such package, its card can't be read or is no package's, or its weights are missing or
            have another hash; names the file.
    """
    folder = find_package(path_or_name)
    source = folder / CARD_FILE
    data = _read_card(source)
    hashes = data.pop("sha256", None)
    release = data.pop("release", {})
    if data.pop("format", None) != FORMAT or data.pop("version", None) != _VERSION:
        raise ModelError(f"{source}: not a package's card: expected format {FORMAT!r}, version {_VERSION}")
    if not isinstance(hashes, dict) or set(hashes) != {WEIGHTS_FILE}:
        raise ModelError(f"{source}: sha256: expected that of {WEIGHTS_FILE}")
    card = ModelCard.from_dict(data, source=str(source))
    try:
        described = Release(**release)
    except TypeError as error:
        raise ModelError(f"{source}: release: {error}") from None
    _check_hash(folder / WEIGHTS_FILE, hashes[WEIGHTS_FILE])
    return Package(folder, card, described)


def find_package(path_or_name: str | Path) -> Path:
    """The folder of a package, downloaded first where it is on the Hugging Face hub.

    Args:
        path_or_name: as in `load_package`.
    Raises:
        ModelError: there is no such package.
    """
    folder = Path(path_or_name)
    if (folder / CARD_FILE).is_file():
        return folder
    shipped = _SHIPPED / str(path_or_name)
    if str(path_or_name) in shipped_packages():
        return shipped
    if folder.exists():
        raise ModelError(f"{folder}: is no package: it has no {CARD_FILE}")
    if str(path_or_name).count("/") == 1 and not str(path_or_name).startswith((".", "/", "~")):
        return download_package(str(path_or_name))
    known = ", ".join(shipped_packages())
    raise ModelError(
        f"{path_or_name}: no such package: neither a folder nor one that comes with this library ({known})"
    )


def shipped_packages() -> tuple[str, ...]:
    """The names of the packages that come with this library."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CARD_FILE}")))


def write_package(folder: str | Path, network: nn.Module, card: ModelCard, release: Release) -> Path:
    """Write a package; its card comes last, so that a folder whose writing was cut short is no package.

    Args:
        folder: where to; new, empty or a package, which is then replaced.
        network: whose weights are written.
        card: of that network.
        release: what the package says besides.
    Returns:
        The folder.
    Raises:
        ModelError: the folder holds something else, or the network is not the card's.
    """
    folder = Path(folder)
    check_package_folder(folder)
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    _check_fits(card.build(), state, "the network", card)
    (folder / CARD_FILE).unlink(missing_ok=True)
    with atomic_write(folder / WEIGHTS_FILE) as beside:
        beside.write_bytes(save(state, metadata={"format": "pt"}))
    write_text(folder / README_FILE, package_readme(card, **vars(release)))
    record = {"format": FORMAT, "version": _VERSION, **card.to_dict(), "release": vars(release)}
    write_json(folder / CARD_FILE, {**record, "sha256": {WEIGHTS_FILE: file_hash(folder / WEIGHTS_FILE)}})
    return folder


def check_package_folder(folder: str | Path) -> None:
    """Check that a package can be written to a folder.

    Raises:
        ModelError: it is a file, or holds files that no package has.
    """
    folder = Path(folder)
    known = {WEIGHTS_FILE, CARD_FILE, README_FILE}
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= known):
        raise ModelError(f"{folder}: holds something else than a package: name another folder")


def _read_card(path: Path) -> dict[str, Any]:
    """A package's config.json; `ModelError` where it can't be read or is no mapping."""
    try:
        data = parse_json(path.read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: can't read it: {error}") from None
    except simplejson.JSONDecodeError as error:
        raise ModelError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    if not isinstance(data, dict):
        raise ModelError(f"{path}: expected a mapping, found {type(data).__name__}")
    return data


def _check_hash(path: Path, expected: str) -> None:
    """Compare a file's SHA-256; `ModelError` where the file is missing or its hash differs."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file: the package is not whole")
    found = file_hash(path)
    if found != expected:
        raise ModelError(
            f"{path}: its SHA-256 is {found[:12]}..., {CARD_FILE} says {str(expected)[:12]}...: it is damaged, or of "
            "another package"
        )


def file_hash(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; `ModelError` where it is none."""
    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a safetensors file: {str(error).splitlines()[0]}") from None
    return state


def _check_fits(network: ClipNet, state: Mapping[str, Tensor], source: str, card: ModelCard) -> None:
    """Compare a state with a network; `ModelError` names the first tensor that does not fit."""
    own = network.state_dict()
    faults = [f"has no {key}" for key in own if key not in state]
    faults += [f"has a tensor {key} that the network lacks" for key in state if key not in own]
    faults += [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and own[key].shape != state[key].shape
    ]
    if faults:
        network_of = f"{card.model} of {card.num_classes} classes"
        raise ModelError(f"{source}: does not fit the {network_of}: {faults[0]} ({len(faults)} tensors differ)")


def download_package(name: str, **options: Any) -> Path:
    """Download a package from the Hugging Face hub, or find it in the local cache.

    Args:
        name: OWNER/NAME.
        options: those of huggingface_hub's `snapshot_download`.
    Returns:
        Its folder.
    Raises:
        ModelError: huggingface_hub is not installed, or there is no such package within reach.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise ModelError(
            f"{name}: no such folder; to look on the Hugging Face hub: pip install 'pytorchvideo_autox3d[hub]'"
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=[WEIGHTS_FILE, CARD_FILE, README_FILE], **options))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{name}: no such folder, nor a package on the Hugging Face hub: {reason}") from None
