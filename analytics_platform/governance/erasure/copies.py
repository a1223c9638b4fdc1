"""Files of their own that audiences read (`governance.access`): one that names the person goes, and is made anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Findings, Found, Held

_DATASET = "access_files"


class AudienceCopies:
    """DuckDB files below a folder.

    Args:
        folder: where they lie.
    """

    name = "audience files"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for _ in self._concerned(person):
            findings.add(_DATASET, "hold" if held(_DATASET, None) else "delete")
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for path in [] if held(_DATASET, None) else list(self._concerned(person)):
            path.unlink(missing_ok=True)
            findings.add(_DATASET, "delete")
        yield from findings.found()

    def _concerned(self, person: Person) -> Iterator[Path]:
        return (path for path in sorted(self._folder.rglob("*.duckdb")) if rows_in(path, person))


def rows_in(path: Path, person: Person) -> int:
    """Rows of a DuckDB file that are the tenant's or nobody's and mention the person."""
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        tables = connection.execute(
            "select table_schema, table_name, bool_or(column_name = 'tenant_id') from information_schema.columns "
            "group by all"
        ).fetchall()
        count = 0
        for schema, table, has_tenant in tables:
            own = "tenant_id = ? or tenant_id is null" if has_tenant else "? is not null"
            sql = f'select count(*) from "{schema}"."{table}" t where ({own}) and '
            sql += "regexp_matches(cast(t as varchar), ?)"
            count += connection.execute(sql, [person.tenant, person.pattern]).fetchall()[0][0]
        return count
