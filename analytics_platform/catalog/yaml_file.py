"""Reading one YAML file of the catalogue: the C parser, no duplicate keys, and no words that YAML 1.1 takes for others.

Knows nothing of what the files mean.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from analytics_platform.catalog.errors import CatalogError, Problem

# YAML 1.1 reads NO as false and 17:30 as 1050. Of its implicit types only these are left.
_KEPT_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "merge", "float", "timestamp")}


def _kept_resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    inherited: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.CSafeLoader.yaml_implicit_resolvers
    kept = {first: [rule for rule in rules if rule[0] in _KEPT_TAGS] for first, rules in inherited.items()}
    return {first: rules for first, rules in kept.items() if rules}


class _DuplicateKeyError(Exception):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key = key
        self.line = line


class _Loader(yaml.CSafeLoader):
    """Safe loader over libyaml that refuses a key written twice; PyYAML would keep the last without a word."""

    yaml_implicit_resolvers = _kept_resolvers()

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is not a plain value", key_node.start_mark)
            if key in seen:
                raise _DuplicateKeyError(str(key), key_node.start_mark.line + 1)
            seen.add(key)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (("bool", r"true|false", "tf"), ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789")):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def read_yaml(path: Path, shown_as: str) -> Any:
    """Read the one document of a YAML file; ``shown_as`` is the file's name in messages. Raises CatalogError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(shown_as, f"cannot be read ({error.strerror})", "put the file there") from error
    try:
        return yaml.load(content, Loader=_Loader)  # noqa: S506 - derives from the safe loader
    except _DuplicateKeyError as error:
        problem = Problem(
            shown_as, error.key, f"the key is written twice, again in line {error.line}", "keep one of the two"
        )
        raise CatalogError([problem]) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise _unreadable(shown_as, f"is not YAML ({_one_line(error)})", "mend the syntax there") from error


def _unreadable(shown_as: str, what: str, mend: str) -> CatalogError:
    return CatalogError([Problem(shown_as, "(whole file)", what, mend)])


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {said}" if mark else str(said)
