"""What is in a home after a stage, as plain values that two homes are compared by.

Files are compared byte by byte, which also finds what was left lying about. The warehouse is compared by rows, and what
says when it was done by what it says. Judging is a stage of its own: it is run in a process like those that it judges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from erasure_rooms import DAY, MINE, Rooms
from retention_house import RetentionHouse

from analytics_platform.catalog import load_catalog
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.lake.changes import stale_partitions
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.extract_audit import audit
from analytics_platform.lake.extract_manifest import read_manifest, scan_rows
from analytics_platform.lake.layout import MANIFEST_PREFIX, suppression_prefix
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse

CATALOG = load_catalog()
STREAMS = list(CATALOG.streams)
_ENDS = date(2026, 1, 1), date(2026, 3, 31)
_OUTCOME = ("stream", "day", "tenant_id", "accepted", "dead_lettered", "pending")
"""Of the ledger; how often a message came depends on how often it was brought."""

Finding = dict[str, Any]


def _written_down(find: Callable[[Path], Finding]) -> Callable[[Path], None]:
    """Write what was found beside the home, where whoever compares looks."""

    def judge(home: Path) -> None:
        found = orjson.dumps(find(home), option=orjson.OPT_SORT_KEYS)
        (home.parent / f"{home.name}.judged").write_bytes(found)

    judge.__name__ = find.__name__
    return judge


@_written_down
def judge_messages(home: Path) -> Finding:
    """Every message on its way from a file or a collector to what readers see."""
    store = LocalStore(home / "lake")
    ledger = ledger_rows(store, *_ENDS)
    hours = collector_hours(store, *_ENDS, STREAMS)
    return {
        "files": _files(home, apart=("warehouse.duckdb", f"lake/{MANIFEST_PREFIX}")),
        "ledger": ledger.select(_OUTCOME).to_pylist(),
        "unbalanced": unbalanced(ledger).to_pylist() + unaccounted(hours, datetime(2026, 3, 1, tzinfo=UTC)).to_pylist(),
        "stale": [str(each) for each in stale_partitions(store, *_ENDS, streams=STREAMS)],
        "tables": _tables(home),
        "seen": _seen(store),
        "problems": _problems(store),
    }


@_written_down
def judge_removal(home: Path) -> Finding:
    """What a removal has left."""
    house = RetentionHouse(CATALOG, home)
    return {
        "files": _files(home, apart=("warehouse.duckdb", "lake/evidence/", "lake/extracts/", "lake/removals/")),
        "tables": _tables(home),
        "kinds": [entry.kind for entry in house.desk.chain.entries()],
        "unnamed": _problems(house.store, "finance"),
    }


@_written_down
def judge_erasure(home: Path) -> Finding:
    """What an erasure has left of its person, and of everybody else."""
    rooms = Rooms(CATALOG, home)
    ledger = ledger_rows(rooms.store, DAY, DAY)
    return {
        "left": rooms.left(),
        "others": {key: hashlib.sha256(data).hexdigest() for key, data in rooms.bytes_of_others().items()},
        "kinds": [entry.kind for entry in EvidenceChain(rooms.store).entries()],
        "suppressions": len(rooms.store.list(suppression_prefix(MINE))),
        "ledger": ledger.select(_OUTCOME).to_pylist(),
        "unbalanced": unbalanced(ledger).to_pylist(),
        "beside_the_lake": sorted(name for name in _files(home) if not name.startswith("lake/") or "/." in name),
    }


@_written_down
def judge_keys(home: Path) -> Finding:
    """Whether keys can be read, for whom, and what lies beside them."""
    keys = IdentityKeys(home / "identity_keys.json", makes_missing=False)
    tenants = ("brabant-rental", "albion-stage")
    return {"files": sorted(_files(home)), "versions": {name: keys.of(name).newest.number > 0 for name in tenants}}


def _files(home: Path, apart: tuple[str, ...] = ()) -> dict[str, str]:
    files = {path.relative_to(home).as_posix(): path for path in sorted(home.rglob("*")) if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        # A lock is a file that is held, not one that is there.
        if not name.startswith(apart or ("\0",)) and not name.endswith((".lock", "/lock"))
    }


def _tables(home: Path) -> Finding:
    """Count and order-independent hash of every table's rows; moments at which a file was written left out."""
    path = home / "warehouse.duckdb"
    if not path.exists():
        return {}
    warehouse = DuckDBWarehouse(path, lock_timeout=20)
    sql = (
        "select table_schema || '.' || table_name as name, "
        "string_agg(column_name order by ordinal_position) as columns from information_schema.columns "
        "where column_name not in ('changed_at', 'received', 'duplicates', 'landing_objects', 'bytes') group by 1"
    )
    counted = "select count(*) as rows, coalesce(sum(hash({columns})::hugeint), 0)::varchar as hash from {name}"
    with warehouse.reading():
        return {
            each["name"]: warehouse.query(counted.format(**each)).to_pylist()[0]
            for each in sorted(warehouse.query(sql).to_pylist(), key=lambda each: str(each["name"]))
        }


def _seen(store: LocalStore) -> list[str]:
    """What a reader sees who follows the manifest."""
    manifest = read_manifest(store, "product")
    if manifest is None:
        return []
    table = manifest.tables["usage"]
    rows = scan_rows([store.local_path(part.key) for part in table.days.values()], table.schema).collect()
    return [str(row) for row in rows.rows()]


def _problems(store: LocalStore, dashboard: str = "product") -> list[str]:
    at = datetime.now(UTC) + timedelta(hours=1)
    return [problem for each in audit(store, dashboard, at).values() for problem in each.problems]
