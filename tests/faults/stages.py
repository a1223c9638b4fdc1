"""The stages of the platform, each as one process does it over a home folder.

What a stage leaves must not depend on the clock or on chance, since homes are compared byte by byte; only evidence and
erasures say when they were done. What is compared, and how, stands in `judging`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import known_keys
import pyarrow as pa
import pyarrow.compute as pc
from alert_examples import Desk, after, finding, right, wrong
from erasure_rooms import Rooms
from intake_messages import OTHER_TENANT, TENANT, flow_step, scan, write
from judging import judge_erasure, judge_keys, judge_messages, judge_removal
from retention_house import NOW as RETENTION_NOW
from retention_house import RetentionHouse
from slack_api import TOKEN

from analytics_platform.alerting.delivery import Delivery
from analytics_platform.alerting.slack import SlackClient
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import load_catalog
from analytics_platform.governance.retention.lock import LASTS
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool, SpoolLimits
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.importer import import_paths
from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.extract_manifest import Manifest, Schema, Table, columns_of
from analytics_platform.lake.extracts import Stamp, parquet_bytes, publish, put_part
from analytics_platform.lake.ledger import ledger_rows
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.raw import scan as scan_raw
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse

CATALOG = load_catalog()
STREAMS = list(CATALOG.streams)
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
FIRST, LAST = date(2026, 1, 1), date(2026, 1, 31)
CUTS = (slice(0, 25), slice(25, 60))
"""What a first and a second import bring, so that stages change what there is already."""

_SPOOL = SpoolLimits(segment_bytes=1_500, segment_seconds=3_600, min_free_bytes=0)
_WRITER = "collector0a"
_EXTRACT = pa.schema([("day", pa.date32()), ("tenant_id", pa.string()), ("messages", pa.int64())])


def store_of(home: Path) -> LocalStore:
    """The lake of a home."""
    return LocalStore(home / "lake")


def warehouse_of(home: Path) -> DuckDBWarehouse:
    """The warehouse of a home."""
    return DuckDBWarehouse(home / "warehouse.duckdb", lock_timeout=20)


def keys_of(home: Path) -> IdentityKeys:
    """The identity keys of a home; those of the tests, put there first, so that the same bytes come of them."""
    return IdentityKeys(home / "identity_keys.json")


def furnish(home: Path) -> None:
    """Two files of messages that have everything in them: twice, in conflict, broken, unknown, with an address."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(known_keys.KEYS._file, home / "identity_keys.json")
    for number, cut in enumerate(CUTS):
        messages = _messages()[cut]
        path = write(home / "in" / f"{number}.ndjson", *messages, messages[0])
        with path.open("ab") as file:
            file.write(b'{"type": NaN}\n{"type":"track"\n')


def _messages() -> list[dict[str, Any]]:
    tenants = (TENANT, OTHER_TENANT)
    steps = [
        flow_step(
            f"m-{n}", f"2026-01-{1 + n % 3:02d}T10:00:{n:02d}Z", tenants[n % 2], receivedAt="2026-01-04T00:00:00Z"
        )
        for n in range(50)
    ]
    known = [
        {
            **flow_step(f"i-{n}", "2026-01-02T11:00:00Z"),
            "type": "identify",
            "event": ...,
            "userId": f"user-{n}",
            "traits": {"email": f"someone.{n}@people.example"},
        }
        for n in range(4)
    ]
    others = [
        scan("s-1"),
        scan("s-2", properties={"status_seq": 8}),
        scan("bad", event="not.known"),
        flow_step("m-1", "2026-01-02T10:00:01Z", OTHER_TENANT, userId="somebody else"),
    ]
    said = [{name: value for name, value in each.items() if value is not ...} for each in known]
    mixed = [each for pair in zip(steps, [*said, *others, *steps[:42]], strict=False) for each in pair]
    return mixed[:60]


def bring_in(home: Path) -> None:
    """Import the second file."""
    _import(home, 1)


def first_half(home: Path) -> None:
    """All that was before: the first file, from import to publication."""
    _import(home, 0)
    for stage in (build_raw, load, publish_extract):
        stage(home)


def build_raw(home: Path) -> None:
    """Landing to raw, and identifiers to their table."""
    store = store_of(home)
    take = IdentitiesTable(store, keys_of(home)).take
    build_partitions(store, streams=STREAMS, partitions=landed_partitions(store), identifiers=take)


def load(home: Path) -> None:
    """The ledger, then every stream, into the warehouse."""
    store, warehouse = store_of(home), warehouse_of(home)
    warehouse.replace_days("ops.ledger", ledger_rows(store, FIRST, LAST), FIRST, LAST)
    for stream in STREAMS:
        warehouse.replace_days(f"raw.{stream}", scan_raw(store, stream, FIRST, LAST), FIRST, LAST)


