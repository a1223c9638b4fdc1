"""The page about tenant isolation names tests; each of them has to exist, or a way has nothing that attacks it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "tenant-isolation.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
WAYS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| way |")]


def names_of(path: Path) -> set[str]:
    """Names of the tests of a module, those of a class behind its name."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.split("|")[1].strip()[:40])
def test_every_way_is_attacked_by_a_test_that_exists(way: str) -> None:
    named = NAMED.findall(way)
    assert named, "no test is named"
    for file, test in named:
        path = REPOSITORY / file
        assert path.is_file(), file
        assert test in names_of(path), f"{file} has no {test}"


def test_the_page_names_ways_of_every_kind() -> None:
    assert len(WAYS) > 35
    assert PAGE.count("| way | control | test |") == 4
