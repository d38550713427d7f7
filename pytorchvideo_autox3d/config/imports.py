"""AUTOX3D.IMPORTS: a user's modules, imported before what they register is looked up by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError

KEY = "AUTOX3D.IMPORTS"


def import_modules(names: Sequence[str], *, key: str = KEY) -> None:
    """Import modules in the given order; one that is imported already costs nothing.

    Args:
        names: dotted names, as in AUTOX3D.IMPORTS.
        key: the key or option that has them, for messages.

    Raises:
        ConfigError: `names` is not a list of names, or a module does not exist or raises while it is imported.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"{key} is {names!r}, expected a list of modules")
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            where = "" if error.name == name else f" (while importing {name!r})"
            raise ConfigError(f"{key}: no module named {error.name!r}{where}; is its folder on PYTHONPATH?") from error
        except AutoX3DError as error:
            raise ConfigError(f"{key}: {name}: {error}") from error
        except Exception as error:
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise ConfigError(f"{key}: {name} can't be imported: {cause}") from error
