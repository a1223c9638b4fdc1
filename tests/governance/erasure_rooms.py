"""A small lake, warehouse and home folder with a person in every place: what erasure needs, without any build."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics_platform.catalog import Catalog
from analytics_platform.defs.erasure import erasure_desk
from analytics_platform.governance.erasure.desk import Asked, ErasureDesk
from analytics_platform.governance.erasure.links import Given
from analytics_platform.governance.retention.holds import Hold
from analytics_platform.identities.keys import IdentityKeys, TenantKeys
from analytics_platform.identities.references import reference
from analytics_platform.identities.screening import screen
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import read_suppressions
from analytics_platform.identities.table import IdentitiesTable, sealed_identifiers
from analytics_platform.lake.dead_letters import DeadLetter, compressed, lines_of
from analytics_platform.lake.layout import dead_letter_key, digest, landing_key
from analytics_platform.lake.ledger import ledger_rows
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.schema import landing_line
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting.page import payload_element, payload_of
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse

DAY = date(2026, 3, 2)
AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
MINE, OTHER = "brabant-rental", "delta-events"
USER, CUSTOMER, NEIGHBOUR = "user_kanarienvogel", "customer_kanarienvogel", "user_spatz"
EMAIL = "Kanarien.Vogel@people.example"
TRACES = (USER, CUSTOMER, EMAIL, EMAIL.lower())


class CrashError(Exception):
    """The process dies here."""


@dataclass
class Crashing:
    """A store or a warehouse that dies at its nth change: before it, or right after it."""

    inner: Any
    changes: frozenset[str]
    at: int | None = None
    after: bool = False
    seen: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return self._counted(name, found) if name in self.changes else found

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            self.seen.append(f"{name} {args[0] if args else ''}")
            dies = self.at == len(self.seen)
            if dies and not self.after:
                raise CrashError(self.seen[-1])
            answer = call(*args, **named)
            if dies:
                raise CrashError(self.seen[-1])
            return answer

        return counted


STORE_CHANGES = frozenset({"put", "delete"})
WAREHOUSE_CHANGES = frozenset({"replace_days", "replace_table", "replace_values", "remove_rows", "purge"})


@dataclass
class Rooms:
    """One deployment's places."""

    catalog: Catalog
    home: Path

    def __post_init__(self) -> None:
        self.settings = Settings(home=self.home)
        self.store = LocalStore(self.settings.lake_root)
        self.warehouse = DuckDBWarehouse(self.settings.warehouse_path)
        self.keys = IdentityKeys(self.settings.identity_keys_file)

    @property
    def streams(self) -> list[str]:
        return list(self.catalog.streams)

    def desk(self, store: Any = None, warehouse: Any = None) -> ErasureDesk:
        """As a new process would open it."""
        return erasure_desk(
            self.settings, catalog=self.catalog, store=store or self.store, warehouse=warehouse or self.warehouse
        )

    def land(self, *lines: bytes, tenant: str = MINE, day: date = DAY) -> str:
        key = landing_key(day, tenant, AT, "test", digest(b"".join(lines)))
        self.store.put(key, compressed(b"".join(lines)))
        return key

    def build(self) -> None:
        screened = screen(
            self.keys,
            read_suppressions(self.store),
            severs=lambda stream: stream in ("billing", "inventory", "transport"),
        )
        partitions = [(DAY, MINE), (DAY, OTHER)]
        take = IdentitiesTable(self.store, self.keys).take
        build_partitions(self.store, streams=self.streams, partitions=partitions, identifiers=take, screen=screened)

    def load(self) -> None:
        for stream in self.streams:
            self.warehouse.replace_days(f"raw.{stream}", scan(self.store, stream, DAY, DAY), DAY, DAY)
        self.warehouse.replace_table("ops.ledger", ledger_rows(self.store, DAY, DAY))
        self.warehouse.replace_table("marts.fct_invoices", _invoices(CUSTOMER, "customer_spatz"))
        self.warehouse.replace_table("marts.fct_tickets", _tickets(USER, NEIGHBOUR))

    def fill(self) -> None:
        """The person in landing, raw, dead letters, tables, a page, an extract, SQLite files and logs."""
        for tenant, user, customer in (
            (MINE, USER, CUSTOMER),
            (MINE, NEIGHBOUR, "customer_spatz"),
            (OTHER, USER, CUSTOMER),
        ):
            self.land(*lines_from(tenant, user, customer, self.keys.of(tenant)), tenant=tenant)
        seals = TenantSeals(self.keys)
        letter = DeadLetter("unknown_event", "no such event", f'{{"userId":"{USER}","email":"{EMAIL}"}}'.encode(), DAY)
        kept = DeadLetter("unknown_event", "no such event", b'{"userId":"user_spatz"}', DAY)
        for tenant in (MINE, OTHER):
            data = b"".join(replace(each, tenant=tenant).sealed(seals).line for each in (letter, kept))
            key = dead_letter_key("unknown_event", DAY, tenant, "test", digest(data))
            self.store.put(key, compressed(data))
        self.build()
        self.load()
        page = payload_element({"dimensions": {"customer_ref": {"values": [USER]}}}).encode()
        for audience in ("finance", f"viewer@{MINE}", f"viewer@{OTHER}"):
            self.store.put(f"dashboards/finance/{audience}.html", page)
        self._put_sqlite()
        for tenant, user in ((MINE, USER), (OTHER, USER)):
            path = self.settings.access_root / "files" / f"finance-{tenant}.duckdb"
            DuckDBWarehouse(path).replace_table("marts.fct_tickets", _tickets_of(tenant, user))
        log = self.settings.dbt_target / "logs" / "dbt.log"
        log.parent.mkdir(parents=True)
        log.write_text(f"a test failed for {USER}")
        backup = self.settings.backups_folder / "lake-20260301T000000Z.tar"
        backup.parent.mkdir()
        backup.write_bytes(f"a page of {USER}".encode())

    def _put_sqlite(self) -> None:
        with closing(sqlite3.connect(self.settings.alerts_path)) as connection, connection:
            connection.execute("create table outbox (id integer primary key, body text)")
            connection.execute("insert into outbox (body) values (?), (?)", [f"about {USER}", f"about {NEIGHBOUR}"])

    def request(self, *ids: str, by: str = "ann") -> Asked:
        given = Given(frozenset(ids or (USER,)), frozenset({("email", EMAIL)}))
        return self.desk().request(MINE, given, by=by, reason="art. 17(1)(b)")

    def approved(self, *ids: str) -> Asked:
        asked = self.request(*ids)
        self.desk().approve(asked.request, asked.plan.hash, by="bob")
        return asked

    def hold(self, *datasets: str) -> Hold:
        now = datetime.now(UTC)
        hold = Hold("case-1", "a dispute", "lawyer", now, now.date() + timedelta(days=365), datasets, MINE)
        self.desk().holds.declare(hold)
        return hold

    def rows(self, stream: str, tenant: str = MINE) -> list[dict[str, Any]]:
        found = scan(self.store, stream, DAY, DAY).read_all().to_pylist()
        return [row for row in found if row["tenant_id"] == tenant]

    def kinds(self, request_id: str) -> list[str]:
        return [each.kind for each in self.desk().chain.entries() if each.subject == request_id]

    def left(self, traces: tuple[str, ...] = TRACES) -> list[str]:
        """Where anything of the person is, naively: every file of the home, decompressed; other tenants' left out."""
        self.warehouse.query("select 1")
        found = []
        for path in sorted(self.home.rglob("*")):
            is_others = f"tenant={OTHER}" in str(path) or OTHER in path.name
            is_backup = path.is_relative_to(self.settings.backups_folder)
            if path.is_file() and not is_others and not is_backup and path.name != "warehouse.duckdb":
                data = path.read_bytes()
                data = b"\n".join(lines_of(data)) if path.suffix == ".zst" else data
                data += json.dumps(payload_of(data)).encode() if "/dashboards/" in path.as_posix() else b""
                if any(trace.encode() in data for trace in traces):
                    found.append(path.relative_to(self.home).as_posix())
        with self.warehouse.reading():
            for (name,) in _tables(self.warehouse):
                sql = f"select cast(t as varchar) as said from {name} t where tenant_id = '{MINE}'"
                if any(trace in said for said in self.warehouse.query(sql)["said"].to_pylist() for trace in traces):
                    found.append(name)
        lake = [s for s in self.streams if any(trace in str(row) for row in self.rows(s) for trace in traces)]
        return [*found, *(f"lake raw.{stream}" for stream in lake)]

    def bytes_of_others(self) -> dict[str, bytes]:
        keys = (
            info.key for info in self.store.list("") if f"tenant={OTHER}/" in info.key or f"{OTHER}.html" in info.key
        )
        return {key: self.store.get(key) for key in keys}


