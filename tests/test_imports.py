"""Who may import whom, as ARCHITECTURE.md draws it: walks the syntax trees and rejects any other edge."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "pytorchvideo_autox3d"
PACKAGE = ROOT.name

EVERYONE_MAY = {
    "errors",
    "registry",
    "files",
    "checkpoint_files",
    "eval_mode",
    "plain_data",
    "",
}  # "": the package, its version
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "registry": set(),
    "files": set(),
    "checkpoint_files": set(),
    "eval_mode": set(),
    "plain_data": set(),
    "config": set(),
    "distributed": set(),
    "kernels": set(),
    "layers": {"kernels"},
    "evaluation": set(),
    "data": {"distributed"},
    "space": set(),
    "models": {"space", "layers", "kernels"},
    "analysis": {"space", "models"},
    "supernet": {"space", "layers", "models"},
    "engine": {"evaluation", "distributed"},
    "nasbench": {"space"},
    "search": {"space", "layers", "models", "supernet", "analysis", "engine", "distributed"},
    "latency": {"space", "layers", "models", "analysis", "export", "engine"},
    "export": {"kernels", "models", "analysis"},
    "report": {"space"},
    "benchmarks": {
        "space", "kernels", "models", "analysis", "supernet", "search", "engine", "data", "nasbench", "export",
        "distributed",
    },
    "jobs": {
        "config", "distributed", "kernels", "layers", "data", "space", "models", "analysis", "supernet",
        "search", "engine", "latency",
    },
    "predict": {"export", "jobs", "config", "data", "engine", "evaluation", "kernels", "models", "report", "analysis"},
    "slowfast": {"*"},
    "commands": {"*"},
    "cli": {"*"},
    "__main__": {"*"},
}  # fmt: skip
LEAVES = {"slowfast", "commands", "cli", "__main__"}  # nothing but each other imports these

SOURCES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def unit_of(module: str) -> str:
    """`pytorchvideo_autox3d.space.table` -> `space`; the package itself -> ``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported_units(path: Path) -> set[str]:
    units = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [node.module or ""]
            if names == [PACKAGE]:  # `from package import unit`
                names = [f"{PACKAGE}.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
        else:
            continue
        units |= {unit_of(name) for name in names if name.split(".")[0] == PACKAGE}
    return units


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_drawn_edges(path):
    relative = path.relative_to(ROOT)
    unit = relative.parts[0].removesuffix(".py")
    assert unit in MAY_IMPORT, f"{relative}: draw {unit} in ARCHITECTURE.md and in this test first"
    allowed = MAY_IMPORT[unit]
    for other in imported_units(path) - EVERYONE_MAY - {unit}:
        if other in LEAVES:
            assert unit in LEAVES, f"{relative} imports {other}, which nothing may import"
        assert "*" in allowed or other in allowed, f"{relative} imports {other}"


def test_no_allowed_edge_is_unused():
    used: dict[str, set[str]] = {}
    for path in SOURCES:
        unit = path.relative_to(ROOT).parts[0].removesuffix(".py")
        used.setdefault(unit, set()).update(imported_units(path))
    unused = {unit: MAY_IMPORT[unit] - others - {"*"} for unit, others in used.items()}
    assert {unit: others for unit, others in unused.items() if others} == {}


def module_name(path: Path) -> str:
    parts = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The package's modules that a file imports anywhere, in a function or for a type too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= submodules or {node.module} & known
    return found - {module_name(path)}


def test_files_do_not_import_each_other_in_a_circle():
    known = {module_name(path) for path in SOURCES}
    graph = {module_name(path): imported_modules(path, known) for path in SOURCES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the files
