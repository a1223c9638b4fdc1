"""The weekly report on published extracts: its figures, its honesty about gaps, and that each holds its own tenant."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from published_days import withdraw_day

from analytics_platform.catalog import Tenant, load_catalog
from analytics_platform.documents import Language
from analytics_platform.lake.layout import weekly_report_key
from analytics_platform.reporting.periods import Span, week_of
from analytics_platform.reporting.weekly import (
    FORMS,
    Edition,
    WeeklyReport,
    build_weekly,
    late_extracts,
    newest_week,
    report_sentences,
    weekly_inputs,
    written_weeks,
)
from analytics_platform.reporting.weekly_facts import INCIDENTS_TABLE, SLA_TABLE
from analytics_platform.reporting.weekly_figures import KpiWeek, most_telling
from analytics_platform.reporting.weekly_quantities import changed, size_text
from analytics_platform.reporting.weekly_words import DUTCH, ENGLISH
from asset_checks.reports import packed, page_text, pdf_text, report_holds_only_its_tenant
from reporting.conftest import Published
from reporting.kpi_tables import LAST_DAY, renamed

WEEK = date(2026, 6, 22)
NOW = datetime(2026, 6, 29, 3, tzinfo=UTC)
EDITION = Edition("en-GB", "Europe/Amsterdam")
HOSTILE = "</script><img src=x onerror=alert(1)> #panic() *x* $y$"
BRABANT = load_catalog().tenants["brabant-rental"]
ALBION = load_catalog().tenants["albion-stage"]

Publish = Callable[..., Published]


def build(published: Published, week: date = WEEK, edition: Edition = EDITION) -> dict[str, WeeklyReport]:
    reports = build_weekly(published.store, published.warehouse, published.catalog, week, edition, NOW)
    return {report.audience: report for report in reports}


def told(published: Published, report: WeeklyReport) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(published.store.get(report.keys["json"]))
    return found


def kpi(report: WeeklyReport, name: str) -> KpiWeek:
    return next(shown for shown in report.content.kpis if shown.kpi.name == name)


@pytest.fixture(scope="module")
def reports(published: Published) -> dict[str, WeeklyReport]:
    return build(published)


def test_a_week_is_compared_with_its_like() -> None:
    week = week_of(date(2026, 1, 5))
    assert week.span == Span(date(2026, 1, 5), date(2026, 1, 11))
    assert week.previous.last == date(2026, 1, 4)
    assert week.year_before.first == date(2025, 1, 6)
    assert (len(week.trend), week.trend[-1]) == (13, week.span)
    with pytest.raises(ValueError, match="is a Tuesday"):
        week_of(date(2026, 1, 6))


def test_the_newest_week_is_over() -> None:
    assert newest_week(date(2026, 11, 23)) == date(2026, 11, 16)
    assert newest_week(date(2026, 11, 22)) == date(2026, 11, 9)


def test_every_audience_has_every_form(published: Published, reports: dict[str, WeeklyReport]) -> None:
    assert list(reports) == ["all", "brabant-rental", "albion-stage"]
    for audience in reports:
        for form in FORMS:
            assert published.store.get(weekly_report_key(WEEK, audience, form))
    assert written_weeks(published.store) == [WEEK]


def test_building_again_changes_no_byte(published: Published, reports: dict[str, WeeklyReport]) -> None:
    before = {key: published.store.info(key) for report in reports.values() for key in report.keys.values()}
    assert not any(report.is_changed for report in build(published).values())
    assert before == {key: published.store.info(key) for key in before}


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("mrr", "select sum(mrr_reporting_minor) from kpi.kpi_mrr where day = ?"),
        (
            "on_time_departures",
            "select 100.0 * sum(on_time) / sum(planned) from kpi.kpi_on_time_departures where day between ? and ?",
        ),
        ("qualified_leads", "select sum(qualified_leads) from kpi.kpi_qualified_leads where day between ? and ?"),
        (
            "ticket_resolution",
            "select median(final_resolution_minutes) from marts.fct_ticket_resolutions "
            "where resolved_on between ? and ?",
        ),
    ],
)
def test_figures_of_both_weeks_are_those_of_plain_sql(
    published: Published, reports: dict[str, WeeklyReport], name: str, question: str
) -> None:
    shown = kpi(reports["all"], name)
    for figure, monday in ((shown.value, WEEK), (shown.previous, WEEK - timedelta(7))):
        days: list[object] = [monday, monday + timedelta(6)]
        answer = published.warehouse.query(question, days[-1:] if name == "mrr" else days).column(0)[0].as_py()
        assert figure == pytest.approx(float(answer))


def test_what_moved_a_figure_adds_up_to_its_change(reports: dict[str, WeeklyReport]) -> None:
    seen = 0
    for report in reports.values():
        for shown in report.content.kpis:
            for drill in shown.drills:
                added = [part.contribution for part in drill.parts]
                if shown.kpi.headline.kind == "median":
                    assert added == [None] * len(added)
                else:
                    change = (shown.value or 0) - (shown.previous or 0)
                    assert sum(float(each.total) for each in added if each) == pytest.approx(change, abs=1e-6)
                    seen += 1
    assert seen > 15


def test_cohorts_are_shown_when_they_have_had_their_time(reports: dict[str, WeeklyReport]) -> None:
    shown = kpi(reports["all"], "channel_conversion")
    assert shown.week.span.first == WEEK - timedelta(weeks=13)
    assert (WEEK + timedelta(6) - shown.week.span.last).days >= shown.kpi.settling_days


def test_a_year_that_is_not_published_is_said_and_not_zero(
    published: Published, reports: dict[str, WeeklyReport]
) -> None:
    assert all(shown.year_before is None for shown in reports["all"].content.kpis)
    assert "not comparable" in page_text(published.store.get(reports["all"].keys["html"]))


def test_the_page_the_pdf_and_the_json_say_the_same(published: Published, reports: dict[str, WeeklyReport]) -> None:
    for report in reports.values():
        page = packed(page_text(published.store.get(report.keys["html"])))
        pdf = packed(pdf_text(published.store.get(report.keys["pdf"])))
        for sentence in report_sentences(report.content):
            assert packed(sentence) in page
            assert packed(sentence) in pdf


def test_a_report_is_two_or_three_pages_of_a4(published: Published, reports: dict[str, WeeklyReport]) -> None:
    import io

    import pypdf

    for report in reports.values():
        reader = pypdf.PdfReader(io.BytesIO(published.store.get(report.keys["pdf"])))
        assert len(reader.pages) <= 3
        assert {round(float(page.mediabox.width)) for page in reader.pages} == {595}


def test_no_form_names_another_tenant(published: Published, reports: dict[str, WeeklyReport]) -> None:
    texts = {
        tenant: [
            published.store.get(reports[tenant].keys["html"]).decode(),
            published.store.get(reports[tenant].keys["json"]).decode(),
            pdf_text(published.store.get(reports[tenant].keys["pdf"])),
        ]
        for tenant in published.catalog.tenants
    }
    assert report_holds_only_its_tenant(texts, published.catalog.tenants).passed
    staff = page_text(published.store.get(reports["all"].keys["html"]))
    assert BRABANT.name in staff
    for tenant in (BRABANT, ALBION):
        for form in ("html", "json"):
            other = ALBION if tenant is BRABANT else BRABANT
            body = published.store.get(reports[tenant.tenant_id].keys[form])
            assert other.name.encode() not in body
            assert other.tenant_id.encode() not in body


def test_tables_that_were_never_built_are_not_known_rather_than_empty(publish_tenants: Publish) -> None:
    published = publish_tenants([BRABANT], days=16)
    with published.warehouse.opened() as connection:
        connection.execute("drop table kpi.kpi_anomalies")
    text = page_text(published.store.get(build(published)["all"].keys["html"]))
    for words in ("anomalies_missing", "promises_missing", "incidents_missing"):
        assert ENGLISH[words] in text


def test_a_dutch_report_is_dutch_and_has_the_same_figures(publish_tenants: Publish) -> None:
    published = publish_tenants([BRABANT], days=20)
    english, dutch = (build(published, edition=replace(EDITION, language=name))["all"] for name in ("en-GB", "nl-NL"))
    page = published.store.get(dutch.keys["html"]).decode()
    assert dutch.is_changed
    assert '<html lang="nl-NL">' in page
    assert DUTCH["in_short"] in page
    assert [shown.value for shown in dutch.content.kpis] == [shown.value for shown in english.content.kpis]


def test_both_languages_have_the_same_words() -> None:
    assert ENGLISH.keys() == DUTCH.keys()
    for name, text in ENGLISH.items():
        fields = {part.split("}")[0] for part in text.split("{")[1:]}
        assert fields == {part.split("}")[0] for part in DUTCH[name].split("{")[1:]}, name


def incident(**changed: object) -> dict[str, object]:
    at = datetime(2026, 6, 26, 5, tzinfo=UTC)
    return {
        "incident_id": "i-1", "failure": "check_failed", "severity": "critical", "asset": "kpi/revenue/kpi_mrr",
        "tenant_id": "albion-stage", "since": at, "opened_at": at, "recovered_at": None, "owner": "finance",
        "next_step": f"Tell {BRABANT.name} of {HOSTILE}", **changed,
    }  # fmt: skip


def promise(tenant: str, attained: bool | None) -> dict[str, object]:
    return {"day": WEEK, "tenant_id": tenant, "tier": "gold", "is_attained": attained}


def test_incidents_and_promises_are_told_each_to_whom_they_concern(publish_tenants: Publish) -> None:
    published = publish_tenants([BRABANT, ALBION], days=20)
    times = pa.timestamp("us", tz="UTC")
    over = incident(incident_id="i-2", recovered_at=datetime(2026, 6, 27, tzinfo=UTC), asset="over/with_it")
    rows = pa.Table.from_pylist([incident(), over])
    for column in ("since", "opened_at", "recovered_at"):
        rows = rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(times))
    published.warehouse.replace_table(INCIDENTS_TABLE, rows)
    kept = [promise("brabant-rental", True)] * 3 + [promise("albion-stage", False), promise("albion-stage", None)]
    published.warehouse.replace_table(SLA_TABLE, pa.Table.from_pylist(kept))
    reports = build(published)
    texts = {audience: page_text(published.store.get(each.keys["html"])) for audience, each in reports.items()}
    assert "1 open incidents, 1 of them critical." in texts["all"]
    assert HOSTILE in texts["all"]
    assert "over/with_it" not in texts["all"]
    assert "75.0% of 4 promises about time were kept." in texts["all"]
    assert "1 open incidents" in texts["albion-stage"]
    assert BRABANT.name not in texts["albion-stage"]
    assert "0.0% of 1 promises" in texts["albion-stage"]
    assert ENGLISH["incidents_empty"] in texts["brabant-rental"]
    assert "100.0% of 3 promises" in texts["brabant-rental"]


def test_a_hostile_name_is_text_in_every_form(publish_tenants: Publish) -> None:
    evil: Tenant = renamed(BRABANT, "evil", HOSTILE)
    published = publish_tenants([evil, ALBION], days=20)
    reports = build(published)
    for report in (reports["all"], reports["evil"]):
        page = published.store.get(report.keys["html"])
        assert b"<img src=x" not in page
        assert HOSTILE in page_text(page)
        assert packed(HOSTILE) in packed(pdf_text(published.store.get(report.keys["pdf"])))


def test_a_week_with_a_gap_says_so_and_compares_with_nothing(publish_tenants: Publish) -> None:
    published = publish_tenants([BRABANT], days=20)
    for source in weekly_inputs(published.catalog):
        withdraw_day(published.store, *source, WEEK + timedelta(6))
    assert late_extracts(published.store, published.catalog, WEEK + timedelta(5)) == []
    assert len(late_extracts(published.store, published.catalog, WEEK + timedelta(6))) == len(
        weekly_inputs(published.catalog)
    )
    report = build(published)["all"]
    shown = kpi(report, "qualified_leads")
    assert (shown.days_published, shown.is_whole, shown.previous, shown.drills) == (6, False, None, ())
    text = page_text(published.store.get(report.keys["html"]))
    assert "6 of 7 days published" in text
    assert "Not all of the week is published" in text


def test_a_week_without_data_says_that_nothing_is_known(publish_tenants: Publish) -> None:
    published = publish_tenants([BRABANT], days=8)
    report = build(published, LAST_DAY - timedelta(LAST_DAY.weekday() + 70))["all"]
    text = page_text(published.store.get(report.keys["html"]))
    assert ENGLISH["nothing_published"] in text
    assert all(shown.value is None for shown in report.content.kpis)
    assert all(told_kpi["value"] is None for told_kpi in told(published, report)["facts"]["kpis"])


def test_a_breakdown_of_one_part_is_no_explanation(reports: dict[str, WeeklyReport]) -> None:
    drill = kpi(reports["all"], "mrr").drills[0]
    assert most_telling([replace(drill, parts=drill.parts[:1])]) is None
    assert most_telling([]) is None


@pytest.mark.parametrize(
    ("language", "before", "now", "said"),
    [
        ("en-GB", 0.0, 5.0, "Qualified leads rose from 0 to 5."),
        ("en-GB", 0.0, -5.0, "Qualified leads fell from 0 to \u22125."),
        ("nl-NL", 0.0, 5.0, "Qualified leads steeg van 0 naar 5."),
        ("nl-NL", 0.0, -5.0, "Qualified leads daalde van 0 naar \u22125."),
        ("en-GB", 4.0, 5.0, "Qualified leads rose by 25.0% to 5."),
    ],
)
def test_a_change_from_nothing_is_told_from_where_to_where(
    reports: dict[str, WeeklyReport], language: Language, before: float, now: float, said: str
) -> None:
    trend = (before, before + 0.5) * 6 + (now,)
    shown = replace(kpi(reports["all"], "qualified_leads"), value=now, previous=before, trend=trend, drills=())
    content = replace(reports["all"].content, kpis=[shown], language=language)
    assert said in report_sentences(content)


def test_a_change_that_is_not_known_has_no_size(reports: dict[str, WeeklyReport]) -> None:
    unknown = changed(kpi(reports["all"], "qualified_leads"), None)
    assert size_text(unknown, "en-GB") == "\u2013"
