"""Which days are due: the clock of each dataset and tenant as of a day, with the days that a hold keeps taken out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from analytics_platform.catalog import Catalog, Dataset
from analytics_platform.catalog.retention_clock import last_overdue, last_removable
from analytics_platform.governance.retention.holds import Hold
from analytics_platform.lake.removals import Span

NO_TENANT = "_none"
"""Of data that belongs to no single tenant: its clock knows no financial year and takes the longest."""


@dataclass(frozen=True, slots=True)
class Term:
    """Of a dataset and tenant every day up to `through` is due, but for those that are `held`."""

    dataset: str
    tenant: str
    through: date
    held: tuple[Span, ...] = ()

    def covers(self, day: date) -> bool:
        """Whether the day is due."""
        return day <= self.through and not any(span.holds(day) for span in self.held)


class Terms:
    """The terms of one day.

    Args:
        catalog: classes, datasets, and tenants with their financial years.
        today: a day that is over nowhere it counts: terms that end before it are due.
        holds: legal holds that are in force.
        overdue: ask for what may not be kept any more, rather than for what is to be removed.
    """

    def __init__(self, catalog: Catalog, today: date, holds: Sequence[Hold] = (), *, overdue: bool = False) -> None:
        self._catalog = catalog
        self.today = today
        self._holds = holds
        self._newest = last_overdue if overdue else last_removable
        self._known: dict[tuple[str, str | None], date | None] = {}

    @cached_property
    def dated(self) -> dict[str, Dataset]:
        """The datasets that grow old, by name."""
        return {name: dataset for name, dataset in self._catalog.datasets.items() if dataset.standing is None}

    def term(self, dataset: str, tenant: str) -> Term | None:
        """The term of a dataset and tenant; None when nothing of it can be due."""
        through = self._through(self._catalog.datasets[dataset].retention_class, self._year_end(tenant))
        if through is None:
            return None
        held = sorted(span for hold in self._holds if (span := hold.span(dataset, tenant)) and span.first <= through)
        return Term(dataset, tenant, through, tuple(held))

    def newest(self, dataset: str) -> date | None:
        """The newest day that is due of a dataset for any tenant: what is newer need not be looked at."""
        retention = self._catalog.datasets[dataset].retention_class
        ends = {self._year_end(tenant) for tenant in (*self._catalog.tenants, NO_TENANT)}
        return max((day for end in ends if (day := self._through(retention, end))), default=None)

    def tenants(self, others: Iterable[str] = ()) -> list[str]:
        """The registered tenants and some others, in order."""
        return sorted({*self._catalog.tenants, *others})

    def _year_end(self, tenant: str) -> str | None:
        known = self._catalog.tenants.get(tenant)
        return known.financial_year_end if known else None

    def _through(self, retention: str, year_end: str | None) -> date | None:
        key = (retention, year_end)
        if key not in self._known:
            self._known[key] = self._newest(self.today, self._catalog.retention_classes[retention], year_end)
        return self._known[key]
