"""A small lake with a file of every kind, and a home whose RBAC has somebody of every audience."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
from identity_provider import AUDIENCE, ISSUER, Provider

from analytics_platform.catalog import Audience, Catalog
from analytics_platform.governance.access.policy import pages_policy
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings

Start = Callable[[Settings], httpx.Client]
"""Starts a portal and gives a client of it."""

PASSWORD = "correct horse battery"

NOW = datetime.now(UTC)
MONDAY = NOW.date() - timedelta(days=NOW.weekday() + 7)
"""Of the newest week that is over."""


@dataclass(frozen=True)
class Lake:
    """A planted lake."""

    home: Path
    store: LocalStore
    keys: tuple[str, ...]


def provided(home: Path, provider: Provider, **settings: object) -> Settings:
    named = {"portal_oidc_issuer": ISSUER, "portal_oidc_audience": AUDIENCE, "portal_oidc_jwks": provider.address}
    return Settings.model_validate({"home": home, "portal_login": "oidc", **named, **settings})


def audiences_of(catalog: Catalog) -> list[Audience]:
    return pages_policy(catalog).audiences(catalog.tenants)


def principal_of(audience: Audience) -> str:
    return f"usr_{audience.role}" + (f"_{audience.tenant}" if audience.tenant else "")


def plant(home: Path, catalog: Catalog) -> Lake:
    store = LocalStore(home / "lake")
    keys = tuple(_keys(catalog))
    for key in keys:
        store.put(key, f"<!doctype html><title>{key}</title><p>{key}".encode())
    members = [
        {
            "principal": principal_of(each),
            "role": catalog.access_roles[each.role].meant_by[0],
            "tenants": _tenants(each),
        }
        for each in audiences_of(catalog)
    ]
    write_rbac(home, members)
    return Lake(home, store, keys)


def write_rbac(home: Path, members: list[dict[str, object]]) -> None:
    told = {"exported_at": NOW.isoformat(), "members": members}
    fresh = home / "rbac.json.new"
    fresh.write_text(json.dumps(told))
    fresh.replace(home / "rbac.json")


def _tenants(audience: Audience) -> list[str]:
    return [audience.tenant] if audience.tenant else []


def _keys(catalog: Catalog) -> Iterator[str]:
    names = [each.name for each in audiences_of(catalog)]
    tenants = list(catalog.tenants)
    for dashboard in list(catalog.dashboards)[:3]:
        yield from (f"dashboards/{dashboard}/{name}.html" for name in (*names, "all", tenants[0]))
    yield "dashboards/index.html"
    for monday in (MONDAY, MONDAY - timedelta(days=7)):
        for who in ("all", *tenants[:2]):
            yield from (f"reports/weekly/week={monday}/{who}.{form}" for form in ("html", "pdf", "json"))
    yield "reports/expectations.html"
    yield from (f"reviews/quarter=2026Q3/review.{form}" for form in ("html", "pdf", "json"))
    yield "reviews/quarter=2026Q3/signatures/0001.json"
    yield f"reviews/quarter=2026Q3/signed/{'0' * 64}.json"
    yield from (f"processing/records.{form}" for form in ("html", "pdf", "json"))
    yield from (f"governance/{kind}/x.json" for kind in ("plans", "erasure_requests"))
    yield "evidence/0000000001.json"
    yield "quality/expectations/kpi.kpi_mrr/20260101_20260101-20260102T000000000000Z.json"
    day = date(2026, 1, 1)
    yield f"raw/billing/day={day}/tenant={tenants[0]}/events.parquet"
    yield f"landing/day={day}/tenant={tenants[0]}/20260101T10-x-0.ndjson.zst"
    yield f"extracts/finance/mrr/day={day}/data.parquet"
    yield f"suppressions/{tenants[0]}/x.json"
    yield "removals/x.json"
