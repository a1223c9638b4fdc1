"""What a message says, that it fits into Slack, and that nothing in it can call anybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from alert_examples import DAMPING, DAY, PLACES, START, Desk, after, failed_run, finding, right, warning, wrong
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics_platform.alerting.block_kit import clipped, literal
from analytics_platform.alerting.findings import Amount, Failure, Finding, Moment
from analytics_platform.alerting.incidents import Event, Incident, LifeCycle
from analytics_platform.alerting.messages import Places, Words
from analytics_platform.alerting.outbox import Message
from analytics_platform.alerting.repair import NOT_REPAIRED_BY_BUILDING, command_for
from analytics_platform.alerting.routing import Router
from analytics_platform.catalog import Catalog

OUR_LINK = re.compile(r"<https://(dagster|wiki)\.example/[^<>|]*\|[A-Za-z ]+>")
HOSTILE = "<!channel> <@U123> <https://evil.example|click> & `rm -rf` *bold* @here \u202egnp.exe\nSecond line"


def opened(catalog: Catalog, *findings: Finding) -> Incident:
    changes = LifeCycle(Router(catalog), DAMPING).observe([], wrong(*findings), START)
    return changes[-1].incident


def words(catalog: Catalog, places: Places = PLACES) -> Words:
    return Words(catalog, places)


def texts(message: Message) -> Iterator[str]:
    yield message.text
    for block in message.blocks:
        yield from _texts(block)


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("text"), str):
            yield part["text"]
        for value in part.values():
            yield from _texts(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _texts(value)


def test_a_parent_says_all_that_an_engineer_on_call_needs(catalog: Catalog) -> None:
    late = finding(
        failure=Failure.SLA_BREACHED,
        check=None,
        observed=None,
        promised=Moment(at=START.replace(hour=5, minute=0)),
        run_id="run-1",
    )
    message = words(catalog).parent(opened(catalog, late))
    shown = "\n".join(text for text in texts(message) if text != message.text)
    for said in (
        "CRITICAL · Late: kpi/revenue/kpi_mrr",
        "*Since*\nWed 25 Nov 2026 06:30 (Europe/Amsterdam)",
        "*Promised*\nWed 25 Nov 2026 06:00 (Europe/Amsterdam)",
        "*Actual*\nnothing there",
        "*Owner*\nFinance (#data-finance); then Head of Finance Control",
        "*Tenant*\nDelta Events (delta-events)",
        "*Day*\n2026-11-24",
        "*Dashboards*\nExecutive overview, Finance",
        "`analytics backfill --asset kpi/revenue/kpi_mrr --from 2026-11-24 --to 2026-11-24 --reason incident-",
        "<https://dagster.example/assets/kpi/revenue/kpi_mrr?view=partitions&amp;partition=2026-11-24|Asset in ",
        "<https://dagster.example/runs/run-1|Run>",
        "<https://wiki.example/runbooks/sla_breached.md|Runbook>",
    ):
        assert said in shown
        assert said.replace("*", "").replace("\n", ": ") in message.text.replace("*", "").replace("\n", ": ")


def test_a_raw_partition_is_linked_by_day_and_tenant(catalog: Catalog) -> None:
    raw = finding(asset="raw/billing", dataset="raw.billing", failure=Failure.DEAD_LETTERS)
    assert "partition=2026-11-24%7Cdelta-events" in words(catalog).parent(opened(catalog, raw)).text


def test_without_a_runbook_page_the_file_in_the_repository_is_named(catalog: Catalog) -> None:
    plain = words(catalog, Places("http://127.0.0.1:3000", None, "Europe/Amsterdam"))
    assert "Runbook: docs/runbooks/check_failed.md" in plain.parent(opened(catalog, finding())).text


@pytest.mark.parametrize("failure", [Failure.ACCESS, Failure.RETENTION])
def test_no_command_is_given_where_building_repairs_nothing(catalog: Catalog, failure: Failure) -> None:
    message = words(catalog).parent(opened(catalog, finding(failure=failure)))
    assert "analytics backfill" not in message.text
    assert "see the runbook" in message.text


def test_a_check_and_the_run_that_it_failed_are_told_together(desk: Desk) -> None:
    desk.see(wrong(finding()))
    desk.see(wrong(failed_run()), after(minutes=1))
    assert "Run failed" in desk.outbox[-1].message.text
    edit = next(each.message for each in desk.outbox if each.message.kind == "edit")
    assert any("*Also*" in text and "Run failed" in text for text in texts(edit))


def test_a_recovery_says_how_long_it_lasted(desk: Desk) -> None:
    desk.see(wrong(finding()))
    desk.see(right(finding()), after(days=1, hours=2, minutes=3))
    edit, reply = desk.outbox[-2:]
    assert "It lasted 1 d 2 h 3 min" in reply.message.text
    assert "Repair" not in "".join(texts(edit.message))


def test_a_digest_of_many_warnings_fits_and_says_that_there_is_more(desk: Desk) -> None:
    desk.see(wrong(*(warning(tenant=f"tenant-{number}") for number in range(200))))
    (message,) = desk.desk.digest(after(hours=1))
    assert len(message.blocks) == 50
    assert "200 open" in message.text
    assert "analytics alerts list" in list(texts(message))[-1]


@pytest.mark.parametrize(
    "leak",
    [
        {"error": "duplicate key (email)=(jane@example.com)"},
        {"observed": "jane@example.com"},
        {"check": "row jane@example.com"},
        {"asset": "kpi/<!channel>"},
        {"asset": "kpi/kpi_mrr\n"},
        {"run_id": "a|b>"},
        {"observed": {"value": float("nan"), "unit": "rows"}},
        {"since": START.replace(tzinfo=None)},
    ],
)
def test_a_finding_has_no_place_for_text_from_data(leak: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        finding(**leak)


def refuse_calls(message: Message) -> None:
    for text in texts(message):
        assert "<" not in OUR_LINK.sub("", text)
    assert message.text.strip()
    assert len(message.blocks) <= 50
    for block in message.blocks:
        if block["type"] == "section":
            assert len(block.get("text", {}).get("text", "")) <= 3000
            assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))
            assert len(block.get("fields", [])) <= 10
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150


TEXT = st.text(min_size=1, max_size=200) | st.sampled_from([HOSTILE, "<!channel>", "&lt;", "a" * 200, "&" * 200])


@settings(max_examples=120, deadline=None)
@given(tenants=st.lists(TEXT, min_size=1, max_size=4), failure=st.sampled_from(Failure), value=st.floats(-1e15, 1e15))
def test_nothing_in_a_message_can_call_anybody_and_all_of_it_fits(
    catalog: Catalog, tenants: list[str], failure: Failure, value: float
) -> None:
    asset = "kpi/" + "x" * 290
    incidents = [
        opened(catalog, finding(tenant=each, failure=failure, asset=asset, observed=Amount(value=value, unit="rows")))
        for each in tenants
    ]
    say = words(catalog)
    for incident in incidents:
        refuse_calls(say.parent(incident))
        refuse_calls(say.reply(incident, Event.UPDATED, START))
    refuse_calls(say.digest("#data-finance", incidents, incidents, START))


@given(TEXT)
def test_literal_text_is_one_line_without_markup(text: str) -> None:
    shown = literal(text)
    assert not set(shown) & set("<>\n\r\u202e\u2028")
    assert not re.search(r"&(?!amp;|lt;|gt;)", shown)


@given(TEXT, st.integers(20, 200))
def test_cut_markup_stays_markup(text: str, limit: int) -> None:
    cut = clipped(literal(text) * 3 + "<https://dagster.example/a|Asset>", limit)
    assert len(cut) <= limit
    assert not re.search(r"&(?!amp;|lt;|gt;)", cut)
    assert cut.count("<") == cut.count(">")


def test_a_hostile_name_is_shown_as_it_is(catalog: Catalog) -> None:
    message = words(catalog).parent(opened(catalog, finding(tenant=HOSTILE, day=DAY)))
    assert "&lt;!channel&gt; &lt;@U123&gt;" in message.text
    refuse_calls(message)


MANY = tuple(finding(day=DAY - timedelta(days=n), together="run-1") for n in range(30))


def test_many_partitions_are_listed_up_to_a_dozen_and_the_command_has_them_all(catalog: Catalog) -> None:
    incident = opened(catalog, *MANY)
    message = words(catalog).parent(incident)
    shown = "\n".join(texts(message))
    assert "2026-10-26 to 2026-11-24 (30 partitions)" in shown
    assert f"and 17 more: `analytics alerts show {incident.id}`" in shown
    assert "--from 2026-10-26 --to 2026-11-24 --reason" in shown
    refuse_calls(message)


def test_a_check_that_could_not_run_says_nothing_about_the_data(catalog: Catalog) -> None:
    broken = finding(could_not_run=True, observed=None, promised=None)
    assert "says nothing about the data" in words(catalog).parent(opened(catalog, broken)).text


@pytest.mark.parametrize("failure", Failure)
def test_each_class_says_what_comes_before_the_command(catalog: Catalog, failure: Failure) -> None:
    (repair,) = [
        text
        for text in texts(words(catalog).parent(opened(catalog, finding(failure=failure))))
        if text.startswith("*Repair*")
    ]
    assert (failure in NOT_REPAIRED_BY_BUILDING) == ("see the runbook" in repair)
    assert (failure in NOT_REPAIRED_BY_BUILDING) == ("analytics backfill" not in repair)


@pytest.mark.parametrize(
    ("changed", "command"),
    [
        ({}, "--asset kpi/revenue/kpi_mrr --from 2026-11-24 --to 2026-11-24"),
        ({"last_day": DAY.replace(day=26)}, "--asset kpi/revenue/kpi_mrr --from 2026-11-24 --to 2026-11-26"),
        ({"day": None}, "--asset kpi/revenue/kpi_mrr"),
        ({"asset": "raw/crm"}, "--asset raw/crm --from 2026-11-24 --to 2026-11-24 --tenant delta-events"),
        ({"asset": "raw/crm", "tenant": None}, "--asset raw/crm --from 2026-11-24 --to 2026-11-24"),
        ({"asset": "raw/crm", "tenant": "_unknown"}, "--asset ops/ledger --from 2026-11-24 --to 2026-11-24"),
        ({"asset": "raw/crm", "tenant": "x; rm -rf"}, "--asset ops/ledger --from 2026-11-24 --to 2026-11-24"),
        (
            {"asset": "landing/dead_letters", "failure": Failure.DEAD_LETTERS},
            "--asset ops/ledger --from 2026-11-24 --to 2026-11-24",
        ),
    ],
)
def test_the_command_is_exact(catalog: Catalog, changed: dict[str, Any], command: str) -> None:
    incident = opened(catalog, finding(**changed))
    assert command_for(incident, catalog.tenants) == f"analytics backfill {command} --reason incident-{incident.id}"


def test_what_is_left_of_many_partitions_is_what_the_command_builds(desk: Desk) -> None:
    desk.see(wrong(*MANY))
    assert desk.see(right(*MANY[:20]), after(minutes=5)) == ["refreshed"]
    assert "--from 2026-10-26 --to 2026-11-04 --reason" in desk.outbox[-1].message.text
    assert desk.see(right(*MANY[20:]), after(minutes=9)) == ["recovered"]
