"""docs/dependencies.md against setup.py, and the code against the promise that nothing is unpickled."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def required() -> dict[str, set[str]]:
    """The groups that ask for each requirement of setup.py."""
    call = next(node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if is_setup(node))
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    groups = {"core": ast.literal_eval(keywords["install_requires"])} | ast.literal_eval(keywords["extras_require"])
    found: dict[str, set[str]] = {}
    for group, requirements in groups.items():
        for requirement in requirements:
            found.setdefault(requirement, set()).add(group)
    return found


def is_setup(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setup"


def test_the_table_is_what_is_required():
    rows = ROW.findall((ROOT / "docs/dependencies.md").read_text())
    described = {requirement: set(groups.strip().split(", ")) for requirement, groups, _ in rows}
    assert described == required()
    assert all(len(reason.strip()) > 4 for _, _, reason in rows)


def test_no_upper_bounds_and_one_bound_a_package():
    requirements = list(required())
    assert not [one for one in requirements if "<" in one or "==" in one]
    names = [re.split(r"[>=]", one)[0] for one in requirements]
    assert sorted(names) == sorted(set(names))


UNSAFE = re.compile(
    r"\b(?:import pickle|import marshal|import shelve|pickle\.loads?\(|yaml\.(?:load|unsafe_load|full_load)\(|"
    r"allow_pickle=True|weights_only=False|\beval\(['\"a-z_]+\)|\bexec\(|os\.system\(|shell=True|extractall\()"
)


def test_nothing_unpickles_or_runs_what_it_reads():
    sources = [
        path for folder in ("pytorchvideo_autox3d", "projects", "tools") for path in (ROOT / folder).rglob("*.py")
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), start=1)
        if UNSAFE.search(line)
    ]
    assert found == []


def test_what_torch_loads_is_weights_alone():
    for path in (ROOT / "pytorchvideo_autox3d").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(node), f"{path}:{node.lineno}"
