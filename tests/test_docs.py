"""What the pages of docs/ name is there: commands with their options, tests by file and name, and files by link."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from analytics_platform.cli import main
from analytics_platform.settings import PROJECT_ROOT

PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *(PROJECT_ROOT / "docs").rglob("*.md")])
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_FENCED = re.compile(r"^ *```(?:sh|bash)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\s*(?:[A-Z_]+=\S+ +)*analytics ([^\n`#;]+)", re.MULTILINE)
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


def commands_in(text: str) -> list[str]:
    """What follows `analytics` in blocks of a shell and between backticks."""
    blocks = "\n".join(_FENCED.findall(text)).replace("\\\n", " ")
    inline = re.findall(r"`(analytics [^`]+)`", _FENCED.sub("", text))
    return [each.strip() for each in _COMMAND.findall("\n".join([blocks, *inline]))]


def unknown_in(command: str) -> list[str]:
    """The verbs and options of a command, as a page writes it, that there are not; `a|b` stands for both."""
    words = re.sub(r"[\[\](),.…]+(?=\s|$)|[\[\]]", " ", command.replace("\\|", "|")).split()
    found: list[click.Command] = [main]
    wrong = []
    while words and isinstance(found[0], click.Group) and not words[0].startswith("-"):
        names = words.pop(0).split("|")
        groups = [each for each in found if isinstance(each, click.Group)]
        named = {
            name: next((group.commands[name] for group in groups if name in group.commands), None) for name in names
        }
        wrong += [name for name, each in named.items() if each is None]
        found = [each for each in named.values() if each is not None]
        if not found:
            return wrong
    known = {"-h", "--help", "--version"}.union(*(option for each in found for option in _options(each)))
    return wrong + [word for word in words if word.startswith("--") and word.split("=")[0] not in known]


def _options(command: click.Command) -> Iterator[list[str]]:
    for parameter in command.params:
        yield [*parameter.opts, *parameter.secondary_opts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert missing_tests(text) == []
    assert broken_links(text, page.parent) == []
    assert {command: unknown for command in commands_in(text) if (unknown := unknown_in(command))} == {}


def test_what_is_not_there_is_found() -> None:
    text = "`tests/test_docs.py::test_nothing` `tests/nowhere.py` [a page](nowhere.md#part) [here](test_docs.py)"
    assert missing_tests(text) == ["test_docs.py::test_nothing", "nowhere.py::"]
    assert broken_links(text, Path(__file__).parent) == ["nowhere.md"]


@pytest.mark.parametrize(
    ("command", "unknown"),
    [
        ("keys list|create", []),
        ("keys list\\|destroy", ["destroy"]),
        ("backfill [--from D] [--to D] --reason TEXT", []),
        ("backfill --day 2026-01-01", ["--day"]),
        ("nothing", ["nothing"]),
        ("demo [--no-live]", []),
    ],
)
def test_a_command_that_there_is_not_is_found(command: str, unknown: list[str]) -> None:
    assert unknown_in(command) == unknown
    assert (
        commands_in(f"`analytics {command}`\n```sh\nANALYTICS_HOME=x analytics {command}  # why\n```")[0].strip()
        == command
    )
