"""The set operation behind raw: landing lines and rows that raw holds already in, rows to keep and losers out.

Runs in a DuckDB of its own, in memory, bounded, for one batch of partitions. Of all rows with the same message id the
first in `_RANK` stays: the earliest received, and between equals the order of every other column, so the answer
depends on the set of rows alone. A loser with the winner's payload is a duplicate; one with another payload is a
conflict, once per payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.schema import IDENTIFIERS, JSON_COLUMNS, LANDING_COLUMNS, RAW_SCHEMA

PartitionKey = tuple[str, date, str]
"""Stream, day and tenant."""

Identified = Sequence[Any]
"""User, device, sealed identifiers, and how many lines say so."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEMORY_LIMIT = "192MB"
# A second thread costs more CPU in waiting for small files than it saves in time.
_THREADS = 1
_MAX_LINE_BYTES = 1 << 20
_ROWS_PER_BATCH = 50_000
# A batch in memory is one piece: rows of several are picked by copying all of them first, every time.
_ROWS_IN_MEMORY = 1_000_000
_ROWS_PER_TAKE = 10_000
# What one fetch out of DuckDB's table may hold, and about what a row holds besides its nested columns.
_FETCHED_BYTES = 32_000_000
_FLAT_BYTES = 300
_COLUMNS = tuple(LANDING_COLUMNS)
# Arrow hands on what DuckDB finds while it streams as OSError.
_UNREADABLE = (duckdb.InvalidInputException, duckdb.IOException, OSError)
_FIRST_RANKED = ("received_at", "payload_hash", "sent_at")
_RANK = ", ".join(
    f"{name} nulls last" for name in (*_FIRST_RANKED, *(c for c in RAW_SCHEMA.names if c not in _FIRST_RANKED))
)

# Most batches have no doubled id: the narrow aggregate finds that out without sorting a single wide row.
_LOSERS = f"""
create or replace temp table losers as
with doubled as (
    select stream, day, tenant_id, message_id from incoming group by all having count(*) > 1
), ranked as (
    select row, stream, day, tenant_id,
        row_number() over same_id as place,
        payload_hash <> first_value(payload_hash) over same_id as is_other_payload,
        row_number() over same_payload as place_in_payload
    from incoming semi join doubled using (stream, day, tenant_id, message_id)
    window same_id as (partition by stream, day, tenant_id, message_id order by {_RANK}),
        same_payload as (partition by stream, day, tenant_id, message_id, payload_hash order by {_RANK})
)
select row, stream, day, tenant_id, is_other_payload and place_in_payload = 1 as is_conflict
from ranked where place > 1
"""

_KEPT = "incoming anti join losers using (row)"
_ORDER = "stream, day, tenant_id, event_at, message_id"


