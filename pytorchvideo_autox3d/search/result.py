"""The files that a search leaves: the architecture, the config that trains it, and the data that its plots need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import simplejson
import yaml

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.files import write_json, write_text
from pytorchvideo_autox3d.plain_data import parse_json
from pytorchvideo_autox3d.search.derivation import SearchResult
from pytorchvideo_autox3d.search.loop import history_path
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.search.settings import SearchSettings
from pytorchvideo_autox3d.space import Architecture, space_to_dict
from pytorchvideo_autox3d.space.spec import format_value
from pytorchvideo_autox3d.supernet import channel_windows

ARCHITECTURE_NAME = "architecture.json"
RETRAIN_NAME = "retrain.yaml"
RESULT_NAME = "search_result.json"
PARETO_FOLDER = "pareto"
PARETO_NAME = "pareto.json"


def write_result(
    output_dir: str,
    derived: SearchResult,
    *,
    policy: Policy,
    settings: SearchSettings,
    train_config: Mapping[str, Any] | None = None,
    changes: Sequence[str] = (),
    cost: Mapping[str, float] | None = None,
) -> dict[str, Path]:
    """Write `architecture.json`, `retrain.yaml` and `search_result.json` beside the history.

    Args:
        output_dir: the search's folder.
        derived: the architecture that the search ended with.
        policy: as the search left it.
        settings: of the search.
        train_config: the training recipe as nested config keys; `retrain.yaml` is that with the architecture added.
        changes: the settings in which the recipe differs from the search, a line each, for the head of the file.
        cost: what the search has spent (`Ledger.to_dict`).

    Returns:
        The paths by file name.

    Raises:
        AutoX3DError: a file can't be written.
    """
    folder = Path(output_dir)
    paths = {name: folder / name for name in (ARCHITECTURE_NAME, RETRAIN_NAME, RESULT_NAME)}
    folder.mkdir(parents=True, exist_ok=True)
    derived.architecture.to_json(paths[ARCHITECTURE_NAME])
    write_text(paths[RETRAIN_NAME], retrain_yaml(derived.architecture, folder, train_config or {}, changes))
    result = {
        "derived": derived.to_dict(),
        "policy": policy_tables(policy),
        "coverage": coverage_matrices(policy),
        "num_samples": settings.num_samples,
        "warmup_epochs": settings.warmup_epochs,
        **({} if cost is None else {"cost": dict(cost)}),
    }
    write_json(paths[RESULT_NAME], result)
    return paths


def write_pareto(
    output_dir: str,
    rows: Sequence[SearchResult],
    *,
    train_config: Mapping[str, Any] | None = None,
    changes: Sequence[str] = (),
) -> list[Path]:
    """Write the rows of `pareto` to `pareto/`: `architecture_<target>.json`, `retrain_<target>.yaml`, `pareto.json`.

    The target in a file's name is a number of GFLOPs, or one of milliseconds followed by `ms`.

    Args:
        output_dir: the search's folder.
        rows: what `pareto` returned; where there are none, nothing is written.
        train_config, changes: as in `write_result`; each retrain config has an OUTPUT_DIR of its own.

    Returns:
        The paths of the architectures, in the order of the rows.

    Raises:
        AutoX3DError: a file can't be written.
    """
    if not rows:
        return []
    folder = Path(output_dir, PARETO_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row in rows:
        first = row.checks[0]
        target = f"{first.target:g}{'ms' if first.metric == 'latency_ms' else ''}"
        paths.append(folder / f"architecture_{target}.json")
        row.architecture.to_json(paths[-1])
        recipe = {**(train_config or {}), "OUTPUT_DIR": str(folder / f"retrain_{target}")}
        write_text(folder / f"retrain_{target}.yaml", retrain_yaml(row.architecture, folder, recipe, changes))
    write_json(folder / PARETO_NAME, [row.to_dict() for row in rows])
    return paths


def retrain_yaml(
    architecture: Architecture, folder: Path, train_config: Mapping[str, Any], changes: Sequence[str] = ()
) -> str:
    """The text of a config that trains `architecture` from scratch.

    A space that is not built in is also written to `space.yaml` in `folder`, and AUTOX3D.SPACE then names that file.

    Args:
        architecture: written out as AUTOX3D.GROUPS and AUTOX3D.SPACE.
        folder: of the search.
        train_config, changes: as in `write_result`.
    """
    space: Any = architecture.to_dict()["space"]
    if not isinstance(space, str):
        path = folder / "space.yaml"
        write_text(path, yaml.safe_dump(space_to_dict(architecture.space), sort_keys=False))
        space = str(path.resolve())
    config = {key: dict(value) if isinstance(value, Mapping) else value for key, value in train_config.items()}
    config.pop("SEARCH", None)
    config["AUTOX3D"] = {**config.get("AUTOX3D", {}), "SPACE": space, "GROUPS": architecture.rows}
    config["MODEL"] = {**config.get("MODEL", {}), "MODEL_NAME": "AutoX3D"}
    lines = "".join(f"#   {line}\n" for line in architecture.describe().splitlines())
    if changes:
        lines += "# The search had other settings:\n" + "".join(f"#   {change}\n" for change in changes)
    return f"# Trains the architecture that a search derived:\n{lines}{yaml.safe_dump(config, sort_keys=False)}"


def read_history(output_dir: str) -> list[dict[str, Any]]:
    """The records of `search_history.jsonl`, one for each epoch.

    Raises:
        SearchError: there is no such file, it is empty, or a line of it is not JSON or no record of an epoch; names the
            file and the line.
    """
    path = Path(history_path(output_dir))
    if not path.is_file():
        raise SearchError(f"{path}: no such file; is {output_dir} the OUTPUT_DIR of a search?")
    records = []
    # Bytes that are no UTF-8 are no JSON either: the line is named below.
    text = path.read_text(encoding="utf8", errors="surrogateescape")
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = parse_json(line)
        except simplejson.JSONDecodeError as error:
            raise SearchError(f"{path}:{number}: not JSON: {error.msg}") from error
        if not isinstance(record, dict) or type(record.get("epoch")) is not int:
            raise SearchError(f"{path}:{number}: no record of an epoch: {line[:80]}")
        records.append(record)
    if not records:
        raise SearchError(f"{path}: holds no record of an epoch")
    return records


def read_result(output_dir: str) -> dict[str, Any]:
    """The content of `search_result.json`, as `write_result` wrote it.

    Raises:
        SearchError: there is no such file (the search has not ended), or it is not JSON.
    """
    path = Path(output_dir, RESULT_NAME)
    if not path.is_file():
        raise SearchError(f"{path}: no such file; the search in {output_dir} has not ended")
    try:
        return parse_json(path.read_text(encoding="utf8", errors="surrogateescape"))
    except simplejson.JSONDecodeError as error:
        raise SearchError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error


def read_pareto(output_dir: str) -> list[dict[str, Any]]:
    """The rows that `write_pareto` wrote; an empty list where the search had no further targets.

    Raises:
        SearchError: the file is not JSON.
    """
    path = Path(output_dir, PARETO_FOLDER, PARETO_NAME)
    if not path.is_file():
        return []
    try:
        return parse_json(path.read_text(encoding="utf8", errors="surrogateescape"))
    except simplejson.JSONDecodeError as error:
        raise SearchError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error


def policy_tables(policy: Policy) -> list[dict[str, Any]]:
    """The policy as plain data for a heat map.

    Returns:
        One table for each kind of decision (kernel, channels, expansion, attention), with `kind`, and `candidates` (as
        text) and `probabilities`, which have one row for each group.
    """
    tables: dict[str, dict[str, Any]] = {}
    for decision, row in zip(policy.space.decisions, policy.probabilities(), strict=True):
        table = tables.setdefault(decision.field, {"kind": decision.field, "candidates": [], "probabilities": []})
        table["candidates"].append([format_value(value) for value in decision.candidates])
        table["probabilities"].append([round(float(p), 6) for p in row])
    return list(tables.values())


def coverage_matrices(policy: Policy, strategies: Sequence[str] = ("naive", "fair")) -> dict[str, list[list[int]]]:
    """Which filters each channel candidate uses (the paper's Figure 3), in the group with the most such candidates.

    Args:
        policy: gives the space.
        strategies: names of channel selections.

    Returns:
        For each strategy a matrix, candidates x filters, with 1 where the candidate uses the filter and 0 elsewhere.
    """
    sizes = max((group.channels for group in policy.space.groups), key=len)
    width = max(sizes)
    matrices = {}
    for strategy in strategies:
        used = [set(window) for window in channel_windows(sizes, width, strategy)]
        matrices[strategy] = [[int(filter_ in window) for filter_ in range(width)] for window in used]
    return matrices
