"""A collector for the tests of the HTTP half: the real app over a real spool that also remembers what it was given."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml
from fastapi.testclient import TestClient
from httpx import Response
from known_keys import SEALS, gate_of

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.catalog.tenants import hash_write_key
from analytics_platform.intake.collector.app import create_app
from analytics_platform.intake.collector.limits import RequestLimits
from analytics_platform.intake.collector.metrics import Metrics
from analytics_platform.intake.collector.reception import Collector
from analytics_platform.intake.collector.spool import Outcome, Spool, SpoolLimits, SpoolUnavailableError
from analytics_platform.intake.collector.webhook import WebhookSource
from analytics_platform.intake.outcomes import Admitted
from analytics_platform.intake.write_keys import WriteKeys
from analytics_platform.lake.dead_letters import DeadLetter, SealedLetter, parse_letter

TENANT = "tenant_42"
SERVER, BROWSER, OTHER, REVOKED = "WK_SERVER", "WK_TEST", "demo-albion-stage-server", "WK_REVOKED"
NOW = datetime(2026, 11, 22, 18, 16, tzinfo=UTC)
SUCCESS = b'{"success":true}'


class RememberingSpool(Spool):
    """The real spool; `given` is what it made durable, `fault` what it answers instead."""

    given: list[Outcome]
    fault: SpoolUnavailableError | None = None

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        if self.fault is not None:
            raise self.fault
        await super().commit(outcomes)
        self.given += outcomes


@dataclass
class House:
    """A collector, a client of it, and what it made durable."""

    collector: Collector
    spool: RememberingSpool
    client: TestClient
    now: datetime = field(default=NOW)

    @property
    def admitted(self) -> list[dict[str, Any]]:
        return [orjson.loads(each.line) for each in self.spool.given if isinstance(each, Admitted)]

    @property
    def letters(self) -> list[DeadLetter]:
        return [parse_letter(each.line, SEALS) for each in self.spool.given if isinstance(each, SealedLetter)]

    def post(self, path: str, body: object, *, key: str | None = SERVER, **headers: str) -> Response:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["authorization"] = basic(f"{key}:")
        return self.client.post(path, content=data, headers=sent)


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


def page(message_id: str = "m-1", **more: Any) -> dict[str, Any]:
    """A call that every key may make, without a plan entry."""
    return {"type": "page", "messageId": message_id, "timestamp": "2026-11-22T18:15:00Z", **more}


def batch(*messages: object, **more: Any) -> dict[str, Any]:
    return {"batch": list(messages), **more}


def raw_batch(*messages: bytes) -> bytes:
    return b'{"batch":[' + b",".join(messages) + b'],"sentAt":"2026-11-22T18:15:30Z"}'


def house_catalog(folder: Path) -> Catalog:
    """The catalogue with a tenant whose keys the tests know."""
    names = {"server": (SERVER, "server"), "browser": (BROWSER, "browser"), "revoked": (REVOKED, "server")}
    keys = {
        name: {"sha256": hash_write_key(plain), "kind": kind, "site": "product"}
        for name, (plain, kind) in names.items()
    }
    tenant = {
        "tenant_id": TENANT,
        "name": "Tenant 42",
        "country": "NL",
        "time_zone": "Europe/Amsterdam",
        "currency": "EUR",
        "financial_year_end": "12-31",
        "business_hours": {1: {"opens": "09:00", "closes": "17:30"}},
        "write_keys": keys,
    }
    path = folder / "tenants.yaml"
    path.write_text(yaml.safe_dump([tenant]))
    return load_catalog(path)


@contextmanager
def running_house(
    folder: Path,
    catalog: Catalog,
    *,
    limits: RequestLimits | None = None,
    webhooks: Sequence[WebhookSource] = (),
) -> Iterator[House]:
    """A collector whose clock stands still, with its spool in `folder`."""
    register = folder / "write_keys.yaml"
    revoked = {
        "tenant": TENANT,
        "name": "revoked",
        "sha256": hash_write_key(REVOKED),
        "kind": "server",
        "site": "product",
        "revoked_at": "2026-01-01T00:00:00Z",
    }
    register.write_text(yaml.safe_dump([revoked]))
    spool = RememberingSpool.open(folder / "spool", "collector0a", SpoolLimits(min_free_bytes=0))
    assert isinstance(spool, RememberingSpool)
    spool.given = []
    collector = Collector(
        catalog=catalog,
        gate=gate_of(catalog),
        seals=SEALS,
        keys=WriteKeys(catalog, register),
        spool=spool,
        metrics=Metrics(),
        limits=limits,
        webhooks=webhooks,
        clock=lambda: NOW,
    )
    with TestClient(create_app(collector)) as client:
        yield House(collector, spool, client)
    spool.close()
