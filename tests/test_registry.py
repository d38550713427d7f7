"""Registries: former names, and errors that help."""

import warnings

import pytest

from pytorchvideo_autox3d import models  # noqa: F401  (registers them)
from pytorchvideo_autox3d.errors import RegistryError
from pytorchvideo_autox3d.registry import MODEL_REGISTRY, Registry


@pytest.fixture
def registry():
    registry = Registry("FRUIT")
    registry.register("a pear", name="pear")
    registry.rename("birne", "pear")
    return registry


def test_a_former_name_gives_the_present_entry_and_says_so(registry):
    with pytest.warns(FutureWarning, match="FRUIT.NAME: 'birne' is now called 'pear'"):
        assert registry.get("birne", key="FRUIT.NAME") == "a pear"
    assert "birne" in registry
    assert list(registry.names()) == ["pear", "birne"]
    assert [name for name, _ in registry] == ["pear"]


def test_the_present_name_gives_no_warning(registry):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.get("pear") == "a pear"


def test_an_unknown_name_is_one_line_with_the_nearest(registry):
    with pytest.raises(RegistryError, match=r"FRUIT: no entry named 'paer'; did you mean 'pear'[?] known: pear$"):
        registry.get("paer")


@pytest.mark.parametrize(
    ("old", "new"), [("I3D", "I3D_ResNet"), ("R2Plus1D", "R2Plus1D_Bottleneck"), ("CSN", "IR_CSN")]
)
def test_baselines_keep_the_names_they_had(old, new):
    with pytest.warns(FutureWarning, match=f"{old!r} is now called {new!r}"):
        assert MODEL_REGISTRY.get(old) is MODEL_REGISTRY.get(new)
