"""What the pages of docs/ name is there: tests by file and name, and other pages and files by link."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from analytics_platform.settings import PROJECT_ROOT

PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *(PROJECT_ROOT / "docs").rglob("*.md")])
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[\w-]*)?\)")


@cache
def names_of(path: Path) -> frozenset[str]:
    """The functions and classes of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(each.name for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, kinds))


def missing_tests(text: str) -> list[str]:
    """The tests that a text names and that are not there."""
    found = [(PROJECT_ROOT / file, name) for file, name in _TEST.findall(text)]
    return [
        f"{path.name}::{name}" for path, name in found if not path.exists() or (name and name not in names_of(path))
    ]


def broken_links(text: str, folder: Path) -> list[str]:
    """The links of a text that lead to no file."""
    return [each for each in _LINK.findall(text) if ":" not in each and not (folder / each).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert missing_tests(text) == []
    assert broken_links(text, page.parent) == []


def test_what_is_not_there_is_found() -> None:
    text = "`tests/test_docs.py::test_nothing` `tests/nowhere.py` [a page](nowhere.md#part) [here](test_docs.py)"
    assert missing_tests(text) == ["test_docs.py::test_nothing", "nowhere.py::"]
    assert broken_links(text, Path(__file__).parent) == ["nowhere.md"]
