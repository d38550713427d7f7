"""The scripts of projects/autox3d as modules, one thread."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "projects" / "autox3d"


@pytest.fixture(scope="session")
def load_script():
    def load(name):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up by name.
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load
