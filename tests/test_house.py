"""The house's rules that hold for all rooms: layers, the environment, docstrings, the lock."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted([*(ROOT / "analytics_platform").rglob("*.py"), *(ROOT / "asset_checks").rglob("*.py")])


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_rooms_import_downwards_and_only_the_graph_knows_dagster() -> None:
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_module_says_what_belongs_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_only_settings_reads_the_environment() -> None:
    reads = re.compile(r"os\.(environ(\[|\.get|\b(?!\.))|getenv)")
    readers = {name_of(path) for path in MODULES if reads.search(path.read_text())}
    assert readers <= {"analytics_platform/settings.py"}


def test_no_function_needs_scrolling() -> None:
    long = {
        f"{name_of(path)}:{node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= 60
    }
    assert long == set()


def test_the_lock_has_a_hash_for_each_package_and_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^[a-z0-9].*==", lock, flags=re.MULTILINE)
    assert len(pins) > 100
    assert not re.search(r"https?://|--(extra-)?index|--find-links", lock)
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z0-9])", lock))


def test_the_modules_that_are_run_first_are_there() -> None:
    tree = ast.parse((ROOT / "tests" / "conftest.py").read_text())
    (first,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SLOWEST_FIRST"
    ]
    assert set(first) <= {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(first) > 3
