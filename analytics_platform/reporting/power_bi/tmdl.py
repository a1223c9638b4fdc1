"""TMDL as text and back: the Tabular Model Definition Language, as far as this model needs it.

Indentation (tabs) is structure. An object is its type and name, sometimes with a value after `=`; below it, one level
deeper, stand properties (`name: value`, or the name alone for true), properties that hold expressions (`name = …`), and
further objects. Expressions of several lines stand two levels deeper than what they belong to.
(https://learn.microsoft.com/analysis-services/tmdl/tmdl-overview)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analytics_platform.errors import AnalyticsError

OBJECTS = frozenset(
    {
        "annotation",
        "column",
        "columnPermission",
        "database",
        "expression",
        "measure",
        "model",
        "partition",
        "ref role",
        "ref table",
        "relationship",
        "role",
        "table",
        "tablePermission",
    }
)
"""Types of objects that are written and read here; another one is an error when read."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = r"'(?:[^']|'')*'"
_NAME = rf"(?:{_QUOTED}|[^\s'.=:]+)"
_OBJECT = re.compile(rf"(?P<type>ref \w+|\w+) (?P<name>{_NAME})(?:\s*(?P<equals>=)\s*(?P<value>.*))?")
_PROPERTY = re.compile(r"(?P<name>\w+)(?:(?P<is>:)\s?(?P<text>.*)|\s*(?P<equals>=)\s*(?P<value>.*))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")

Value = str | bool


class TmdlError(AnalyticsError):
    """A text is no TMDL, or a name cannot stand in one; the text says where."""


@dataclass(frozen=True)
class Node:
    """An object of the model.

    Attributes:
        type: `table`, `measure` and so on; `ref table` refers to one that stands elsewhere.
        name: as people see it, unquoted.
        value: what follows `=`: a measure's DAX, an annotation's text; None where nothing does.
        properties: text or truth by name.
        expressions: properties that hold an expression, by name.
        children: objects within it.
        description: what `///` says above it; one line, or several.
    """

    type: str
    name: str
    value: str | None = None
    properties: Mapping[str, Value] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    children: Sequence[Node] = ()
    description: str = ""

    def of(self, kind: str) -> list[Node]:
        """The children of a type."""
        return [child for child in self.children if child.type == kind]

    def text(self, name: str) -> str | None:
        """A property's text; None where it is not there or says true or false."""
        value = self.properties.get(name)
        return value if isinstance(value, str) else None


def quoted(name: str) -> str:
    """A name as TMDL writes it.

    Raises:
        TmdlError: it is empty or holds a line break or another control character.
    """
    if not name or _CONTROL.search(name):
        raise TmdlError(f"{name!r} cannot be the name of an object; write it without control characters")
    return name if _BARE.fullmatch(name) else "'" + name.replace("'", "''") + "'"


def unquoted(name: str) -> str:
    """The name that `quoted` wrote."""
    return name[1:-1].replace("''", "'") if name.startswith("'") else name


def column_reference(table: str, column: str) -> str:
    """A column as relationships name it: `Table.'A column'`."""
    return f"{quoted(table)}.{quoted(column)}"


def parse_column_reference(text: str) -> tuple[str, str]:
    """Table and column of a reference.

    Raises:
        TmdlError: it is none.
    """
    found = re.fullmatch(rf"({_NAME})\.({_NAME})", text)
    if found is None:
        raise TmdlError(f"{text!r} names no column; write Table.Column, each quoted where it needs it")
    return unquoted(found[1]), unquoted(found[2])


def render(nodes: Sequence[Node]) -> str:
    """The text of a file with these objects at its top."""
    return "\n".join("\n".join(_lines(node, 0)) + "\n" for node in nodes)


def parse(text: str) -> list[Node]:
    """The objects at the top of a file.

    Raises:
        TmdlError: a line is neither an object, a property nor part of an expression; the text numbers it.
    """
    reader = _Reader(text.split("\n"))
    nodes = reader.objects(0)
    reader.expect_end()
    return nodes


