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
from analytics_platform.demo.clock import DAY
from analytics_platform.demo.customers import CustomerRegister
from analytics_platform.demo.delivery import deliver
from analytics_platform.demo.fleet import Fleet
from analytics_platform.demo.growth import simulate_growth
from analytics_platform.demo.invoicing import simulate_invoices
from analytics_platform.demo.journal import World
from analytics_platform.demo.messages import Writer
from analytics_platform.demo.product import simulate_product
from analytics_platform.demo.profiles import PROFILES
from analytics_platform.demo.rentals import simulate_rentals
from analytics_platform.demo.revenue import simulate_revenue
from analytics_platform.demo.support import simulate_support
from analytics_platform.demo.surveys import simulate_surveys

SUFFIX = ".ndjson.zst"

_COMPRESSION_LEVEL = 5

# The moment of arrival, the id (so that ties have an order) and the line of a message.
_Arrival = tuple[datetime, str, bytes]


def simulate(
    catalog: Catalog, *, seed: int, first_day: date, last_day: date, folder: Path, known_to: date | None = None
) -> list[Path]:
    """Writes `folder/<tenant>/<yyyy-mm>.ndjson.zst` for the demo tenants of the catalogue, and answers the paths.

    One file per tenant and month (UTC) of arrival, its messages in the order in which they arrived, none after the
    tenant's last day. Equal seeds, days and catalogues give equal bytes; a later `last_day` only adds messages. With
    `known_to`, the last day of an earlier simulation, these alone are written, those of the first month as
    `<yyyy-mm-dd>.ndjson.zst` where that day is not its first.

    Raises:
        ValueError: `last_day` is before `first_day`, or the catalogue has none of the demo tenants.
    """
    if last_day < first_day:
        raise ValueError(f"the last day {last_day} is before the first day {first_day}")
    profiles = [profile for profile in PROFILES if profile.tenant_id in catalog.tenants]
    if not profiles:
        raise ValueError("the catalogue has none of the demo tenants")
    begins = known_to + DAY if known_to else first_day.replace(day=1)
    written: list[tuple[Path, Path]] = []
    for profile in profiles:
        world = World(seed, profile, catalog.tenants[profile.tenant_id], first_day, last_day)
        _live(world)
        known = world.clock.at(begins, 0)
        arrived = (each for each in _arrivals(world) if each[0] >= known)
        written += _write(arrived, begins, folder / profile.tenant_id)
    for unfinished, path in written:  # all at once: a simulation that was broken off leaves nothing to import
        unfinished.replace(path)
    return [path for _, path in written]


def _arrivals(world: World) -> list[_Arrival]:
    """What arrives of a tenant's messages until the end of its last day, in that order."""
    writer = Writer(world)
    arrived = [
        (received_at, message["messageId"], orjson.dumps(message) + b"\n")
        for fact in world.all_facts()
        for received_at, message in deliver(world, writer.draft(fact))
        if received_at < world.closing
    ]
    arrived.sort()
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


def _write(arrivals: Iterable[_Arrival], begins: date, folder: Path) -> Iterator[tuple[Path, Path]]:
    """A file per month of arrival, under a name that no importer reads: (that name, its final one)."""
    folder.mkdir(parents=True, exist_ok=True)
    # A tenant's day begins in the evening before by UTC, which may be in the month before.
    for month, arrived in groupby(arrivals, key=lambda each: max(each[0].date(), begins).replace(day=1)):
        name = f"{begins}" if month < begins else f"{month:%Y-%m}"
        path = folder / f"{name}{SUFFIX}"
        unfinished = path.with_suffix(".unfinished")
        lines = b"".join(line for _, _, line in arrived)
        unfinished.write_bytes(zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(lines))
        yield unfinished, path
