"""Runs leave out what retention has removed: a step over days is cut where an asset has none of them any more.

Belongs here: which assets of a step are left out for which days. Stays out: which steps there are (`runs`), and what is
removed (`lake.removals`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

import dagster as dg

from analytics_platform.defs import keys
from analytics_platform.defs.partitions import DayTenant
from analytics_platform.defs.policies import dataset_name
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.removals import Removals

LeftOut = frozenset[dg.AssetKey]
"""Assets that a run does not build, since their partitions were removed."""


class RemovedDayError(AnalyticsError):
    """A day was asked for of which nothing may be built any more."""


def refuse_removed_day(removals: Removals, streams: Sequence[str], tenants: Sequence[str], day: date) -> None:
    """Raise when all of raw was removed for a day.

    Raises:
        RemovedDayError: naming the first day that can be built.
    """

    def is_gone(day: date) -> bool:
        return all(removals.covers_all(f"raw.{stream}", tenants, day) for stream in streams)

    buildable = day
    while is_gone(buildable):
        buildable += timedelta(days=1)
    if buildable > day:
        raise RemovedDayError(
            f"{day} was removed at the end of its term and is not built again; days from {buildable} on can be"
        )


def raw_parts(
    partitions: Iterable[DayTenant], streams: Sequence[str], removals: Removals
) -> list[tuple[LeftOut, set[DayTenant]]]:
    """Raw partitions, apart by the streams that were removed of them; those without any stream left are dropped."""
    parts: dict[LeftOut, set[DayTenant]] = {}
    for day, tenant in partitions:
        gone = frozenset(keys.raw(stream) for stream in streams if removals.covers_raw(stream, tenant, day))
        if len(gone) < len(streams):
            parts.setdefault(gone, set()).add((day, tenant))
    return sorted(parts.items(), key=lambda part: min(part[1]))


def daily_parts(
    days: Sequence[date], assets: Iterable[dg.AssetKey], removals: Removals, tenants: Sequence[str]
) -> Iterator[tuple[LeftOut, date, date]]:
    """Days in a row, cut where other assets have to be left out: those removed for every tenant."""
    candidates = _candidates(days, assets, removals)
    left_out: Callable[[date], LeftOut] = lambda day: frozenset(  # noqa: E731
        key for key, dataset in candidates if removals.covers_all(dataset, tenants, day)
    )
    for gone, group in groupby(days, key=left_out):
        part = list(group)
        yield gone, part[0], part[-1]


def _candidates(
    days: Sequence[date], assets: Iterable[dg.AssetKey], removals: Removals
) -> list[tuple[dg.AssetKey, str]]:
    named = [(key, dataset_name(key)) for key in assets]
    newest = {dataset: removals.newest([dataset]) for _, dataset in named}
    return [(key, dataset) for key, dataset in named if (end := newest[dataset]) is not None and end >= days[0]]