def _lines(node: Node, depth: int) -> Iterator[str]:
    tabs = "\t" * depth
    yield from (f"{tabs}/// {line}".rstrip() for line in node.description.splitlines())
    yield from _assigned(f"{node.type} {quoted(node.name)}", node.value, depth)
    for name, value in node.properties.items():
        yield f"{tabs}\t{name}{'' if value is True else ': ' + _property_text(value)}"
    for name, expression in node.expressions.items():
        yield from _assigned(name, expression, depth + 1)
    for child in node.children:
        yield ""
        yield from _lines(child, depth + 1)


def _assigned(head: str, value: str | None, depth: int) -> Iterator[str]:
    tabs = "\t" * depth
    if value is None:
        yield f"{tabs}{head}"
    elif "\n" not in value:
        yield f"{tabs}{head} = {value}"
    else:
        yield f"{tabs}{head} ="
        yield from (f"{tabs}\t\t{line}" if line else "" for line in value.split("\n"))


def _property_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if _CONTROL.search(value):
        raise TmdlError(f"a property is one line, and {value!r} is not")
    needs_quotes = value != value.strip() or not value or value[0] == '"' or value[-1] == '"'
    return '"' + value.replace('"', '""') + '"' if needs_quotes or value in {"true", "false"} else value


def _property_value(text: str) -> Value:
    if text in {"true", "false"}:
        return text == "true"
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    return text


class _Reader:
    """Reads lines from top to bottom; a line's depth is the number of its tabs."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._at = 0

    def objects(self, depth: int) -> list[Node]:
        """The objects that begin at a depth, up to a line of a lesser one."""
        found = []
        while (start := self._peek()) is not None and start[0] == depth:
            found.append(self._object(depth))
        return found

    def expect_end(self) -> None:
        """Refuse what is left."""
        if (left := self._peek()) is not None:
            raise self._error(f"is indented by {left[0]} and belongs to nothing")

    def _object(self, depth: int) -> Node:
        description = self._description(depth)
        line = self._next(depth)
        found = _OBJECT.fullmatch(line)
        if found is None or found["type"] not in OBJECTS:
            raise self._error("is no object", back=1)
        value = self._expression(found["value"], depth + 2) if found["equals"] else None
        properties, expressions = self._properties(depth + 1)
        children = self.objects(depth + 1)
        return Node(
            found["type"], unquoted(found["name"]), value, properties, expressions, tuple(children), description
        )

    def _properties(self, depth: int) -> tuple[dict[str, Value], dict[str, str]]:
        properties: dict[str, Value] = {}
        expressions: dict[str, str] = {}
        while (start := self._peek()) is not None and start[0] == depth and not _begins_object(start[1]):
            found = _PROPERTY.fullmatch(self._next(depth))
            if found is None:
                raise self._error("is neither an object nor a property", back=1)
            if found["equals"]:
                expressions[found["name"]] = self._expression(found["value"], depth + 2)
            else:
                properties[found["name"]] = _property_value(found["text"]) if found["is"] else True
        return properties, expressions

    def _description(self, depth: int) -> str:
        lines = []
        while (start := self._peek()) is not None and start[0] == depth and start[1].startswith("///"):
            lines.append(self._next(depth)[4:])
        return "\n".join(lines)

    def _expression(self, first: str, depth: int) -> str:
        """What follows `=`: the rest of the line, or the deeper lines below it without their outer indentation."""
        if first:
            return first
        taken = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip("\t") and not line.startswith("\t" * depth):
                break
            taken.append(line[depth:])
            self._at += 1
        while taken and not taken[-1].strip("\t"):
            taken.pop()
        return "\n".join(taken)

    def _peek(self) -> tuple[int, str] | None:
        """Depth and text of the next line that is not empty."""
        while self._at < len(self._lines) and not self._lines[self._at].strip():
            self._at += 1
        if self._at == len(self._lines):
            return None
        line = self._lines[self._at]
        text = line.lstrip("\t")
        return len(line) - len(text), text

    def _next(self, depth: int) -> str:
        line = self._lines[self._at]
        self._at += 1
        return line[depth:]

    def _error(self, problem: str, back: int = 0) -> TmdlError:
        at = self._at - back
        return TmdlError(f"line {at + 1} {problem}: {self._lines[at].strip()!r}")


def _begins_object(text: str) -> bool:
    found = _OBJECT.fullmatch(text)
    return text.startswith("///") or (found is not None and found["type"] in OBJECTS)
