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


@pytest.fixture
def load_scripts(load_script):
    """Load scripts that import one another, the imported first; the last is returned, the others forgotten after."""
    imported = []

    def load(*names):
        imported.extend(names[:-1])
        return [load_script(name) for name in names][-1]

    yield load
    for name in imported:
        del sys.modules[name]
