"""Reading one YAML file of the catalogue: the C parser, no duplicate keys, and no words that YAML 1.1 takes for others.

Knows nothing of what the files mean.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from analytics_platform.catalog.errors import CatalogError, wrong_in

# YAML 1.1 reads the country NO as false, 17:30 as 1050 and 2026-02-30 as a crash. Only what these patterns match is
# taken for something else than text; dates are parsed by the models, which can name the field.
_IMPLICIT = {
    "null": (r"null|~|", ["n", "~", ""]),
    "bool": (r"true|false", ["t", "f"]),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (r"[-+]?[0-9]+\.[0-9]+", list("-+0123456789")),
}


_DEEPEST = 100
_SURELY_FLAT = 5_000
"""Beginnings of lists and mappings that libyaml nests without trouble; some tens of thousands end the process."""


class _DuplicateKeyError(Exception):
    def __init__(self, key: Hashable, line: int) -> None:
        super().__init__(key)
        self.key = key
        self.line = line


class _Loader(yaml.CSafeLoader):
    """Safe loader over libyaml that refuses a key written twice; PyYAML would keep the last without a word."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    problem="a key is not a plain value", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise _DuplicateKeyError(key, key_node.start_mark.line + 1)
            seen.add(key)
        return super().construct_mapping(node, deep)


for _name, (_pattern, _first) in _IMPLICIT.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)


def read_yaml(path: Path, shown_as: str) -> Any:
    """Read the one document of a YAML file.

    ``shown_as`` is the file's name in messages.

    Raises:
        CatalogError: the file cannot be read, is not YAML, or has a key twice.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise wrong_in(shown_as, "", f"cannot be read ({error.strerror})", "put a readable file there") from error
    try:
        _refuse_depths(content)
        return yaml.load(content, Loader=_Loader)  # noqa: S506 - derives from the safe loader
    except _DuplicateKeyError as error:
        what = f"is written twice, again in line {error.line}"
        raise wrong_in(shown_as, str(error.key), what, "keep one of the two") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_yaml(shown_as, error) from error


def _refuse_depths(content: bytes) -> None:
    """Raise a YAMLError for what nests so deep that reading it whole would end the process."""
    if sum(map(content.count, (b"[", b"{", b"- ", b"? "))) <= _SURELY_FLAT:
        return
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            problem = f"it nests more than {_DEEPEST} levels deep"
            raise yaml.composer.ComposerError(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]


def _not_yaml(shown_as: str, error: Exception) -> CatalogError:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or (str(error).splitlines() or [type(error).__name__])[0]
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return wrong_in(shown_as, "", f"is not YAML ({said})", f"mend the syntax{where}")
