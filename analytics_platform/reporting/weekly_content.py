"""What one audience is told of a week, before it is a document: figures, facts, and the names that they go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from analytics_platform.catalog import Catalog
from analytics_platform.documents import Language, span_text
from analytics_platform.reporting.messages import DUTCH_DIMENSIONS, dimension_name
from analytics_platform.reporting.periods import Span
from analytics_platform.reporting.sources import STAFF
from analytics_platform.reporting.weekly_facts import WeekFacts
from analytics_platform.reporting.weekly_figures import KpiWeek, Moved
from analytics_platform.reporting.weekly_words import WORDS


@dataclass(frozen=True)
class WeekContent:
    """Everything that one audience is told of a week."""

    catalog: Catalog
    audience: str
    monday: date
    language: Language
    time_zone: str
    kpis: Sequence[KpiWeek]
    facts: WeekFacts

    @property
    def words(self) -> Mapping[str, str]:
        """The words of the report."""
        return WORDS[self.language]

    @property
    def span(self) -> Span:
        """The days of the week."""
        return Span(self.monday, self.monday + timedelta(6))

    @property
    def audience_name(self) -> str:
        """Whose report it is."""
        return self.words["all_tenants"] if self.is_staff else self.catalog.tenants[self.audience].name

    @property
    def is_staff(self) -> bool:
        """Whether it shows every tenant."""
        return self.audience == STAFF

    @property
    def name(self) -> str:
        """The week in words."""
        number = self.words["week"].format(week=self.monday.isocalendar().week)
        return f"{number} · {span_text(self.span.first, self.span.last, self.language)}"

    def tenant_name(self, tenant: object) -> str:
        """A tenant's name; only in what staff reads can it be another than the reader's own."""
        if tenant in (None, STAFF):
            return self.words["all_tenants"]
        known = self.catalog.tenants.get(str(tenant))
        return known.name if known else str(tenant)

    def part_name(self, part: Moved) -> str:
        """A part of a drill-down; rows without one are not assigned."""
        return part.name if part.name is not None else self.words["not_assigned"]

    def dimension_name(self, column: str) -> str:
        """What a drill-down is by."""
        if self.language == "nl-NL":
            return DUTCH_DIMENSIONS.get(column, column.replace("_", " "))
        return dimension_name(column)
