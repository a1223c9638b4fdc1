"""Where in a text a direct identifier stands: by the catalogue's patterns, also where it is percent-encoded.

Almost no text holds one, and the same texts come again and again, so what was found to be clean is remembered, and
what cannot hold one by its characters is not searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.identifiers import IdentifierKind

_REMEMBERED = 50_000
_REMEMBERED_CHARACTERS = 256
_REMEMBERED_PLAIN = 24
"""Ids of things and people; longer ones are new with every message."""

# An address needs its sign, encoded or not; a number, an account or an IP address some digits or colons in a row.
_SUSPECT = re.compile(r"@|%[0-9A-Fa-f]{2}|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:|[0-9][0-9 .()-]{5}")
_ENCODED = re.compile(r"%([2-7][0-9A-Fa-f])")
_PLAIN_ID = re.compile(r"[a-z1-9][a-z0-9_-]*")
_LEVELS = 3
"""How often over a text is decoded: a URL in a query string of a URL."""

_MASK = "***"


class Found(NamedTuple):
    """An identifier in a text: its span there, its kind, and its own spelling, decoded."""

    start: int
    end: int
    kind: IdentifierKind
    value: str


class IdentifierSearch:
    """Finds identifiers in texts; `without` names kinds that are not looked for."""

    def __init__(self, catalog: Catalog, without: Iterable[IdentifierKind] = ()) -> None:
        declared = catalog.direct_identifiers.patterns
        self._patterns = [
            (re.compile(catalog.personal_data_patterns[name].pattern), kind)
            for name, kind in declared.items()
            if kind not in without
        ]
        self.clean: set[str] = set()
        """Texts in which nothing was found before; not all of them."""

    def find(self, text: str) -> list[Found]:
        """The identifiers in a text, in order, none within another."""
        if text in self.clean:
            return []
        is_plain = _is_plain(text)
        found = list(self._search(text)) if not is_plain and _SUSPECT.search(text) else []
        if not found and len(text) <= (_REMEMBERED_PLAIN if is_plain else _REMEMBERED_CHARACTERS):
            if len(self.clean) >= _REMEMBERED:
                self.clean.clear()
            self.clean.add(text)
        return found

    def masked(self, text: str) -> str:
        """The text without its identifiers: for messages that people read."""
        return replaced(text, ((each, _MASK) for each in self.find(text)))

    def _search(self, text: str) -> Iterator[Found]:
        plain, starts = _decoded(text)
        spans = sorted(span for pattern, kind in self._patterns for span in _spans(pattern, kind, plain))
        for start, end, kind in _apart(spans):
            yield Found(starts[start], starts[end], kind, plain[start:end])


def is_plain_id(text: str) -> bool:
    """Whether a text is an id as most are, which holds no identifier for sure (`_is_plain`, where it is ASCII)."""
    return _PLAIN_ID.fullmatch(text) is not None


def replaced(text: str, changes: Iterable[tuple[Found, str]]) -> str:
    """The text with something else in the place of what was found in it."""
    parts, end = [], 0
    for found, other in changes:
        parts += [text[end : found.start], other]
        end = found.end
    return "".join([*parts, text[end:]])


def _is_plain(text: str) -> bool:
    """Whether the text is one of the ids that are new with every message: no sign of an address, no number, no account.

    An address, encoded or not, and an IP address have signs beside letters and digits; a telephone number has one too,
    or begins with a nought; an account begins with two capitals.
    """
    word = text.replace("-", "").replace("_", "")
    return word.isalnum() and word[0] != "0" and word == word.lower()


_Span = tuple[int, int, IdentifierKind]


def _spans(pattern: re.Pattern[str], kind: IdentifierKind, text: str) -> Iterator[_Span]:
    """Where a pattern's identifiers stand: its named group, where it has one that takes part."""
    position = 0
    while match := pattern.search(text, position):
        start, end = match.span(match.lastgroup or 0)
        yield start, end, kind
        position = end  # what comes after the identifier may be what stands before the next one


def _apart(spans: Iterable[_Span]) -> list[_Span]:
    """Spans of which none overlaps another: those that do become one, of the first one's kind."""
    apart: list[_Span] = []
    for start, end, kind in spans:
        if apart and start < apart[-1][1]:
            first, last, first_kind = apart[-1]
            apart[-1] = (first, max(last, end), first_kind)
        else:
            apart.append((start, end, kind))
    return apart


def _decoded(text: str) -> tuple[str, list[int] | range]:
    """The text without percent-encoding, and for each of its characters and its end where that is in the text."""
    starts: list[int] | range = range(len(text) + 1)
    for _ in range(_LEVELS):
        parts, places, end = list[str](), list[int](), 0
        for match in _ENCODED.finditer(text):
            parts += [text[end : match.start()], chr(int(match[1], 16))]
            places += starts[end : match.start() + 1]
            end = match.end()
        if not parts:
            break
        text, starts = "".join([*parts, text[end:]]), [*places, *starts[end:]]
    return text, starts
