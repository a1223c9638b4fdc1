"""The generated staging models: current with the catalogue, and right on the wire's odd values."""

from datetime import date
from pathlib import Path

import pytest
from fixture import PROJECT, CompiledModels, Dbt, Message, message

from analytics_platform.catalog import load_catalog
from analytics_platform.warehouse.staging_models import (
    STAGING_FOLDER,
    generated_files,
    model_name,
    render_staging,
    write_staging,
)

ISSUED = {
    "invoice_id": "i1",
    "booking_id": "b1",
    "customer_ref": "c1",
    "amount_minor": 100,
    "tax_minor": 21,
    "currency": "EUR",
    "due_at": "2026-02-01T00:00:00Z",
}


def test_committed_models_are_those_that_the_catalogue_renders() -> None:
    rendered = render_staging(load_catalog())
    committed = {str(path.relative_to(STAGING_FOLDER)): path.read_text() for path in generated_files()}
    assert committed == rendered


def test_every_event_of_the_plan_has_a_model_and_projects_are_looked_for_in_each() -> None:
    catalog = load_catalog()
    projects = (PROJECT / "models/marts/core/dim_projects.sql").read_text()
    for event in catalog.events.values():
        assert (STAGING_FOLDER / event.stream / f"{model_name(event)}.sql").exists()
        assert f'"{model_name(event)}"' in projects


def test_writing_changes_nothing_twice_and_removes_models_whose_event_is_gone(tmp_path: Path) -> None:
    catalog = load_catalog()
    assert len(write_staging(catalog, tmp_path)) == len(render_staging(catalog))
    assert write_staging(catalog, tmp_path) == []
    billing = catalog.streams["billing"]
    fewer = catalog.model_copy(
        update={"streams": {**catalog.streams, "billing": billing.model_copy(update={"events": billing.events[1:]})}}
    )
    (tmp_path / "by_hand.sql").write_text("select 1")
    gone = tmp_path / "billing" / "stg_billing__invoice_issued.sql"
    assert gone in write_staging(fewer, tmp_path)
    assert not gone.exists()
    assert (tmp_path / "by_hand.sql").exists()


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return three staging models as SQL."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("staging")),
        "stg_billing__invoice_issued",
        "stg_crm__nps_submitted",
        "stg_marketing__page",
    )


@pytest.mark.integration
def test_times_numbers_and_dates_are_typed_in_utc_and_in_the_tenants_day(staging: CompiledModels) -> None:
    odd = {**ISSUED, "amount_minor": 100.0, "due_at": "2026-03-28t23:30:00.123456789z"}
    staging.build([message("invoice.issued", "2026-03-28T23:30:00Z", **odd)], date(2026, 3, 1), date(2026, 3, 31))
    (row,) = staging.records("select * from staging.stg_billing__invoice_issued")
    assert row["day"] == row["occurred_on"] == date(2026, 3, 29)
    assert str(row["occurred_at"]) == "2026-03-28 23:30:00"
    assert str(row["due_at"]) == "2026-03-28 23:30:00.123456"
    assert (row["amount_minor"], row["tax_minor"], row["booking_value_minor"]) == (100, 21, None)


@pytest.mark.integration
def test_a_day_stages_its_own_messages_and_facts_keep_their_business_date(staging: CompiledModels) -> None:
    late = message("invoice.issued", "2026-01-05T10:00:00Z", event_at="2026-01-09T10:00:00Z", **ISSUED)
    staging.build([late], date(2026, 1, 5), date(2026, 1, 5))
    assert staging.records("select * from staging.stg_billing__invoice_issued") == []
    staging.build([late], date(2026, 1, 9), date(2026, 1, 9))
    (row,) = staging.records("select * from staging.stg_billing__invoice_issued")
    assert row["occurred_on"] == date(2026, 1, 5)


def page(number: int, stream: str = "marketing", referrer: str = "", **campaign: str) -> Message:
    """Return a page call of a Segment client."""
    url = "https://www.rental.example/pricing?mail=a@b.example"
    return Message(
        None,
        f"2026-01-05T10:00:{number:02d}Z",
        type="page",
        stream=stream,
        anonymous_id="a1",
        message_id=f"p{number}",
        context={"page": {"url": url, "path": "/pricing", "referrer": referrer}, "campaign": campaign},
    )


PAGES = (
    (page(0, medium="cpc", source="google", name="spring"), "paid_search"),
    (page(1, medium="cpc", source="linkedin"), "paid_social"),
    (page(2, medium="paid_social", source="x"), "paid_social"),
    (page(3, medium="social", source="facebook"), "organic_social"),
    (page(4, medium="email", source="news"), "email"),
    (page(5, medium="affiliate", source="fair"), "partner"),
    (page(6, medium="weird", source="x"), "other"),
    (page(7, referrer="https://www.google.com/"), "organic_search"),
    (page(8, referrer="https://www.linkedin.com/feed"), "organic_social"),
    (page(9, referrer="https://blog.example/post"), "referral"),
    (page(10), "direct"),
    (page(11, referrer="https://rental.example/home"), None),
    (page(12, referrer="https://t.co/abc", stream="product"), "organic_social"),
    (page(13, referrer="https://budget.com/"), "referral"),
    (page(14, referrer="https://duckduckgo.com/", medium="cpc", source="bing"), "paid_search"),
)


@pytest.mark.integration
def test_pages_of_both_streams_get_the_plans_channel_and_keep_no_query(staging: CompiledModels) -> None:
    staging.build([each for each, _ in PAGES], date(2026, 1, 5), date(2026, 1, 5))
    rows = {row["message_id"]: row for row in staging.records("select * from staging.stg_marketing__page")}
    assert {name: row["channel"] for name, row in rows.items()} == {each.message_id: channel for each, channel in PAGES}
    assert rows["p0"]["utm_campaign"] == "spring"
    assert (rows["p0"]["url_host"], rows["p0"]["url_path"]) == ("rental.example", "/pricing")
    assert not any("@" in str(value) for row in rows.values() for value in row.values())


@pytest.mark.integration
def test_an_event_without_its_tenant_in_the_registry_fails_the_check(tmp_path: Path) -> None:
    dbt = Dbt(tmp_path)
    dbt.load([message("invoice.issued", "2026-01-05T10:00:00Z", **ISSUED)])
    with dbt.writing() as connection:
        connection.execute("delete from raw.tenants where tenant_id = 't1'")
    with pytest.raises(AssertionError, match="sound_events_stg_billing__invoice_issued"):
        dbt.build("2026-01-05", "2026-01-05", "stg_billing__invoice_issued")


@pytest.mark.integration
def test_a_build_without_days_stops_and_says_what_is_missing(dbt: Dbt) -> None:
    with pytest.raises(AssertionError, match="start_day is missing"):
        dbt.run("run", "", "", "stg_billing__invoice_issued")


@pytest.mark.integration
def test_the_rules_beside_the_models_hold(tmp_path: Path) -> None:
    dbt = Dbt(tmp_path)
    dbt.run("build", "2026-01-01", "2026-01-01", "", "--resource-type", "model", "--resource-type", "seed")
    result = dbt.run("test", "2026-01-01", "2026-01-01", "", "--resource-type", "unit_test")
    assert len(result.result) >= 13