class LandingCorruptError(AnalyticsError):
    """A landing object cannot be read back as it was written."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What goes into one batch; paths are files on this machine.

    `landing` has the streams to take from each landing file, `held` the stream of each raw file whose rows take part,
    `conflicts` files with landing lines that lost earlier. `by_file` asks for lines to be told apart by landing file,
    which costs a fifth of the reading: it is needed where a partition has several. `is_large` sends the rows through
    DuckDB's own tables, which spill to disk, instead of Arrow, which is cheaper.
    """

    landing: Mapping[Path, frozenset[str]]
    held: Mapping[Path, str]
    conflicts: tuple[Path, ...]
    by_file: bool
    is_large: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of one partition after the merge: how many, the latest received, the earliest business time."""

    rows: int
    watermark: datetime
    earliest_occurred_at: datetime


class Merge:
    """One merged batch; its answers hold until the connection merges the next.

    The relation `incoming` has all rows with a number each (`row`), the table `losers` those that do not stay.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: pa.Table | None) -> None:
        self._connection = connection
        self._table = table

    def lines(self) -> dict[tuple[str, PartitionKey], int]:
        """How many lines each landing file gave to each partition, by path; by `""` where files are not told apart."""
        query = "select path, stream, day, tenant_id, count(*) from incoming where path is not null group by all"
        return {(path, (stream, day, tenant)): n for path, stream, day, tenant, n in self._rows(query)}

    def kept(self) -> dict[PartitionKey, Kept]:
        """What remains of each partition; partitions without rows are absent."""
        query = (
            "select stream, day, tenant_id, count(*), epoch_us(max(received_at)), epoch_us(min(occurred_at)) "
            f"from {_KEPT} group by all"
        )
        return {
            (stream, day, tenant): Kept(rows, _moment(received), _moment(occurred))
            for stream, day, tenant, rows, received, occurred in self._rows(query)
        }

    def dropped(self) -> dict[PartitionKey, int]:
        """Duplicates that this batch dropped, by partition."""
        query = "select stream, day, tenant_id, count(*) from losers where not is_conflict group by all"
        return {(stream, day, tenant): n for stream, day, tenant, n in self._rows(query)}

    def conflicts(self) -> dict[PartitionKey, list[dict[str, Any]]]:
        """All losers with another payload, in the order of id and rank, as rows of landing columns."""
        query = (
            f"select {', '.join(_COLUMNS)} from incoming semi join (select row from losers where is_conflict) lost "
            f"using (row) order by message_id, {_RANK}"
        )
        found: dict[PartitionKey, list[dict[str, Any]]] = {}
        for row in self._rows(query):
            named = dict(zip(_COLUMNS, row, strict=True))
            found.setdefault((named["stream"], named["day"], named["tenant_id"]), []).append(named)
        return found

    def identifiers(self) -> list[tuple[PartitionKey, Identified]]:
        """What landing lines brought sealed, by partition, and in how many lines.

        A person's messages bring the same again and again, and whoever opens seals opens each of these once.
        """
        query = (
            f"select stream, day, tenant_id, user_id, anonymous_id, {IDENTIFIERS}, count(*) from incoming "
            f"where path is not null and {IDENTIFIERS} is not null group by all"
        )
        return [((stream, day, tenant), said) for stream, day, tenant, *said in self._rows(query)]

    def identifiers_by_file(self, key: PartitionKey) -> list[tuple[str, Identified]]:
        """The same of one partition, by path (see `lines`)."""
        query = (
            f"select path, user_id, anonymous_id, {IDENTIFIERS}, count(*) from incoming where path is not null "
            f"and {IDENTIFIERS} is not null and (stream, day, tenant_id) = (?, ?, ?) group by all"
        )
        return [(path, said) for path, *said in self._connection.execute(query, key).fetchall()]

    def sorted_rows(self) -> Iterator[pa.RecordBatch]:
        """The kept rows by stream, day, tenant, event time and message id, in the columns of `RAW_SCHEMA`.

        Only the sort's keys are sorted; the wide rows are fetched in that order, a bounded part at a time.
        """
        order = self._connection.sql(f"select row from {_KEPT} order by {_ORDER}").to_arrow_table()["row"]
        rows_at_once = _ROWS_PER_TAKE if self._table is not None else self._rows_that_fit()
        for start in range(0, len(order), rows_at_once):
            part = order.slice(start, rows_at_once)
            rows = self._fetched(part) if self._table is None else self._table.select(RAW_SCHEMA.names).take(part)
            yield from rows.combine_chunks().to_batches()

    def _fetched(self, part: pa.ChunkedArray) -> pa.Table:
        """Rows by number out of DuckDB's table, in the order of the numbers given."""
        numbered = pa.table({"row": part, "place": pa.array(range(len(part)), pa.int64())})
        self._connection.register("part", numbered)
        query = f"select place, {', '.join(RAW_SCHEMA.names)} from incoming join part using (row)"
        rows = self._connection.sql(query).to_arrow_table()
        return rows.select(RAW_SCHEMA.names).take(pc.sort_indices(rows["place"]))

    def _rows_that_fit(self) -> int:
        nested = " + ".join(f"coalesce(strlen({name}), 0)" for name in JSON_COLUMNS)
        ((width,),) = self._rows(f"select avg({nested}) from incoming")
        return max(int(_FETCHED_BYTES / ((width or 0) + _FLAT_BYTES)), 1)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()


@contextmanager
def connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """A bounded DuckDB in memory that spills to a folder of its own."""
    with TemporaryDirectory(prefix="analytics-raw-") as folder, duckdb.connect(":memory:") as connection:
        connection.execute(f"set memory_limit = '{_MEMORY_LIMIT}'; set threads = {_THREADS}")
        connection.execute(f"set temp_directory = {_literal(folder)}")
        connection.execute(
            "set TimeZone = 'UTC'; set preserve_insertion_order = false; set enable_progress_bar = false"
        )
        yield connection


