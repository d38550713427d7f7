"""Packages made to do harm, with the right hash: weights that are none, cards of networks that fit no machine."""

import hashlib
import pickle
import shutil
import struct
from pathlib import Path

import pytest
import simplejson

from pytorchvideo_autox3d.models import load_package
from pytorchvideo_autox3d.models import package as package_module
from tests.security.limits import limited

DEMO = Path(package_module.__file__).with_name("packages") / "demo"


def tensors(header, body: bytes = b"") -> bytes:
    """A safetensors file of any header."""
    text = header if isinstance(header, bytes) else simplejson.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def one(**changes):
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


WEIGHTS = {
    "a header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "a header that is no JSON": tensors(b"{"),
    "a header of depth": tensors(b"[" * 100_000),
    "a shape of a trillion": tensors(one(shape=[10**12], data_offsets=[0, 4 * 10**12])),
    "a shape below zero": tensors(one(shape=[-1]), b"abcd"),
    "tensors on top of each other": tensors({**one(), "b": one()["a"]}, b"abcd"),
    "a pickle": pickle.dumps(print),
    "nothing": b"",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    return shutil.copytree(DEMO, tmp_path / "package")


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_none(folder, kind):
    (folder / "model.safetensors").write_bytes(WEIGHTS[kind])
    change(folder, sha256={"model.safetensors": hashlib.sha256(WEIGHTS[kind]).hexdigest()})
    assert "model.safetensors: not a safetensors file" in limited(load_package, folder)


def change(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(simplejson.dumps({**simplejson.loads(path.read_text()), **changes}))


def wide(arguments: dict) -> dict:
    """Its own space with a billion channels in each group."""
    architecture = simplejson.loads(simplejson.dumps(arguments["architecture"]))
    for group in architecture["space"]["groups"]:
        group["channels"] = [10**9]
    for choice in architecture["groups"]:
        choice["channels"] = 10**9
    return {**arguments, "architecture": architecture}


CARDS = {
    "a billion times the blocks": lambda arguments: {**arguments, "depth_factor": 1e9},
    "a billion channels": wide,
    "X3D of a billion times the blocks": lambda arguments: ("X3D", {"depth_factor": 1e9}),
    "X3D a million times as wide": lambda arguments: ("X3D", {"width_factor": 1e6}),
}


@pytest.mark.parametrize("kind", CARDS)
def test_a_card_of_a_network_that_fits_no_machine(folder, kind):
    """The weights are a megabyte; what the card says must not take more than they do before that is seen."""
    made = CARDS[kind](simplejson.loads((folder / "config.json").read_text())["arguments"])
    model, arguments = made if isinstance(made, tuple) else ("AutoX3D", made)
    change(folder, model=model, arguments=arguments)
    said = limited(load_package, folder, megabytes=512, seconds=20)
    assert "expected" in said or "does not fit" in said, said
