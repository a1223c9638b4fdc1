"""Which days and tenants Dagster's web server draws as one span, worked out once for equal partitions.

The server makes an object of each key of day x tenant, for each asset and for each of its checks, at each look: a
second for a hundred thousand partitions, fourteen times on one page. Here keys are cut as text, and what came out is
kept while the partitions are the same. Written for Dagster 1.13; the versions are pinned.

Belongs here: that one change to the web server's own code. Stays out: where partitions come from (`partition_status`,
`check_status`).
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset, PartitionsSubset
from dagster._core.instance import DynamicPartitionsStore

from analytics_platform.defs.partition_status import is_packable

PAGES = ("dagster_graphql.implementation.fetch_assets", "dagster_graphql.implementation.fetch_asset_checks")
"""Modules that draw spans, each under this name."""

NAME = "build_multi_partition_ranges_generic"

RANGES_KEPT = 64

Subsets = Mapping[Any, PartitionsSubset | None]
"""Of each status its partitions."""

_kept: OrderedDict[tuple[object, ...], tuple[Subsets, Sequence[Any]]] = OrderedDict()
"""Spans, beside the subsets that they were made of: an identity means nothing once its object is gone."""


def share_ranges() -> None:
    """Put it into effect where a web server is at work; later calls change nothing."""
    for name in PAGES:
        module = sys.modules.get(name)
        stock = getattr(module, NAME, None)
        if stock is not None and stock.__module__ != __name__:
            setattr(module, NAME, _shared(stock))


def _shared(stock: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    def build(
        subsets: Subsets,
        partitions_def: dg.MultiPartitionsDefinition,
        dynamic_partitions_store: DynamicPartitionsStore,
        build_secondary_dim: Callable[[Mapping[Any, PartitionsSubset]], Any],
    ) -> Sequence[Any]:
        if not is_packable(partitions_def):
            return stock(subsets, partitions_def, dynamic_partitions_store, build_secondary_dim)
        with partition_loading_context(dynamic_partitions_store=dynamic_partitions_store):
            of = partitions_def.get_serializable_unique_identifier()
            place = (of, *((status, id(subset)) for status, subset in subsets.items()))
            if place not in _kept:
                _kept[place] = (subsets, ranges(subsets, partitions_def, build_secondary_dim))
        _kept.move_to_end(place)
        found = _kept[place][1]
        while len(_kept) > RANGES_KEPT:
            _kept.popitem(last=False)
        return found

    return build


def ranges(
    subsets: Subsets,
    partitions_def: dg.MultiPartitionsDefinition,
    build_secondary_dim: Callable[[Mapping[Any, PartitionsSubset]], Any],
) -> list[Any]:
    """Spans of days on which the same tenants have the same statuses, as Dagster makes them.

    Args:
        subsets: of each status its partitions.
        partitions_def: days and tenants.
        build_secondary_dim: makes what is shown of the tenants of a day.
    """
    from dagster_graphql.implementation.partition_status_utils import MultiPartitionRange

    days = partitions_def.partitions_defs[0].partitions_def
    assert isinstance(days, dg.TimeWindowPartitionsDefinition)
    spans: list[tuple[str, str, Mapping[Any, frozenset[str]]]] = []
    for day, tenants in sorted(_by_day(subsets).items()):
        following = spans and date.fromisoformat(spans[-1][1]) + timedelta(days=1) == date.fromisoformat(day)
        if following and spans[-1][2] == tenants:
            spans[-1] = (spans[-1][0], day, tenants)
        else:
            spans.append((day, day, tenants))
    return [
        MultiPartitionRange(
            primary_dim_start_key=first,
            primary_dim_end_key=last,
            primary_dim_start_time=days.time_window_for_partition_key(first).start.timestamp(),
            primary_dim_end_time=days.time_window_for_partition_key(last).end.timestamp(),
            secondary_dim=build_secondary_dim(
                {status: DefaultPartitionsSubset(each) for status, each in tenants.items()}
            ),
        )
        for first, last, tenants in spans
    ]


def _by_day(subsets: Subsets) -> dict[str, dict[Any, frozenset[str]]]:
    by_day: dict[str, dict[Any, frozenset[str]]] = {}
    for status, subset in subsets.items():
        tenants: dict[str, list[str]] = {}
        for key in subset.get_partition_keys() if subset else ():
            day, _, tenant = key.partition("|")
            tenants.setdefault(day, []).append(tenant)
        for day, each in tenants.items():
            by_day.setdefault(day, {})[status] = frozenset(each)
    return by_day
