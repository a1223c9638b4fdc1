"""One burst: every company of the demo at work for a moment, one after the other."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from analytics_platform.catalog import Catalog, Tenant
from analytics_platform.demo.app import create_app, create_tables
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.live.business import Office
from analytics_platform.demo.live.servers import collecting, serving
from analytics_platform.demo.live.visitors import use_app, visit_site
from analytics_platform.demo.live.warehouse import scan_out
from analytics_platform.demo.profiles import PROFILES, TenantProfile
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.collector_hours import collector_hours
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings
from analytics_platform.tracking.client import Failure, Tracker

_VISITS = 5
_SESSIONS = 3
_TIMEOUT_SECONDS = 30.0


class LiveTrafficError(AnalyticsError):
    """The collector or the application did not take what was sent."""


@dataclass(frozen=True)
class Burst:
    """What was done: the number of the burst, tenants at work, calls of browsers, and items handed out."""

    number: int
    tenants: int
    browser_calls: int
    items: int


@dataclass(frozen=True)
class LiveReport:
    """A burst, and what the lake says of the hours (UTC) in which it came: `acked = landed + dead_lettered`."""

    burst: Burst
    acked: int
    landed: int
    dead_lettered: int

    def as_dict(self) -> dict[str, int]:
        """The report as JSON values."""
        account = {"acked": self.acked, "landed": self.landed, "dead_lettered": self.dead_lettered}
        return {"burst": self.burst.number, "tenants": self.burst.tenants, **account}


def live_burst(settings: Settings, catalog: Catalog, store: ObjectStore, *, seed: int) -> LiveReport:
    """Run a collector, send a burst through it, and wait until all of it is in the lake.

    Args:
        settings: the deployment; the demo keeps its things in `<home>/demo`.
        catalog: the demo's tenants.
        store: the deployment's lake.
        seed: decides with the number of the burst what happens.

    Raises:
        ServerFailedError: the collector or the application did not start, or did not end well.
        LiveTrafficError: something was not taken.
    """
    folder = settings.home / "demo"
    began = datetime.now(UTC)
    with collecting(settings, folder / "collector.log") as url:
        burst = send_live_traffic(catalog, url, folder=folder / "live", seed=seed)
    hours = collector_hours(store, began.date(), datetime.now(UTC).date(), list(catalog.streams))
    recent = [row for row in hours.to_pylist() if row["hour"] >= began.replace(minute=0, second=0, microsecond=0)]
    return LiveReport(burst, *(sum(row[name] for row in recent) for name in ("acked", "landed", "dead_lettered")))


def send_live_traffic(catalog: Catalog, collector: str, *, folder: Path, seed: int) -> Burst:
    """Let the demo's tenants work for a moment; when it returns, the collector has acknowledged all of it.

    Args:
        catalog: the demo's tenants.
        collector: address of a running collector.
        folder: keeps the application's database, the scanners' queues and the number of bursts.
        seed: with the number of the burst, it decides what happens; only ids that the application draws differ.

    Raises:
        LiveTrafficError: something was not taken.
        ScansNotSentError: scans were not taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    burst = _next_burst(folder / "bursts.json")
    profiles = [profile for profile in PROFILES if profile.tenant_id in catalog.tenants]
    engine = create_tables(f"sqlite:///{folder / 'application.db'}")
    failures: list[Failure] = []
    tracker = Tracker(
        collector,
        {profile.tenant_id: demo_key(profile.tenant_id, "server") for profile in profiles},
        source="rentals",
        on_failure=failures.append,
    )
    app = create_app(engine, tracker, {each.tenant_id: catalog.tenants[each.tenant_id].currency for each in profiles})
    try:
        with serving(app) as address, _client(address) as application, _client(collector) as events:
            shifts = [
                _Shift(
                    catalog.tenants[profile.tenant_id], profile, Dice(seed, "live", burst, profile.tenant_id), folder
                )
                for profile in profiles
            ]
            done = [shift.work(events, application, is_first=shift is shifts[0]) for shift in shifts]
    except httpx.HTTPError as error:
        raise LiveTrafficError(f"live traffic was not taken: {error}") from error
    finally:
        engine.dispose()
    if failures:
        raise LiveTrafficError(f"{len(failures)} batches of events were not taken; the first: {failures[0].reason}")
    return Burst(burst, len(profiles), sum(calls for calls, _ in done), sum(items for _, items in done))


def demo_key(tenant: str, name: str) -> str:
    """A write key of a demo tenant; these are no secrets (`catalog/tenants`)."""
    return f"demo-{tenant}-{name}"


@dataclass(frozen=True)
class _Shift:
    """One tenant's part of the burst."""

    tenant: Tenant
    profile: TenantProfile
    dice: Dice
    folder: Path

    def work(self, events: httpx.Client, application: httpx.Client, *, is_first: bool) -> tuple[int, int]:
        """Visitors come, staff and warehouse work; return browser calls sent and items handed out."""
        name = self.tenant.tenant_id
        calls = 0
        leads: list[str] = []
        for number in range(_VISITS):
            sent, lead = visit_site(
                events,
                self.tenant,
                self.profile,
                demo_key(name, "marketing"),
                self.dice.child("visit", number),
                is_stale=is_first and number == 0,
            )
            calls += sent
            leads += [lead] if lead else []
        for number in range(_SESSIONS):
            calls += use_app(events, self.tenant, demo_key(name, "browser"), self.dice.child("session", number))
        office = Office(application, self.profile, self.dice.child("office"))
        items = office.work(leads[0] if leads else None)
        scan_out(
            str(events.base_url).rstrip("/"),
            demo_key(name, "scanner"),
            name,
            items,
            device=self.folder / f"scanner-{name}.db",
            dice=self.dice.child("warehouse"),
            hand_over=office.hand_over,
        )
        return calls, len(items)


def _client(address: str) -> closing[httpx.Client]:
    return closing(httpx.Client(base_url=address, timeout=_TIMEOUT_SECONDS, trust_env=False))


def _next_burst(told: Path) -> int:
    """The number of this burst; it is taken before anything is sent, so that no two bursts share their ids."""
    number = (json.loads(told.read_text()) if told.exists() else 0) + 1
    told.write_text(json.dumps(number))
    return number
