"""A PostgreSQL database of records as a place: where a text mentions the person, a stand-in takes its place.

`mentions_in` is the search afterwards: it knows no columns, takes every row as one text, opens what is compressed, and
shares nothing with the erasure.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.pool import NullPool

from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Findings, Found, Held

_TEXTS = (
    "select c.table_name, c.column_name from information_schema.columns c "
    "join information_schema.tables t using (table_schema, table_name) "
    "where c.table_schema = current_schema() and t.table_type = 'BASE TABLE' "
    "and c.data_type in ('text', 'character varying') order by 1, 2"
)
_WORD = "0-9A-Za-z_-"


class DatabaseTexts:
    """Every text of every table of a database.

    Args:
        dataset: its name in the registry.
        url: the database.
    """

    name = "database"

    def __init__(self, dataset: str, url: URL) -> None:
        self._dataset = dataset
        self._engine = create_engine(url, poolclass=NullPool)

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        yield from self._changed(person, held, carry_out=False)

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        yield from self._changed(person, held, carry_out=True)

    def _changed(self, person: Person, held: Held, *, carry_out: bool) -> Iterator[Found]:
        findings, is_held = Findings(self.name), held(self._dataset, None)
        if is_held and carry_out:
            return
        with self._engine.begin() as connection:
            units = sum(
                _take_out(connection, table, column, person, carry_out=carry_out)
                for table, column in connection.execute(text(_TEXTS)).all()
            )
        findings.add(self._dataset, "hold" if is_held else "sever", units=units)
        yield from findings.found()


def _take_out(connection: Connection, table: str, column: str, person: Person, *, carry_out: bool) -> int:
    """Look for the terms anywhere, and judge by words what was found."""
    likely = text(
        f'select ctid::text, "{column}" from "{table}" '
        f'where exists (select 1 from unnest(cast(:terms as text[])) term where strpos(lower("{column}"), term) > 0) '
        + ("for update" if carry_out else "")
    )
    concerned = [
        (place, said)
        for place, said in connection.execute(likely, {"terms": person.spellings}).all()
        if person.is_in(said)
    ]
    if carry_out and concerned:
        sever = text(f'update "{table}" set "{column}" = :said where ctid = cast(:place as tid)')
        connection.execute(sever, [{"place": place, "said": person.without(said)} for place, said in concerned])
    return len(concerned)


def mentions_in(url: URL, person: Person) -> Iterator[tuple[str, int]]:
    """How many rows of each table mention a person."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        tables = connection.execute(text("select relname from pg_stat_user_tables where schemaname = current_schema()"))
        for (table,) in tables.all():
            yield table, _mentions(connection, table, person) + _compressed_mentions(connection, table, person)


def _mentions(connection: Connection, table: str, person: Person) -> int:
    row = "replace(cast(t as text), '\"\"', '\"')"
    found = text(f'select count(*) from "{table}" t where {row} ~ :ids or {row} ~* :values')
    patterns = {"ids": _pattern(person.ids), "values": _pattern(person.values)}
    return int(connection.execute(found, patterns).scalar_one())


def _compressed_mentions(connection: Connection, table: str, person: Person) -> int:
    of_bytes = text(
        "select column_name from information_schema.columns "
        "where table_schema = current_schema() and table_name = :table and data_type = 'bytea'"
    )
    columns = connection.execute(of_bytes, {"table": table}).scalars().all()
    bodies = (
        body for each in columns for body in connection.execute(text(f'select "{each}" from "{table}"')).scalars()
    )
    return sum(person.is_in_bytes(_opened(bytes(body))) for body in bodies if body is not None)


def _opened(body: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompress(body)
    return body


def _pattern(terms: frozenset[str]) -> str:
    """PostgreSQL's spelling of a term between the ends of words; one that nothing matches where there is no term."""
    spelled = "|".join(re.sub(r"([^0-9A-Za-z_])", r"\\\1", term) for term in sorted(terms))
    return f"(^|[^{_WORD}])({spelled})($|[^{_WORD}])" if terms else "(?!)x"
