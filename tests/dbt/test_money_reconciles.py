"""Source against gold in money, on random billing with every hard case: equal as built, unequal after any change."""

from datetime import date, timedelta

import pytest
from fixture import Dbt
from scenario import tenants
from scenario_revenue import billing

from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.factory import Facts, Scope
from asset_checks.money import collection_totals, invoice_totals, recurring_totals

pytestmark = pytest.mark.integration

SEED = 20261127
FIRST, LAST = date(2024, 1, 15), date(2024, 3, 20)
DAYS = [(FIRST + timedelta(n)).isoformat() for n in range((LAST - FIRST).days + 1)]
TENANTS = tenants(SEED, 12)
MODELS = "+kpi_mrr +kpi_invoice_collection_rate +fct_invoices"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    dbt = Dbt(tmp_path_factory.mktemp("money"), TENANTS)
    dbt.load(billing(SEED, TENANTS, FIRST, LAST))
    dbt.build(FIRST, LAST, MODELS, "--exclude-resource-type", "test")
    return dbt


def scope(dbt: Dbt, days: list[str] = DAYS) -> Scope:
    return Scope(LocalStore(dbt.warehouse.parent), DuckDBWarehouse(dbt.warehouse), days)


def changed(dbt: Dbt, sql: str, undo: str) -> tuple[Facts, Facts, dict[str, Facts]]:
    """What the checks say after a change, which is undone."""
    with dbt.writing() as connection:
        connection.execute(sql)
    try:
        return judged(dbt)
    finally:
        with dbt.writing() as connection:
            connection.execute(undo)


def judged(dbt: Dbt) -> tuple[Facts, Facts, dict[str, Facts]]:
    return invoice_totals(scope(dbt)), collection_totals(scope(dbt)), recurring_totals(scope(dbt))


def test_all_control_totals_are_equal_to_the_cent(built: Dbt) -> None:
    totals, collection, recurring = judged(built)
    assert totals.passed, totals.offenders[:5]
    assert collection.passed, collection.offenders[:5]
    assert [facts.offenders for facts in recurring.values() if not facts.passed] == []
    assert min(totals.checked or 0, collection.checked or 0) > 20
    assert sum(facts.checked or 0 for facts in recurring.values()) > 500


def test_payments_of_no_invoice_are_left_out_and_shown(built: Dbt) -> None:
    counts = invoice_totals(scope(built)).counts
    assert sum(count for name, count in counts.items() if name.endswith("left_out_minor")) > 0


def test_a_cent_too_much_in_the_mart_is_named_with_tenant_and_currency(built: Dbt) -> None:
    one = "tenant_id || invoice_id = (select max(tenant_id || invoice_id) from marts.fct_invoices)"
    change = "update marts.fct_invoices set paid_minor = paid_minor {} 1 where " + one
    totals, _, _ = changed(built, change.format("+"), change.format("-"))
    assert not totals.passed
    assert totals.failed == 1
    assert "difference 1 (minor units)" in totals.offenders[0]


def test_a_wrong_day_of_recurring_revenue_fails_that_day_alone(built: Dbt) -> None:
    day = DAYS[40]
    change = f"update kpi.kpi_mrr set mrr_minor = mrr_minor {{}} 1 where day = '{day}'"
    _, _, recurring = changed(built, change.format("+"), change.format("-"))
    assert {key for key, facts in recurring.items() if not facts.passed} == {day}


def test_a_wrong_collection_rate_is_named_by_amount(built: Dbt) -> None:
    change = f"update kpi.kpi_invoice_collection_rate set collected_minor = collected_minor {{}} 1 where day = '{LAST}'"
    _, collection, _ = changed(built, change.format("+"), change.format("-"))
    assert not collection.passed
    assert all("collected_by_" in offender for offender in collection.offenders)


def test_a_day_that_was_loaded_again_and_waits_for_its_build_is_no_difference(built: Dbt) -> None:
    late = (
        "insert into raw.billing by name select * replace ('late' as message_id, "
        """properties.replace('"amount_minor": ', '"amount_minor": 1') as properties) """
        f"from raw.billing where event = 'invoice.issued' and day = '{DAYS[10]}' limit 1"
    )
    with built.writing() as connection:
        connection.execute(late)
    try:
        assert invoice_totals(scope(built, DAYS[20:])).passed
    finally:
        with built.writing() as connection:
            connection.execute("delete from raw.billing where message_id = 'late'")