def publish_extract(home: Path) -> None:
    """What the warehouse says of each day, as an extract that readers follow."""
    store = store_of(home)
    sql = "select day, tenant_id, count(*) as messages from raw.product group by all order by all"
    rows = warehouse_of(home).query(sql).cast(_EXTRACT)
    days = sorted(set(rows["day"].to_pylist()))
    bodies = {day: parquet_bytes(rows.filter(pc.equal(rows["day"], day))) for day in days}
    parts = {day: put_part(store, "product", "usage", day, body, 1) for day, body in bodies.items()}

    def edit(base: Manifest) -> Mapping[str, Table]:
        known = base.tables.get("usage", Table(Schema(1, "day", columns_of(_EXTRACT)), (), {}))
        return {"usage": replace(known, days={**known.days, **parts})}

    publish(store, "product", edit, Stamp(NOW, "run", "0" * 64))


def take_in(home: Path) -> None:
    """A collector acknowledges the second file, a few messages at a time; how many is written down beside the home."""
    gate = Gate(CATALOG, identities=keys_of(home), suppressed=Suppressions, tenant=TENANT)
    lines = (home / "in" / "1.ndjson").read_bytes().splitlines()
    outcomes = [found for line in lines if isinstance(found := gate.admit(line, received_at=NOW), Admitted)]
    acked = home.parent / f"{home.name}.acked"
    spool = Spool.open(home / "spool", _WRITER, _SPOOL, clock=lambda: NOW)
    try:
        for group in range(0, len(outcomes), 3):
            asyncio.run(spool.commit(outcomes[group : group + 3]))
            acked.write_text(str(min(group + 3, len(outcomes))))
    finally:
        spool.close()


def ship(home: Path) -> None:
    """Recover a spool, ship all that it holds, and close its hour."""
    spool = Spool.open(home / "spool", _WRITER, _SPOOL, clock=lambda: NOW)
    try:
        spool.drain()
        Shipper(spool, store_of(home), clock=lambda: NOW).ship_waiting(final=True)
    finally:
        spool.close()


def remove(home: Path) -> None:
    """Retention removes what was approved, as a process that found what an earlier one left would."""
    house = RetentionHouse(CATALOG, home)
    for plan in house.desk.approved(RETENTION_NOW):
        house.desk.apply(plan, by="bob", now=RETENTION_NOW)


def erase(home: Path) -> None:
    """An approved erasure is run."""
    desk = Rooms(CATALOG, home).desk()
    for request in desk.approved(datetime.now(UTC)):
        assert desk.run(request, by="bob").ok


def prepare_removal(home: Path) -> None:
    """A plan that somebody else has approved."""
    house = RetentionHouse(CATALOG, home)
    house.fill()
    house.approved()


def prepare_erasure(home: Path) -> None:
    """A request that somebody else has approved."""
    rooms = Rooms(CATALOG, home)
    rooms.fill()
    rooms.approved()


def make_keys(home: Path) -> None:
    """Keys for two tenants, of which the second has some already."""
    keys = keys_of(home)
    keys.of(TENANT)
    keys.rotate(OTHER_TENANT)


def tell(home: Path) -> None:
    """Three incidents, of which one recovers, and a proof of life: what is to be said is in the outbox."""
    desk = Desk(CATALOG, home)
    desk.see(wrong(*(finding(tenant=f"tenant-{number}") for number in range(3))))
    desk.see(right(finding(tenant="tenant-1")), after(minutes=1))
    desk.desk.heartbeat(after(minutes=1))


def deliver(home: Path) -> None:
    """Empty the outbox into the Slack whose address lies in the home, at the time that does."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    now = datetime.fromisoformat((home / "now").read_text())
    client = SlackClient(TOKEN, (home / "slack").read_text(), timeout_seconds=1)
    Delivery(SqliteStore(home / "alerts.sqlite"), client, clock=lambda: now).deliver()


def expire_lock(home: Path) -> None:
    """What five minutes do: the lock of a removal that died is believed no longer."""
    assert timedelta(minutes=5) == LASTS
    shutil.rmtree(home / "lake" / "governance" / "locks", ignore_errors=True)


def _import(home: Path, number: int) -> None:
    import_paths(
        [home / "in" / f"{number}.ndjson"], catalog=CATALOG, store=store_of(home), identities=keys_of(home), now=NOW
    )


STAGES: dict[str, Callable[[Path], None]] = {
    each.__name__: each
    for each in (
        furnish,
        bring_in,
        build_raw,
        load,
        publish_extract,
        take_in,
        ship,
        remove,
        erase,
        prepare_removal,
        prepare_erasure,
        make_keys,
        expire_lock,
        tell,
        deliver,
        judge_messages,
        judge_removal,
        judge_erasure,
        judge_keys,
        first_half,
    )
}
