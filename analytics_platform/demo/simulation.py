"""The whole demo: every tenant's business, domain after domain, written as files that `analytics import` reads.

Belongs here: the order of the domains and the files. Everything else lives in the module of its domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import groupby
from pathlib import Path

import orjson
import zstandard

from analytics_platform.catalog import Catalog
from analytics_platform.demo.customers import CustomerRegister
from analytics_platform.demo.delivery import deliver
from analytics_platform.demo.fleet import Fleet
from analytics_platform.demo.growth import simulate_growth
from analytics_platform.demo.invoicing import simulate_invoices
from analytics_platform.demo.journal import World
from analytics_platform.demo.messages import Message, Writer
from analytics_platform.demo.product import simulate_product
from analytics_platform.demo.profiles import PROFILES, TenantProfile
from analytics_platform.demo.rentals import simulate_rentals
from analytics_platform.demo.revenue import simulate_revenue
from analytics_platform.demo.support import simulate_support
from analytics_platform.demo.surveys import simulate_surveys

_COMPRESSION_LEVEL = 6


def simulate(catalog: Catalog, *, seed: int, first_day: date, last_day: date, folder: Path) -> list[Path]:
    """Writes `folder/<tenant>/<yyyy-mm>.ndjson.zst` for the demo tenants of the catalogue, and answers the paths.

    One file per tenant and month (UTC) of arrival, its messages in the order in which they arrived, none after the
    tenant's last day. Equal seeds, days and catalogues give equal bytes; a later `last_day` only adds messages.

    Raises:
        ValueError: `last_day` is before `first_day`, or the catalogue has none of the demo tenants.
    """
    if last_day < first_day:
        raise ValueError(f"the last day {last_day} is before the first day {first_day}")
    profiles = [profile for profile in PROFILES if profile.tenant_id in catalog.tenants]
    if not profiles:
        raise ValueError("the catalogue has none of the demo tenants")
    paths: list[Path] = []
    for profile in profiles:
        messages = tenant_messages(catalog, profile, seed=seed, first_day=first_day, last_day=last_day)
        paths += _write(messages, folder / profile.tenant_id)
    return paths


def tenant_messages(
    catalog: Catalog, profile: TenantProfile, *, seed: int, first_day: date, last_day: date
) -> list[tuple[datetime, Message]]:
    """All messages of one tenant with the moment of their arrival, in that order."""
    world = World(seed, profile, catalog.tenants[profile.tenant_id], first_day, last_day)
    _live(world)
    writer = Writer(world)
    sent = [each for fact in world.all_facts() for each in deliver(world, writer.draft(fact))]
    arrived = [(at, message) for at, message in sent if at < world.closing]
    arrived.sort(key=lambda each: (each[0], each[1]["messageId"]))
    return arrived


def _live(world: World) -> None:
    """One tenant's business, from the first visit to the last complaint."""
    register = CustomerRegister(world)
    conversions = simulate_growth(world, register)
    subscriptions = simulate_revenue(world, register, conversions)
    bookings = simulate_rentals(world, register, conversions, Fleet(world))
    simulate_invoices(world, bookings, subscriptions)
    tickets = simulate_support(world, register)
    simulate_surveys(world, bookings, subscriptions, tickets)
    simulate_product(world, register)


def _write(messages: Iterable[tuple[datetime, Message]], folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for month, arrived in groupby(messages, key=lambda each: f"{each[0]:%Y-%m}"):
        path = folder / f"{month}.ndjson.zst"
        lines = b"".join(orjson.dumps(message) + b"\n" for _, message in arrived)
        path.write_bytes(zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(lines))
        yield path
