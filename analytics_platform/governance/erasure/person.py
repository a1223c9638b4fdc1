"""The ids of one person, and finding them in texts: what every place is searched by.

An id is found as a word of its own: `cust-7` is not in `cust-70` nor in `inv-cust-7`. Identifiers as they are spelled
(an e-mail address, a phone number) are found whatever their case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.identities.keys import TenantKeys
from analytics_platform.identities.suppression import subject_hash

_WORD = "0-9A-Za-z_-"


@dataclass(frozen=True)
class Person:
    """One person of a tenant.

    Attributes:
        tenant: whose data it is.
        ids: pseudonymous ids and keyed references.
        values: identifiers as they are spelled.
        stand_in: takes the person's place where a record is kept.
        named: the stand-in of each term, where they were given out before.
    """

    tenant: str
    ids: frozenset[str]
    values: frozenset[str]
    stand_in: str
    named: Mapping[str, str] | None = None

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Everything that the person is searched by, in order."""
        return tuple(sorted(self.ids | self.values))

    @cached_property
    def stand_ins(self) -> Mapping[str, str]:
        """What takes each term's place: the stand-in, numbered, so that two keys of records stay two."""
        if self.named is not None:
            return self.named
        return {term: f"{self.stand_in}_{number}" for number, term in enumerate(self.terms, 1)}

    def hashes(self, keys: TenantKeys) -> dict[str, str]:
        """The stand-ins by keyed hash: what may be written down."""
        return {subject_hash(keys, term): stand_in for term, stand_in in self.stand_ins.items()}

    @cached_property
    def pattern(self) -> str:
        """For engines of warehouses and Arrow: a term between the ends of words.

        In what all of them know: Snowflake has no look-around, no groups that begin with `?`, and no flags.
        """
        terms = "|".join(_folded(term) if term in self.values else _plain(term) for term in self.terms)
        return f"(^|[^{_WORD}])({terms})($|[^{_WORD}])"

    @property
    def spellings(self) -> list[str]:
        """Every term in small letters, also as JSON writes it: a text without any of them mentions nobody."""
        return sorted({spelling.lower() for term in self.terms for spelling in (term, _in_json(term))})

    def is_in(self, text: str) -> bool:
        """Whether a text mentions the person."""
        return self._words.search(text) is not None

    def is_in_bytes(self, data: bytes | mmap) -> bool:
        """Whether bytes mention the person."""
        return self._byte_words.search(data) is not None

    def without(self, text: str) -> str:
        """The text with a stand-in in each mention's place."""
        return self._words.sub(lambda match: self._stand_in_of(match[0]), text)

    def mentioned(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Which texts of a column mention the person; never null."""
        return pc.fill_null(pc.match_substring_regex(column.cast(pa.string()), self.pattern), False)

    @cached_property
    def _any(self) -> str:
        return "|".join(_spelled(term, is_folded=term in self.values) for term in self.terms)

    @cached_property
    def _words(self) -> re.Pattern[str]:
        return re.compile(f"(?<![{_WORD}])(?:{self._any})(?![{_WORD}])")

    @cached_property
    def _byte_words(self) -> re.Pattern[bytes]:
        return re.compile(f"(?<![{_WORD}])(?:{self._any})(?![{_WORD}])".encode())

    def _stand_in_of(self, said: str) -> str:
        if said in self.stand_ins:
            return self.stand_ins[said]
        folded = {_in_json(term).casefold(): stand_in for term, stand_in in self.stand_ins.items()}
        return folded[said.casefold()]


def text_columns(schema: pa.Schema) -> list[str]:
    """The columns of a table that hold text."""
    return [each.name for each in schema if pa.types.is_string(each.type) or pa.types.is_large_string(each.type)]


def any_mentions(person: Person, rows: pa.Table, columns: Iterable[str]) -> pa.Array:
    """Which rows mention the person in any of the columns."""
    found = pa.array([False] * rows.num_rows, pa.bool_())
    for name in columns:
        found = pc.or_(found, person.mentioned(rows[name]).combine_chunks())
    return found


def _spelled(term: str, *, is_folded: bool) -> str:
    """A term as a pattern, also as JSON writes it."""
    return f"(?i:{_plain(term)})" if is_folded else _plain(term)


def _plain(term: str) -> str:
    return "|".join(re.escape(each) for each in _spellings(term))


def _folded(term: str) -> str:
    """A term in any case, letter by letter."""
    return "|".join("".join(map(_in_any_case, each)) for each in _spellings(term))


def _in_any_case(letter: str) -> str:
    cases = "".join(sorted({each for each in (letter, letter.lower(), letter.upper()) if len(each) == 1}))
    return f"[{cases}]" if len(cases) > 1 else re.escape(letter)


def _spellings(term: str) -> list[str]:
    return list(dict.fromkeys((term, _in_json(term))))


def _in_json(term: str) -> str:
    return orjson.dumps(term).decode()[1:-1]
