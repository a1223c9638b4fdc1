"""The demo tenants, their keys, hours and holidays, and which ids and days a tenant may have."""

from datetime import date

import pytest
from catalog_copy import CatalogCopy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from analytics_platform.catalog import Catalog, hash_write_key
from analytics_platform.catalog.values import MonthDay, TenantId

KEY_NAMES = ["server", "browser", "marketing", "scanner", "import"]


def test_three_dutch_tenants_and_a_british_one(catalog: Catalog) -> None:
    by_id = {t.tenant_id: (t.time_zone, t.currency, t.financial_year_end) for t in catalog.tenants.values()}
    dutch = ("Europe/Amsterdam", "EUR", "12-31")

    assert by_id == {
        "albion-stage": ("Europe/London", "GBP", "03-31"),
        "brabant-rental": dutch,
        "delta-events": dutch,
        "noord-rigging": dutch,
    }
    assert all(tenant.on_time_threshold_minutes == 15 for tenant in catalog.tenants.values())


@pytest.mark.parametrize("key_name", KEY_NAMES)
def test_a_demo_key_finds_its_tenant(catalog: Catalog, key_name: str) -> None:
    for tenant_id in catalog.tenants:
        found = catalog.find_write_key(f"demo-{tenant_id}-{key_name}")
        assert found is not None
        tenant, key = found
        assert (tenant.tenant_id, key.name) == (tenant_id, key_name)
        assert (key.site == "marketing") == (key_name == "marketing")
        assert key.sha256 == hash_write_key(f"demo-{tenant_id}-{key_name}")


@given(plain=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_other_key_finds_a_tenant(catalog: Catalog, plain: str) -> None:
    assert catalog.find_write_key(plain) is None
    assert catalog.find_write_key(f"demo-albion-stage-server{plain}\n") is None


def test_hours_are_read_by_name_and_by_place(catalog: Catalog) -> None:
    hours = catalog.tenants["albion-stage"].business_hours[1]
    opens, closes = hours

    assert (opens, closes) == (hours.opens, hours.closes) == ("09:00", "17:30")
    assert 7 not in catalog.tenants["albion-stage"].business_hours


@pytest.mark.parametrize(
    ("tenant", "holiday"),
    [
        ("delta-events", date(2025, 4, 26)),  # King's Day moves to Saturday when the 27th is a Sunday
        ("delta-events", date(2026, 4, 27)),
        ("delta-events", date(2025, 5, 5)),
        ("delta-events", date(2027, 5, 6)),
        ("albion-stage", date(2026, 12, 28)),  # Boxing Day 2026 is a Saturday
        ("albion-stage", date(2027, 12, 27)),  # Christmas Day 2027 is a Saturday
        ("albion-stage", date(2025, 8, 25)),
        ("albion-stage", date(2023, 5, 8)),
    ],
)
def test_public_holidays_are_closed(catalog: Catalog, tenant: str, holiday: date) -> None:
    assert holiday in catalog.tenants[tenant].holidays


@pytest.mark.parametrize(
    ("tenant", "working_day"),
    [("delta-events", date(2026, 5, 5)), ("delta-events", date(2025, 4, 27)), ("albion-stage", date(2022, 5, 30))],
)
def test_ordinary_days_are_open(catalog: Catalog, tenant: str, working_day: date) -> None:
    assert working_day not in catalog.tenants[tenant].holidays


def test_every_year_of_history_has_holidays(catalog: Catalog) -> None:
    for tenant in catalog.tenants.values():
        years = [day.year for day in tenant.holidays]
        assert {year: years.count(year) >= 8 for year in range(2022, 2028)} == dict.fromkeys(range(2022, 2028), True)


def test_a_tenant_adds_closing_days_of_its_own(catalog_copy: CatalogCopy) -> None:
    catalog_copy.replace("tenants/delta-events.yaml", "write_keys:", "holidays: [2026-12-31, 2026-12-25]\nwrite_keys:")

    before = catalog_copy.load().tenants["noord-rigging"].holidays
    after = catalog_copy.load().tenants["delta-events"].holidays

    assert set(after) - set(before) == {date(2026, 12, 31)}
    assert list(after) == sorted(set(after))


tenant_ids = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True).filter(lambda text: text != "all")


@given(tenant_ids)
def test_ids_of_the_form_are_accepted(tenant_id: str) -> None:
    assert TypeAdapter(TenantId).validate_python(tenant_id) == tenant_id


@given(tenant_ids, st.sampled_from(["\n", " ", "/", "..", "\x00", "é", "A", "|", "=", "\u0661"]), st.booleans())
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_ids_with_anything_else_in_them_are_refused(tenant_id: str, stray: str, in_front: bool) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(TenantId).validate_python(stray + tenant_id if in_front else tenant_id + stray)


@pytest.mark.parametrize("tenant_id", ["", "_unknown", "-x", "a" * 64, "all"])
def test_ids_that_mean_something_else_are_refused(tenant_id: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(TenantId).validate_python(tenant_id)


@given(st.dates(date(2023, 1, 1), date(2023, 12, 31)))
def test_a_financial_year_may_end_on_any_day_that_every_year_has(day: date) -> None:
    assert TypeAdapter(MonthDay).validate_python(day.strftime("%m-%d"))


@pytest.mark.parametrize("text", ["02-29", "13-01", "00-10", "04-31", "4-30", "12-31\n", "1231"])
def test_a_financial_year_ends_on_no_other_day(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MonthDay).validate_python(text)
