"""Reading a config: safe yaml over the defaults; typos and wrong types are errors that name the nearest known key.

Only `jobs` turns a config into objects; nothing else reads one.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from fvcore.common.config import CfgNode
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.config.imports import KEY, import_modules
from pytorchvideo_autox3d.config.keys import leaves, value_at
from pytorchvideo_autox3d.config.rules import check_values
from pytorchvideo_autox3d.config.schema import get_cfg
from pytorchvideo_autox3d.config.unread import check_read
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.plain_data import parse_yaml


def load_cfg(path: str | Path | Sequence[str | Path], opts: Sequence[Any] = ()) -> CfgNode:
    """Read one yaml file, or several in turn, then `opts`, over the defaults.

    Args:
        path: of the yaml file or files; a later one overrides an earlier.
        opts: KEY VALUE KEY VALUE ..., as on the command line; they override the files.

    Returns:
        A frozen config.

    Raises:
        ConfigError: a missing file, yaml that does not parse or carries python tags, an unknown key (names the nearest
            known one), a value of the wrong type or one that nothing could run with, or a key that the config's jobs
            don't read.
    """
    import_named_modules(path, opts)
    cfg = get_cfg()
    merge_into(cfg, path, opts)
    check_values(cfg)
    for line in check_read(cfg, get_cfg()):
        warnings.warn(line, stacklevel=2)
    cfg.freeze()
    return cfg


def merge_into(cfg: CfgNode, path: str | Path | Sequence[str | Path], opts: Sequence[Any] = ()) -> None:
    """Read yaml files and `opts` over `cfg`, in place, whether it is ours or PySlowFast's.

    Args:
        cfg: has every key that the files may set.
        path, opts: as in `load_cfg`.

    Raises:
        ConfigError: a missing or unsafe file, an unknown key, a value of the wrong type, or a KEY without a VALUE.
    """
    for one in [path] if isinstance(path, str | Path) else path:
        _merge(cfg, _read_with_base(str(one)), source=str(one))
    if len(opts) % 2:
        raise ConfigError(f"options come in pairs KEY VALUE, but {opts[-1]!r} has no value")
    for key, value in zip(opts[::2], opts[1::2], strict=True):
        _set(cfg, str(key), value, source="command line")


def import_named_modules(path: str | Path | Sequence[str | Path], opts: Sequence[Any] = ()) -> None:
    """Import the modules that AUTOX3D.IMPORTS names, before the config is read: they may register keys of their own.

    Args:
        path, opts: as in `load_cfg`.

    Raises:
        ConfigError: a missing or unsafe file, or a module that can't be imported.
    """
    names: Any = []
    for one in [path] if isinstance(path, str | Path) else path:
        node = _read_with_base(str(one)).get("AUTOX3D")
        names = node.get("IMPORTS", names) if isinstance(node, dict) else names
    for key, value in zip(opts[::2], opts[1::2], strict=False):
        if key == KEY:
            names = _parsed_list(value)
    import_modules(names)


def _parsed_list(value: Any) -> Any:
    """A list of the command line: [a, b], with quotes around the names or without."""
    if not isinstance(value, str):
        return value
    return [name.strip(" '\"") for name in value.strip("[] ").split(",") if name.strip()]


def config_path(name: str) -> Path:
    """The file of a shipped config, in a checkout as in an installed wheel.

    Args:
        name: its path under `configs/`, such as `autox3d/S.yaml`.

    Raises:
        ConfigError: there is no such config.
    """
    found = _shipped(name)
    if found is None:
        raise ConfigError(f"no shipped config named {name!r}")
    return found


def _shipped(name: str) -> Path | None:
    package = Path(__file__).parents[1]
    candidates = [root / name for root in (package.parent / "configs", package / "configs")]
    return next((path for path in candidates if path.is_file()), None)


def _read_with_base(path: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The mapping of a yaml file, merged over that of the file that its `_BASE_` names, if any.

    Raises:
        ConfigError: a missing file, yaml that is not safe or not a mapping, or a circle of `_BASE_`.
    """
    if path in seen:
        raise ConfigError(f"{path}: _BASE_ leads back to the file itself")
    if not g_pathmgr.isfile(path):
        # Who installed a wheel has no configs/ folder; --cfg configs/autox3d/S.yaml then means the shipped one.
        shipped = _shipped(path.removeprefix("configs/"))
        if shipped is None:
            raise ConfigError(f"no config file {path!r}")
        path = str(shipped)
    try:
        with g_pathmgr.open(path, "r") as file:
            values = parse_yaml(file) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not safe yaml: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    base = values.pop("_BASE_", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{path}: _BASE_ is {base!r}, expected the name of a file")
    return _overlay(_read_with_base(str(Path(path).parent / base), (*seen, path)), values)


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlay(merged[key], value) if both else value
    return merged


def _merge(cfg: CfgNode, values: dict[Any, Any], *, source: str, prefix: str = "") -> None:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _find(cfg, name, source=source)
            _merge(cfg, value, source=source, prefix=f"{name}.")
        else:
            _set(cfg, name, value, source=source)


def _set(cfg: CfgNode, key: str, value: Any, *, source: str) -> None:
    """Set one key to a value, converted to the type of its default.

    Raises:
        ConfigError: an unknown key, a group of keys, or a value of another type.
    """
    if key == KEY:
        value = _parsed_list(value)
    default = _find(cfg, key, source=source)
    if isinstance(default, CfgNode):
        raise ConfigError(f"{source}: {key} is a group of keys, not a value")
    if isinstance(default, float) and _is_int(value):
        value = float(value)
    if isinstance(default, str) and isinstance(value, str):
        # yacs would evaluate it, and turn an OUTPUT_DIR of 2026 into a number.
        parent, _, leaf = key.rpartition(".")
        (_find(cfg, parent, source=source) if parent else cfg)[leaf] = value
        return
    if isinstance(default, list) and isinstance(value, str):
        value = _unquoted(value)
    try:
        cfg.merge_from_list([key, value])
    except (ValueError, SyntaxError) as error:
        expected = type(default).__name__
        raise ConfigError(f"{source}: {key} must be of type {expected}, got {value!r}") from error


def _unquoted(value: str) -> Any:
    """A list of the command line whose names have no quotes, [[latency_ms, 15, 1.0]]; another value as it is."""
    try:
        ast.literal_eval(value)  # as yacs reads it
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        try:
            found = parse_yaml(value)
        except yaml.YAMLError:
            return value
        return found if isinstance(found, list) else value
    return value


def _is_int(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("+-").isdigit()
    return isinstance(value, int) and not isinstance(value, bool)


def _find(cfg: CfgNode, key: str, *, source: str) -> Any:
    """The present value at a dotted key.

    Raises:
        ConfigError: an unknown key; names the nearest known one.
    """
    try:
        return value_at(cfg, key)
    except KeyError:
        known = [*(name for name, _ in leaves(cfg)), *cfg]
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{source}: unknown key {key}{hint}") from None
