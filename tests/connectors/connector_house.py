"""A deployment for tests of connectors: a real lake in a folder, real keys, and the clock that a test says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml
from known_keys import KEYS, SEALS

from analytics_platform.catalog import Catalog
from analytics_platform.connectors.loading import AnyConnector, load_connector
from analytics_platform.connectors.running import Deployment, run_stream
from analytics_platform.connectors.state import Account
from analytics_platform.lake.dead_letters import DeadLetter, lines_of, parse_letter
from analytics_platform.lake.store import LocalStore

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
INVOICE_RULE: dict[str, Any] = {
    "event": "invoice.issued",
    "key": ["number"],
    "properties": {
        "invoice_id": "number",
        "booking_id": "booking",
        "customer_ref": "customer",
        "amount_minor": {"column": "total", "decimal": ","},
        "tax_minor": {"column": "tax", "decimal": ","},
        "currency": {"constant": "EUR"},
        "issued_at": {"column": "issued", "format": "%d-%m-%Y"},
        "due_at": {"column": "due", "format": "%d-%m-%Y"},
    },
}
HEADER = "number;booking;customer;total;tax;issued;due"
ROW = "2026-001;book-1;cust-1;1.234,56;214,26;15-03-2026;14-04-2026"


@dataclass
class House:
    """One deployment, and what tests do to it and ask of it."""

    root: Path
    catalog: Catalog

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.root / "lake")

    @property
    def deployment(self) -> Deployment:
        return Deployment(
            self.catalog, self.store, KEYS, lambda _: "s3cret-token", self.root / "files", date(2022, 1, 1)
        )

    def connector(self, name: str, body: dict[str, Any]) -> AnyConnector:
        """A connector, by its file."""
        path = self.root / f"{name}.yaml"
        path.write_text(yaml.safe_dump(body))
        return load_connector(path, self.catalog)

    def drop(self, connector: AnyConnector, name: str, content: bytes | str) -> Path:
        """A file that somebody left an hour ago."""
        path = self.root / "files" / "drops" / connector.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        aged(path)
        return path

    def run(self, connector: AnyConnector, stream: str, now: datetime = NOW) -> Account:
        account = run_stream(self.deployment, connector, stream, now)
        assert account.balances, account
        return account

    def landed(self) -> list[dict[str, Any]]:
        lines = [line for info in self.store.list("landing/") for line in lines_of(self.store.get(info.key))]
        return sorted((orjson.loads(line) for line in lines), key=lambda row: str(row["message_id"]))

    def letters(self) -> list[DeadLetter]:
        return [
            parse_letter(line, SEALS)
            for info in self.store.list("dead/")
            for line in lines_of(self.store.get(info.key))
        ]

    def staged(self) -> list[str]:
        return sorted(path.name for path in (self.root / "files" / "staging").rglob("*") if path.is_file())


def aged(path: Path, moment: datetime = datetime(2026, 6, 1, 11, tzinfo=UTC)) -> None:
    """Make a file look as if it had been written then."""
    import os

    os.utime(path, (moment.timestamp(), moment.timestamp()))


def invoices(**said: Any) -> dict[str, Any]:
    """A connector of dropped invoices; its stream is changed by what a test says."""
    stream = {"files": "*", "separator": ";", "rules": {"issued": INVOICE_RULE}, **said}
    return {
        "title": "Invoices",
        "owner": "finance",
        "source": "drop",
        "tenant": "brabant-rental",
        "time_zone": "Europe/Amsterdam",
        "streams": {"invoices": stream},
    }
