"""DAX in tokens: enough to quote names, and to tell which tables, columns and measures an expression names.

No parser: whether an expression is valid is Power BI's to say. That what it names exists is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from analytics_platform.errors import AnalyticsError

Kind = Literal["text", "comment", "table", "bracket", "number", "word", "symbol"]

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>//[^\n]*|--[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"]|"")*")
    |(?P<table>'(?:[^']|'')*')
    |(?P<bracket>\[(?:[^\]]|\]\])*\])
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    |(?P<symbol>&&|\|\||<=|>=|<>|==|[-+*/^&=<>(),{}.:@;])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset({"VAR", "RETURN", "TRUE", "FALSE", "IN", "NOT", "ASC", "DESC", "DAY", "MONTH", "QUARTER", "YEAR"})


class DaxError(AnalyticsError):
    """A text cannot be cut into tokens of DAX; the text says where."""


@dataclass(frozen=True)
class Token:
    """A piece of an expression as it is written."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Names:
    """What an expression names.

    Attributes:
        tables: tables, with or without a column.
        columns: table and column.
        measures: names in brackets that no table stands before.
    """

    tables: frozenset[str]
    columns: frozenset[tuple[str, str]]
    measures: frozenset[str]


def table(name: str) -> str:
    """A table as DAX names it; always quoted, so that no name is taken for a function."""
    return "'" + name.replace("'", "''") + "'"


def column(table_name: str, name: str) -> str:
    """A column as DAX names it."""
    return table(table_name) + bracketed(name)


def bracketed(name: str) -> str:
    """A measure as DAX names it."""
    return "[" + name.replace("]", "]]") + "]"


def text(value: str) -> str:
    """A text as DAX writes it."""
    return '"' + value.replace('"', '""') + '"'


def tokens(expression: str) -> list[Token]:
    """The tokens of an expression, without spaces.

    Raises:
        DaxError: something is no token of DAX, such as a quote that does not close.
    """
    found, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise DaxError(f"no token of DAX begins at {expression[at : at + 20]!r} (character {at})")
        at = match.end()
        kind = match.lastgroup
        if kind != "space":
            found.append(Token(kind, match.group()))  # type: ignore[arg-type]  # the groups are the kinds
    return found


def names(expression: str) -> Names:
    """The tables, columns and measures that an expression names; not functions, and not its own variables.

    Raises:
        DaxError: see `tokens`.
    """
    written = [token for token in tokens(expression) if token.kind not in ("comment", "text", "number")]
    variables = {after.text for token, after in _pairs(written) if after is not None and token.text.upper() == "VAR"}
    tables: set[str] = set()
    columns: set[tuple[str, str]] = set()
    measures: set[str] = set()
    before: str | None = None
    for token, after in _pairs(written):
        if token.kind == "bracket":
            name = token.text[1:-1].replace("]]", "]")
            if before is None:
                measures.add(name)
            else:
                columns.add((before, name))
        before = _table_named(token, after, variables)
        tables |= {before} if before is not None else set()
    return Names(frozenset(tables), frozenset(columns), frozenset(measures))


def _table_named(token: Token, after: Token | None, variables: set[str]) -> str | None:
    """The table that a token names: a quoted one, or a word that is no function, variable or keyword."""
    if token.kind == "table":
        return token.text[1:-1].replace("''", "'")
    if token.kind != "word" or token.text in variables or token.text.upper() in _WORDS:
        return None
    return None if after is not None and after.text == "(" else token.text


def _pairs(written: list[Token]) -> Iterator[tuple[Token, Token | None]]:
    """Each token with the one after it."""
    return zip(written, [*written[1:], None], strict=False)
