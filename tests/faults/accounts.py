"""The end of a long run: what was sent, landed, loaded and shown, and the same from an undisturbed build.

The undisturbed build is a deployment of its own, a folder with DuckDB and SQLite, that is given what has landed and
builds it once. Whatever faults did to the other must not show in a single row or published byte.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from deployment import Deployment
from lives import differences
from mixed_traffic import Told

from analytics_platform.catalog import load_catalog
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.extract_audit import audit
from analytics_platform.lake.extract_manifest import read_manifest, scan_rows
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.raw import scan
from analytics_platform.lake.store import LocalStore, ObjectStore
from analytics_platform.warehouse import DuckDBWarehouse

CATALOG = load_catalog()
STREAMS = list(CATALOG.streams)
_LANDED = ("landing/", "dead/", "landing_manifests/")
_BUILT = ("staging", "marts", "kpi")
_FLOWS = "growth", "flow_conversion"


@dataclass
class Account:
    """What there is, by stage, and what is wrong with it."""

    counts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def wants(self, holds: bool, otherwise: str) -> None:
        """Note a problem."""
        if not holds:
            self.problems.append(otherwise)


def accounted(made: Deployment, told: Told, first: date) -> Account:
    """Compare the deployment with what clients were told, and with an undisturbed build."""
    account = Account()
    store, last = made.store, datetime.now(UTC).date() + timedelta(days=1)
    landed = _landed(store, first, last)
    judge_landed(account, landed, told)
    _judge_books(account, store, first, last, told)
    warehouse = DuckDBWarehouse(made.home / "warehouse.duckdb", lock_timeout=60)
    loaded = _loaded(warehouse)
    account.counts["loaded"] = loaded.total()
    account.wants(loaded == landed, f"loaded is not what landed: {_few(loaded - landed)}, {_few(landed - loaded)}")
    _judge_shown(account, store, first, last)
    _judge_undisturbed(account, made, warehouse)
    _judge_leavings(account, made)
    return account


def judge_landed(account: Account, landed: Counter[str], told: Told) -> None:
    """Compare what landed with what clients were told."""
    sent = set().union(*told.sent.values())
    account.counts["sent"] = {name: len(ids) for name, ids in sorted(told.sent.items())} | {
        "middleware": told.requests,
        "unknown to the plan": len(told.refused),
        "given up": len(told.given_up),
    }
    account.counts["landed"] = landed.total()
    lost = sent - told.given_up - landed.keys()
    account.wants(not lost, f"{len(lost)} messages were acknowledged and are lost: {_few(lost)}")
    twice = {each for each, times in landed.items() if times > 1}
    account.wants(not twice, f"{len(twice)} messages are there twice: {_few(twice)}")
    others = len(landed.keys() - sent)
    account.wants(others == told.requests, f"{told.requests} requests were told of, {others} are there")
    account.wants(not told.refused & landed.keys(), "messages that the plan does not know are in raw")


def _judge_books(account: Account, store: ObjectStore, first: date, last: date, told: Told) -> None:
    ledger, hours = ledger_rows(store, first, last), collector_hours(store, first, last, STREAMS)
    account.wants(unbalanced(ledger).num_rows == 0, f"the ledger does not balance: {unbalanced(ledger).to_pylist()}")
    missing = unaccounted(hours, datetime.now(UTC) + timedelta(days=1)).to_pylist()
    account.wants(not missing, f"hours do not add up: {missing}")
    account.counts |= {name: sum(hours[name].to_pylist()) for name in ("acked", "waiting")}
    letters = sum(ledger["dead_lettered"].to_pylist())
    account.counts["dead_lettered"] = letters
    at_least = len(told.refused - told.given_up)
    account.wants(letters >= at_least, f"{at_least} messages were refused, {letters} letters are there")


def _judge_shown(account: Account, store: ObjectStore, first: date, last: date) -> None:
    """The flow extract against a plain reading of raw: the runs that reached a step, each counted once."""
    rows = scan(store, "product", first, last).read_all().select(["day", "tenant_id", "event", "properties"])
    said = [
        (row["day"], row["tenant_id"], json.loads(row["properties"]))
        for row in rows.to_pylist()
        if row["event"] == "ui.flow_step"
    ]
    reached = {(day, tenant, step["step"], step["flow_run_id"]) for day, tenant, step in said}
    shown = int(_published(store, *_FLOWS)["reached_runs"].sum())
    account.counts["shown"] = {"runs that reached a step": shown}
    account.wants(shown == len(reached) > 0, f"{len(reached)} runs reached a step, {shown} are shown")
    for board in CATALOG.dashboards:
        for table, found in audit(store, board, datetime.now(UTC)).items():
            account.wants(not found.problems, f"extract {board}/{table}: {found.problems[:3]}")


def _judge_undisturbed(account: Account, made: Deployment, warehouse: DuckDBWarehouse) -> None:
    home = made.folder / "undisturbed"
    lake = LocalStore(home / "lake")
    for prefix in _LANDED:
        for info in made.store.list(prefix):
            lake.put(info.key, made.store.get(info.key))
    shutil.copy(made.home / "identity_keys.json", home)
    code = made.build_alone(home).wait()
    account.wants(code == 0, f"the undisturbed build ended with {code}: {(home / 'run.json').read_text()[-2000:]}")
    if code != 0:
        return
    ours, theirs = _rows(warehouse), _rows(DuckDBWarehouse(home / "warehouse.duckdb"))
    account.problems += [f"rows {each}" for each in differences(ours, theirs)]
    account.counts["tables compared"] = len(ours)
    extracts = {"ours": _hashes(made.store), "theirs": _hashes(lake)}
    account.problems += [f"extract {each}" for each in differences(extracts["ours"], extracts["theirs"])]
    account.counts["published days compared"] = sum(len(days) for days in extracts["ours"].values())


def _judge_leavings(account: Account, made: Deployment) -> None:
    spool = made.home / "spool"
    left = [path.name for path in spool.rglob("*") if path.suffix in (".segment", ".damaged", ".new", ".shipped")]
    account.wants(not left, f"the spool still holds {left}")
    drafts = [path.name for path in made.home.rglob("*") if path.name.endswith((".draft", ".part", ".purged"))]
    account.wants(not drafts, f"drafts were left: {drafts}")


def _landed(store: ObjectStore, first: date, last: date) -> Counter[str]:
    return Counter(each for stream in STREAMS for each in _ids(store, stream, first, last))


def _ids(store: ObjectStore, stream: str, first: date, last: date) -> Iterator[str]:
    for batch in scan(store, stream, first, last):
        yield from batch["message_id"].to_pylist()


def _loaded(warehouse: DuckDBWarehouse) -> Counter[str]:
    parts = " union all ".join(f"select message_id from raw.{stream}" for stream in STREAMS)
    return Counter(warehouse.query(parts)["message_id"].to_pylist())


def _rows(warehouse: DuckDBWarehouse) -> dict[str, Any]:
    """Count and order-independent hash of each table's rows."""
    schemas = ", ".join(f"'{schema}'" for schema in _BUILT)
    tables = warehouse.query(
        f"select table_schema || '.' || table_name as name from information_schema.tables "
        f"where table_schema in ({schemas}) and table_type = 'BASE TABLE' order by 1"
    )["name"].to_pylist()
    counted = "select count(*) as rows, coalesce(sum(hash(t)::hugeint), 0)::varchar as hash from {} t"
    return {name: warehouse.query(counted.format(name)).to_pylist()[0] for name in tables}


def _hashes(store: ObjectStore) -> dict[str, dict[str, str]]:
    """The hash of each published day of each extract."""
    found = {}
    for board in CATALOG.dashboards:
        manifest = read_manifest(store, board)
        for name, table in (manifest.tables if manifest else {}).items():
            found[f"{board}/{name}"] = {day.isoformat(): part.sha256 for day, part in table.days.items()}
    return found


def _published(store: ObjectStore, dashboard: str, name: str) -> pl.DataFrame:
    manifest = read_manifest(store, dashboard)
    assert manifest is not None, f"nothing of {dashboard} was published"
    table = manifest.tables[name]
    return scan_rows([store.local_path(part.key) for part in table.days.values()], table.schema).collect()


def _few(names: Any) -> str:
    return ", ".join(sorted(names)[:5])