def merge(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> Merge:
    """Read a batch and decide which of its rows stay.

    Raises:
        LandingCorruptError: a landing file is not what was written.
    """
    _name_files(connection, wanted)
    sources = [part for part in (_landing(wanted), _held(wanted), _lost_before(wanted)) if part] or [_nothing()]
    _forget_batch(connection)
    try:
        table = _read(connection, " union all ".join(sources), is_large=wanted.is_large)
    except _UNREADABLE as error:
        raise LandingCorruptError(f"cannot read landing; restore a damaged object from a copy: {error}") from error
    connection.execute(_LOSERS)
    return Merge(connection, table)


def _forget_batch(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of the last batch's rows: Arrow's are registered, those that DuckDB kept are a view of a table."""
    connection.unregister("incoming")
    connection.execute("drop view if exists incoming; drop table if exists kept_by_duckdb")


def _read(connection: duckdb.DuckDBPyConnection, query: str, *, is_large: bool) -> pa.Table | None:
    """Make the relation `incoming`; its rows as Arrow unless DuckDB is to keep them."""
    if is_large:
        connection.execute(f"create temp table kept_by_duckdb as {query}")
        connection.execute("create temp view incoming as select *, rowid as row from kept_by_duckdb")
        return None
    table = connection.sql(query).to_arrow_reader(_ROWS_IN_MEMORY).read_all()
    numbered = table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
    connection.register("incoming", numbered)
    return numbered


def read_parquet_rows(connection: duckdb.DuckDBPyConnection, paths: tuple[Path, ...]) -> Iterator[pa.RecordBatch]:
    """The rows of raw objects, object by object."""
    query = f"select {', '.join(RAW_SCHEMA.names)} from read_parquet({_listed(paths)})"
    connection.execute("set preserve_insertion_order = true")
    yield from connection.sql(query).to_arrow_reader(_ROWS_PER_BATCH)


def _nothing() -> str:
    columns = ", ".join(f"null::{kind.replace('JSON', 'VARCHAR')} as {name}" for name, kind in LANDING_COLUMNS.items())
    return f"select null::varchar as path, {columns} limit 0"


def _name_files(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    landing = [(str(path), stream) for path, streams in wanted.landing.items() for stream in sorted(streams)]
    named = landing + [(str(path), stream) for path, stream in wanted.held.items()]
    files = pa.table({"path": [path for path, _ in named], "stream": [stream for _, stream in named]})
    connection.register("files", files)


def _landing(wanted: Wanted) -> str:
    if not wanted.landing:
        return ""
    path = "lines.filename" if wanted.by_file else "''"
    columns = ", ".join(_selected(name) for name in _COLUMNS)
    return f"select {path} as path, {columns} from {_read_lines(wanted.landing)} lines {_of_streams(wanted)}"


def _of_streams(wanted: Wanted) -> str:
    """Leave out lines of streams that are not asked for: one list for all files, or each file's own."""
    asked = set(wanted.landing.values())
    if len(asked) == 1:
        return f"where stream in ({', '.join(_literal(stream) for stream in sorted(asked.pop()))})"
    return "semi join files on files.path = lines.filename and files.stream = lines.stream"


def _lost_before(wanted: Wanted) -> str:
    if not wanted.conflicts:
        return ""
    columns = ", ".join(_selected(name) for name in _COLUMNS)
    return f"select null as path, {columns} from {_read_lines(wanted.conflicts)} lines"


def _held(wanted: Wanted) -> str:
    if not wanted.held:
        return ""
    columns = ", ".join(_from_raw(name, kind) for name, kind in LANDING_COLUMNS.items())
    source = f"read_parquet({_listed(wanted.held)}, filename = true)"
    return f"select null as path, {columns} from {source} rows join files on files.path = filename"


def _from_raw(name: str, kind: str) -> str:
    """A landing column out of a raw object."""
    if name == IDENTIFIERS:
        return f"null::varchar as {name}"
    if name == "stream":
        return "files.stream"
    return f"{name}::timestamp" if kind == "TIMESTAMP" else name


def _selected(name: str) -> str:
    return f"{name}::varchar as {name}" if name in JSON_COLUMNS else f"lines.{name}"


def _read_lines(paths: Mapping[Path, Any] | tuple[Path, ...]) -> str:
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in LANDING_COLUMNS.items())
    return (
        f"read_json({_listed(paths)}, format = 'newline_delimited', compression = 'zstd', filename = true, "
        f"maximum_object_size = {_MAX_LINE_BYTES}, columns = {{{columns}}})"
    )


def _listed(paths: Mapping[Path, Any] | tuple[Path, ...]) -> str:
    return f"[{', '.join(_quoted(str(path)) for path in paths)}]"


def _quoted(path: str) -> str:
    """A path as SQL text; DuckDB reads paths as glob patterns, so those characters become classes of themselves."""
    plain = re.sub(r"[*?\[]", lambda match: f"[{match[0]}]", path)
    return _literal(plain)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
