"""A PostgreSQL database of records as a place: where a text mentions the person, a stand-in takes its place.

`mentions_in` is the search afterwards: it knows no columns, takes every row as one text, opens what is compressed, and
shares nothing with the erasure.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.pool import NullPool

from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Findings, Found, Held, OneWalk

_TEXTS = (
    "select c.table_name, c.column_name from information_schema.columns c "
    "join information_schema.tables t using (table_schema, table_name) "
    "where c.table_schema = current_schema() and t.table_type = 'BASE TABLE' "
    "and c.data_type in ('text', 'character varying') order by 1, 2"
)
_TABLES = "select relname from pg_stat_user_tables where schemaname = current_schema() order by 1"
_BYTES = (
    "select column_name from information_schema.columns "
    "where table_schema = current_schema() and table_name = :table and data_type = 'bytea'"
)
_WORD = "0-9A-Za-z_-"


class DatabaseTexts(OneWalk):
    """Every text of every table of a database.

    Args:
        dataset: its name in the registry.
        url: the database.
    """

    name = "database"

    def __init__(self, dataset: str, url: URL) -> None:
        self._dataset = dataset
        self._engine = create_engine(url, poolclass=NullPool)

    def _changed(self, person: Person, held: Held, *, carry_out: bool) -> Iterator[Found]:
        findings, is_held = Findings(self.name), held(self._dataset, None)
        if is_held and carry_out:
            return
        units = 0
        with self._engine.begin() as connection:
            for table, column in _rows(connection, _TEXTS):
                units += _take_out(connection, table, column, person, carry_out=carry_out)
        findings.add(self._dataset, "hold" if is_held else "sever", units=units)
        yield from findings.found()


def _take_out(connection: Connection, table: str, column: str, person: Person, *, carry_out: bool) -> int:
    """Look for the terms anywhere, and judge by words what was found."""
    likely = (
        f'select cast(ctid as text), "{column}" from "{table}" '
        f'where exists (select 1 from unnest(cast(:terms as text[])) term where strpos(lower("{column}"), term) > 0) '
        + ("for update" if carry_out else "")
    )
    concerned = [
        (place, said) for place, said in _rows(connection, likely, terms=person.spellings) if person.is_in(said)
    ]
    if carry_out and concerned:
        sever = text(f'update "{table}" set "{column}" = :said where ctid = cast(:place as tid)')
        connection.execute(sever, [{"place": place, "said": person.without(said)} for place, said in concerned])
    return len(concerned)


def mentions_in(url: URL, person: Person) -> Iterator[tuple[str, int]]:
    """How many rows of each table mention a person."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        for (table,) in _rows(connection, _TABLES):
            yield table, _mentions(connection, table, person) + _compressed_mentions(connection, table, person)


def _mentions(connection: Connection, table: str, person: Person) -> int:
    row = "replace(cast(t as text), '\"\"', '\"')"
    found = f'select count(*) from "{table}" t where {row} ~ :ids or {row} ~* :values'
    ((count,),) = _rows(connection, found, ids=_pattern(person.ids), values=_pattern(person.values))
    return int(count)


def _compressed_mentions(connection: Connection, table: str, person: Person) -> int:
    found = 0
    for (column,) in _rows(connection, _BYTES, table=table):
        bodies = _rows(connection, f'select "{column}" from "{table}" where "{column}" is not null')
        found += sum(person.is_in_bytes(_opened(bytes(body))) for (body,) in bodies)
    return found


def _rows(connection: Connection, statement: str, **parameters: object) -> Sequence[Any]:
    return connection.execute(text(statement), parameters).all()


def _opened(body: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompress(body)
    return body


def _pattern(terms: frozenset[str]) -> str:
    """PostgreSQL's spelling of a term between the ends of words; one that nothing matches where there is no term."""
    spelled = "|".join(re.sub(r"([^0-9A-Za-z_])", r"\\\1", term) for term in sorted(terms))
    return f"(^|[^{_WORD}])({spelled})($|[^{_WORD}])" if terms else "(?!)x"
