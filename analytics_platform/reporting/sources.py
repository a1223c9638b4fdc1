"""The published rows of a KPI, and what one audience may see of them.

Filtering in a browser is not access control, so an audience's rows are picked here, before anything is computed,
drawn or written: whatever is made for a tenant is made from that tenant's rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import cast

import polars as pl

from analytics_platform.catalog import PII_CLASSES, Catalog, Extract, Kpi, PiiClass, Tenant
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.extracts import ExtractMissingError, arrow_schema, published_days, read_extract
from analytics_platform.reporting.headlines import KpiSource, kpi_source
from analytics_platform.reporting.measures import REPORTING_CURRENCY, Published, Series, reduce_rows
from analytics_platform.reporting.periods import Period, Span
from analytics_platform.warehouse.headlines import money_column

STAFF = "all"
"""The audience that sees every tenant."""

Needed = Callable[[frozenset[date]], frozenset[date]]
"""Of the published days those whose rows are needed."""


@dataclass(frozen=True)
class ExtractRows:
    """Published rows of an extract, over all tenants, and the days that are published."""

    source: KpiSource
    rows: pl.DataFrame
    days: frozenset[date]

    def seen_by(self, audience: str) -> pl.DataFrame:
        """The rows that an audience may see: all for platform staff, its own for a tenant."""
        return self.rows if audience == STAFF else self._by_tenant.get((audience,), self.rows.clear())

    @cached_property
    def _by_tenant(self) -> dict[tuple[object, ...], pl.DataFrame]:
        return self.rows.partition_by("tenant_id", as_dict=True)


@dataclass(frozen=True)
class KpiRows(ExtractRows):
    """The rows that a KPI's headline is read from."""

    kpi: Kpi


@dataclass(frozen=True)
class Seen:
    """A KPI's series as one audience sees it, and the columns that tell it something to break the figure down by."""

    series: Series
    drill_downs: Sequence[str]


def load_rows(store: ObjectStore, catalog: Catalog, kpi: Kpi, spans: Sequence[Span]) -> KpiRows:
    """A KPI's published rows of some spans that do not overlap; none where nothing is published in them."""
    found = load_extract(store, kpi_source(catalog, kpi), spans)
    return KpiRows(found.source, found.rows, found.days, kpi)


def load_extract(
    store: ObjectStore, source: KpiSource, spans: Sequence[Span], days_needed: Needed | None = None
) -> ExtractRows:
    """The published rows of an extract.

    Args:
        store: the lake.
        source: the extract and its dashboard.
        spans: that do not overlap; the answer's days are those that are published in them.
        days_needed: of these days, those whose rows are read; by default all.
    """
    published = published_days(store, source.dashboard, source.extract.name)
    days = frozenset(day for day in published if any(span.first <= day <= span.last for span in spans))
    wanted = spans if days_needed is None else _runs(days_needed(days))
    frames = []
    for span in wanted:
        try:
            frames.append(read_extract(store, source.dashboard, source.extract.name, span.first, span.last))
        except ExtractMissingError:
            continue
    empty = cast("pl.DataFrame", pl.from_arrow(arrow_schema(source.extract).empty_table()))
    # Older days may lack a column that was added since.
    return ExtractRows(source, pl.concat([empty, *frames], how="diagonal"), days)


def stock_days(periods: Sequence[Period]) -> Needed:
    """Of published days, those that a stock is read on: the last of each point of each period."""

    def needed(days: frozenset[date]) -> frozenset[date]:
        published = Published(days, is_stock=True)
        spans = [span for period in periods for span in (*period.buckets, *period.previous_buckets)]
        spans += [span for period in periods for span in (period.span, period.previous)]
        return frozenset(read.last for span in spans if (read := published.read_for(span)))

    return needed


def _runs(days: Iterable[date]) -> list[Span]:
    """Days as spans without a gap."""
    spans: list[Span] = []
    for day in sorted(days):
        if spans and spans[-1].last + timedelta(1) == day:
            spans[-1] = Span(spans[-1].first, day)
        else:
            spans.append(Span(day, day))
    return spans


def seen_series(rows: KpiRows, catalog: Catalog, audience: str, max_pii: PiiClass = "none") -> Seen:
    """What an audience sees of a KPI: its rows, in its currency, with the drill-downs that say something.

    Args:
        rows: of all tenants.
        catalog: knows the tenants.
        audience: a tenant, or all.
        max_pii: the highest class of a column that the audience may see.
    """
    staff = audience == STAFF
    own = rows.seen_by(audience)
    own_currency = None if staff else only_currency(own, catalog.tenants[audience])
    drill_downs = _drill_downs(rows.kpi, own, columns_up_to(rows.source.extract, max_pii), staff=staff)
    reduced = reduce_rows(
        rows.kpi,
        own,
        day_column=rows.source.extract.day_column,
        drill_downs=drill_downs,
        in_reporting=own_currency is None,
    )
    return Seen(Series(rows.kpi, reduced, rows.days, shown_currency(rows.kpi, own, own_currency)), drill_downs)


def tenant_names(catalog: Catalog, audience: str) -> dict[str, str]:
    """Display names by tenant id, as far as the audience may know them."""
    return {tenant.tenant_id: tenant.name for tenant in catalog.tenants.values()} if audience == STAFF else {}


def columns_up_to(extract: Extract, max_pii: PiiClass) -> frozenset[str]:
    """The columns of an extract that may be shown to whoever sees personal data up to a class."""
    allowed = PII_CLASSES[: PII_CLASSES.index(max_pii) + 1]
    return frozenset(column.name for column in extract.columns if column.pii in allowed)


def _drill_downs(kpi: Kpi, rows: pl.DataFrame, visible: frozenset[str], *, staff: bool) -> list[str]:
    """The KPI's drill-downs that the extract has and that tell this audience something."""
    chosen = []
    for column in kpi.drill_downs:
        if column not in rows.columns or column not in visible or (column == "tenant_id" and not staff):
            continue
        if column == "currency" and rows["currency"].n_unique() < 2:
            continue
        chosen.append(column)
    return chosen


def only_currency(rows: pl.DataFrame, tenant: Tenant) -> str | None:
    """The one currency that a tenant's amounts are in; None where it has several."""
    if "currency" not in rows.columns:
        return None
    currencies = rows["currency"].drop_nulls().unique().to_list()
    if not currencies:
        return tenant.currency
    return currencies[0] if len(currencies) == 1 else None


def shown_currency(kpi: Kpi, rows: pl.DataFrame, own_currency: str | None) -> str | None:
    """What a KPI's figure is in, over rows that are all in ``own_currency`` (None: in several); None where no money."""
    if kpi.unit != "money_minor":
        return None
    has_own = any(
        money_column(name, rows.columns, in_reporting=False) != money_column(name, rows.columns, in_reporting=True)
        for name in kpi.headline.numerator
    )
    return own_currency if own_currency and has_own else REPORTING_CURRENCY
