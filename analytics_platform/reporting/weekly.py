"""The weekly report: one document per week and audience, made from published extracts: HTML, PDF, JSON and a picture.

This module decides who gets one and where it goes; ``sources`` picks the rows, ``weekly_figures`` and ``weekly_facts``
find what is told, ``weekly_document`` tells it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from analytics_platform.catalog import Catalog
from analytics_platform.documents import Document, Language, render_html, render_json, render_pdf
from analytics_platform.lake.as_published import AsPublished
from analytics_platform.lake.layout import WEEKLY_REPORT_PREFIX, week_of_report, weekly_report_key
from analytics_platform.lake.store import ObjectMissingError, ObjectStore
from analytics_platform.reporting.extracts import published_days
from analytics_platform.reporting.headlines import kpi_source
from analytics_platform.reporting.periods import Span
from analytics_platform.reporting.sources import STAFF
from analytics_platform.reporting.weekly_content import WeekContent
from analytics_platform.reporting.weekly_document import (
    figure_line,
    headlines,
    trends_alt,
    trends_picture,
    weekly_document,
)
from analytics_platform.reporting.weekly_facts import week_facts
from analytics_platform.reporting.weekly_figures import KpiWeek, kpi_week, load_week
from analytics_platform.warehouse import Warehouse

FORMS = ("html", "pdf", "json", "png")
"""What a report is written as; the picture has thirteen weeks of every KPI."""

WEEKLY_DATASET = "report.weekly"


@dataclass(frozen=True)
class Edition:
    """How a deployment wants its reports: their language, and the clock that weeks and times go by."""

    language: Language
    time_zone: str


@dataclass(frozen=True)
class WeeklyReport:
    """One audience's report of a week as it was written.

    Attributes:
        audience: a tenant, or all.
        keys: where each form is in the lake.
        bytes: of all forms together.
        is_changed: whether any form differs from what was there.
        content: what it tells.
    """

    audience: str
    keys: Mapping[str, str]
    bytes: int
    is_changed: bool
    content: WeekContent


def weekly_audiences(catalog: Catalog) -> list[str]:
    """Who gets a report of their own: platform staff, and each tenant."""
    return [STAFF, *catalog.tenants]


def weekly_inputs(catalog: Catalog) -> list[tuple[str, str]]:
    """The extracts that a report is made from, as (dashboard, extract)."""
    sources = [kpi_source(catalog, kpi) for kpi in catalog.kpis.values()]
    return list(dict.fromkeys((source.dashboard, source.extract.name) for source in sources))


def newest_week(today: date) -> date:
    """The Monday of the newest week that is over."""
    return today - timedelta(days=today.weekday() + 7)


def late_extracts(store: ObjectStore, catalog: Catalog, day: date) -> list[str]:
    """The extracts of a report that are not published for a day yet."""
    return [
        f"{board}/{table}" for board, table in weekly_inputs(catalog) if day not in published_days(store, board, table)
    ]


def written_weeks(store: ObjectStore) -> list[date]:
    """The weeks that have a report, ascending."""
    return sorted({week_of_report(info.key) for info in store.list(WEEKLY_REPORT_PREFIX)})


def build_weekly(
    store: ObjectStore, warehouse: Warehouse, catalog: Catalog, monday: date, edition: Edition, now: datetime
) -> list[WeeklyReport]:
    """Write every audience's report of the week that begins on ``monday``; a form that is the same is left alone.

    Incidents are those that are open now, or, for an older week, that were when its report was due.
    """
    as_published = AsPublished(store)
    rows = [load_week(as_published, catalog, kpi, monday) for kpi in catalog.kpis.values()]
    seen_at = min(now, _due(monday, edition) + timedelta(weeks=1))
    written = []
    for audience in weekly_audiences(catalog):
        content = WeekContent(
            catalog=catalog,
            audience=audience,
            monday=monday,
            language=edition.language,
            time_zone=edition.time_zone,
            kpis=[kpi_week(each, catalog, audience, monday) for each in rows],
            facts=week_facts(warehouse, catalog, audience, Span(monday, monday + timedelta(6)), seen_at),
        )
        written.append(_write(store, content))
    return written


def report_facts(content: WeekContent) -> dict[str, Any]:
    """What a program is told of a report: the week, its audience, and every figure with the days it covers."""
    return {
        "report": "weekly",
        "week": content.monday.isoformat(),
        "audience": content.audience,
        "kpis": [_kpi_facts(shown) for shown in content.kpis],
    }


def report_sentences(content: WeekContent) -> Sequence[str]:
    """The first sentences of a report."""
    return [f"{cell.value} {cell.note}".strip() for cell in headlines(content)]


def report_figures(content: WeekContent) -> list[tuple[str, str]]:
    """Each KPI and what it came to, with its change, as a line of text."""
    return [(shown.kpi.title, figure_line(content, shown)) for shown in content.kpis]


def report_titles(content: WeekContent) -> tuple[str, str, str]:
    """The title, the week and audience, and what the picture shows."""
    return content.words["title"], f"{content.name} · {content.audience_name}", trends_alt(content)


def _due(monday: date, edition: Edition) -> datetime:
    """The moment at which the week was over."""
    return datetime.combine(monday + timedelta(7), time(), ZoneInfo(edition.time_zone)).astimezone(UTC)


def _write(store: ObjectStore, content: WeekContent) -> WeeklyReport:
    bodies = _forms(weekly_document(content), content)
    keys = {form: weekly_report_key(content.monday, content.audience, form) for form in FORMS}
    changed = [_put_if_changed(store, keys[form], bodies[form]) for form in FORMS]
    return WeeklyReport(content.audience, keys, sum(map(len, bodies.values())), any(changed), content)


def _forms(document: Document, content: WeekContent) -> dict[str, bytes]:
    return {
        "html": render_html(document),
        "pdf": render_pdf(document),
        "json": render_json(document, report_facts(content)),
        "png": trends_picture(content),
    }


def _put_if_changed(store: ObjectStore, key: str, body: bytes) -> bool:
    """Put an object unless it is there with the same bytes, so that its age says when it last changed."""
    try:
        if store.get(key) == body:
            return False
    except ObjectMissingError:
        pass
    store.put(key, body)
    return True


def _kpi_facts(shown: KpiWeek) -> dict[str, Any]:
    return {
        "kpi": shown.kpi.name,
        "unit": shown.kpi.unit,
        "currency": shown.currency,
        "first": shown.week.span.first.isoformat(),
        "last": shown.week.span.last.isoformat(),
        "previous_first": shown.week.previous.first.isoformat(),
        "year_before_first": shown.week.year_before.first.isoformat(),
        "days_published": shown.days_published,
        "is_whole": shown.is_whole,
        "value": shown.value,
        "previous": shown.previous,
        "year_before": shown.year_before,
        "target": shown.target,
        "meets_target": shown.meets_target,
        "moved": [
            {
                "by": drill.column,
                "parts": [
                    {
                        "part": part.name,
                        "now": part.now,
                        "before": part.before,
                        "adds": float(part.contribution.total) if part.contribution else None,
                        "by_rate": float(part.contribution.rate) if part.contribution else None,
                        "by_mix": float(part.contribution.mix) if part.contribution else None,
                    }
                    for part in drill.parts
                ],
            }
            for drill in shown.drills
        ],
    }