def lines_from(tenant: str, user: str, customer: str, keys: TenantKeys | None = None) -> list[bytes]:
    """An identify call, an invoice, a ticket, a flow step of somebody."""
    invoice = {"invoice_id": f"inv{user[-3:]}", "customer_ref": customer, "amount_minor": 12100}
    said: list[tuple[str, str | None, str, dict[str, Any]]] = [
        ("product", None, "identify", {}),
        ("billing", "invoice.issued", "track", invoice),
        ("support", "ticket.opened", "track", {"ticket_id": f"t{user[-3:]}", "requester_ref": user}),
        ("product", "ui.flow_step", "track", {"flow": "booking", "note": f"asked by {user}"}),
    ]
    return [
        line_of(tenant, user, stream, event, kind, properties, number, keys)
        for number, (stream, event, kind, properties) in enumerate(said)
    ]


def line_of(
    tenant: str,
    user: str,
    stream: str,
    event: str | None,
    kind: str,
    properties: dict[str, Any],
    number: int,
    keys: TenantKeys | None,
) -> bytes:
    """A landing line; the identify call of the person brings an address, split off as the gate does."""
    traits, identifiers = None, None
    if kind == "identify" and user == USER and keys is not None:
        address = reference(keys.newest, "email", EMAIL)
        traits, identifiers = {"email": address}, sealed_identifiers(keys, [(address, "email", EMAIL)])
    values = {
        "day": DAY,
        "tenant_id": tenant,
        "stream": stream,
        "message_id": f"m{number}{user[-3:]}",
        "type": kind,
        "event": event,
        "schema_version": 1,
        "project_id": None,
        "user_id": user,
        "anonymous_id": f"visitor{user[-3:]}" if kind == "identify" else None,
        "event_at": AT,
        "occurred_at": AT,
        "original_timestamp": AT,
        "sent_at": None,
        "received_at": AT,
        "source": "server",
        "payload_hash": f"{number:016x}",
        "properties": properties,
        "context": {"ip": "0.0.0.0"},
        "traits": traits,
        "extra": {},
        "identifiers": identifiers,
    }
    return landing_line(values)


def _invoices(*customers: str) -> pa.Table:
    rows = [
        {"tenant_id": tenant, "invoice_id": f"inv-{c[-3:]}", "customer_ref": c, "issued_on": DAY, "amount_minor": 12100}
        for tenant in (MINE, OTHER)
        for c in customers
    ]
    return pa.Table.from_pylist(rows)


def _tickets(*users: str) -> pa.Table:
    rows = [
        {"tenant_id": tenant, "ticket_id": f"t-{user[-3:]}", "requester_ref": user, "opened_on": DAY}
        for tenant in (MINE, OTHER)
        for user in users
    ]
    return pa.Table.from_pylist(rows)


def _tickets_of(tenant: str, user: str) -> pa.Table:
    return pa.table({"tenant_id": [tenant], "requester_ref": [user]})


def _tables(warehouse: DuckDBWarehouse) -> list[tuple[str]]:
    sql = "select table_schema || '.' || table_name as name from information_schema.tables"
    return [(name,) for name in warehouse.query(sql)["name"].to_pylist()]
