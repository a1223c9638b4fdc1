"""Ranges and personal data in marts, KPI tables and extracts, on tables that hold and that do not."""

from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from published_days import put_day

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.quality import TableLimits, ValueLimit
from analytics_platform.defs import keys
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.factory import Facts, Scope
from asset_checks.limits import _judge as judge_limits
from asset_checks.privacy import Column, _of_extracts, _of_tables, finds_in

DAY = date(2026, 3, 10)
ASSET = dg.AssetKey(["kpi", "customer_success", "kpi_nps"])


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    return Scope(LocalStore(tmp_path / "lake"), DuckDBWarehouse(tmp_path / "warehouse.duckdb"), [DAY.isoformat()])


def limited(scope: Scope, rows: list[dict[str, object]], *limits: ValueLimit) -> Facts:
    scope.warehouse.replace_table("kpi.kpi_nps", pa.Table.from_pylist(rows))
    table = TableLimits(name="kpi.kpi_nps", day_column="day", limits=limits)
    (facts,) = judge_limits({ASSET: table})(scope, [ASSET]).values()
    assert isinstance(facts, Facts)
    return facts


def row(promoters: int | None, answers: int, day: date = DAY) -> dict[str, object]:
    return {"day": day, "promoters": promoters, "answers": answers}


SHARE = ValueLimit(name="is_a_share", column="promoters", over="answers", minimum=0, maximum=1)
KNOWN = ValueLimit(name="is_known", column="promoters", max_null_share=0.4)


def test_bounds_are_inclusive_and_nothing_to_divide_by_is_not_judged(scope: Scope) -> None:
    facts = limited(scope, [row(0, 10), row(10, 10), row(3, 0), row(None, 5)], SHARE)
    assert facts.passed
    assert (facts.checked, facts.failed) == (2, 0)


def test_a_ratio_out_of_range_is_told_with_what_was_found(scope: Scope) -> None:
    facts = limited(scope, [row(11, 10), row(-1, 10), row(5, 10)], SHARE)
    assert facts.offenders == ["is_a_share: 2 of 3 rows lie outside of 0 to 1 (found -0.1 to 1.1)"]
    assert facts.failed == 2


def test_only_the_days_of_the_run_are_judged(scope: Scope) -> None:
    assert limited(scope, [row(5, 10), row(99, 10, date(2026, 3, 9))], SHARE).passed


def test_a_share_of_odd_rows_is_allowed_where_the_declaration_says_so(scope: Scope) -> None:
    lenient = SHARE.model_copy(update={"max_share": 0.5})
    rows = [row(20, 10), row(5, 10)]
    assert limited(scope, rows, lenient).passed
    assert not limited(scope, [*rows, row(30, 10)], lenient).passed


def test_too_many_rows_without_a_value_are_told(scope: Scope) -> None:
    assert limited(scope, [row(None, 1), row(1, 1), row(1, 1)], KNOWN).passed
    facts = limited(scope, [row(None, 1), row(None, 1), row(1, 1)], KNOWN)
    assert facts.offenders == ["is_known: 2 of 3 rows have no promoters"]


def test_an_empty_day_breaks_no_limit(scope: Scope) -> None:
    scope.warehouse.replace_table("kpi.kpi_nps", pa.Table.from_pylist([row(1, 1, date(2026, 1, 1))]))
    table = TableLimits(name="kpi.kpi_nps", day_column="day", limits=(SHARE, KNOWN))
    (facts,) = judge_limits({ASSET: table})(scope, [ASSET]).values()
    assert isinstance(facts, Facts)
    assert facts.passed
    assert facts.checked == 0


PRIVATE = ["jan.jansen@example.nl", "+31 20 123 4567", "NL91ABNA0417164300", "192.168.1.20", "Sanne de Vries"]


def searched(scope: Scope, catalog: Catalog, *values: str | None) -> Facts:
    scope.warehouse.replace_table("kpi.kpi_nps", pa.table({"day": [DAY] * len(values), "touchpoint": list(values)}))
    tables = {ASSET: [Column("kpi.kpi_nps", "touchpoint", has_day=True)]}
    judge = _of_tables(tables, catalog.personal_data_patterns, {"Brabant Rental"})
    (facts,) = judge(scope, [ASSET]).values()
    assert isinstance(facts, Facts)
    return facts


def test_a_column_of_codes_holds_no_personal_data(scope: Scope, catalog: Catalog) -> None:
    facts = searched(scope, catalog, "after_event", "onboarding", "after_event", None, "Brabant Rental")
    assert facts.passed
    assert facts.checked == 3
    assert facts.counts["columns"] == 1


@pytest.mark.parametrize("value", PRIVATE)
def test_a_value_that_looks_personal_is_counted_by_column_and_never_shown(
    scope: Scope, catalog: Catalog, value: str
) -> None:
    facts = searched(scope, catalog, "after_event", value)
    assert not facts.passed
    assert facts.failed == 1
    assert facts.offenders[0].startswith("column touchpoint: 1 values look like ")
    assert value not in repr(facts)


def test_the_warehouse_and_python_read_the_patterns_alike(scope: Scope, catalog: Catalog) -> None:
    examples = [
        (each.pattern, value, expected)
        for each in catalog.personal_data_patterns.values()
        for expected, values in ((True, each.finds), (False, each.passes))
        for value in values
    ]
    scope.warehouse.replace_table("kpi.kpi_nps", pa.table({"day": [DAY]}))
    rows = " union all ".join("select ? as pattern, ? as value, ? as expected" for _ in examples)
    sql = f"select value from ({rows}) where regexp_matches(value, pattern) <> expected"
    assert scope.warehouse.query(sql, [each for example in examples for each in example]).num_rows == 0


def test_names_of_tenants_are_those_of_organisations(catalog: Catalog) -> None:
    assert finds_in({"Jan Jansen"}, catalog.personal_data_patterns, {"Jan Jansen"})["person_name"] == 0
    assert finds_in({"Jan Jansen"}, catalog.personal_data_patterns, ())["person_name"] == 1


@pytest.mark.parametrize("value", ["after_event", "jan.jansen@example.nl"])
def test_published_files_are_searched_too(scope: Scope, catalog: Catalog, value: str) -> None:
    dashboard = catalog.dashboards["customer_health"]
    extract = next(each for each in dashboard.extracts if each.name == "nps")
    names = {column.name: [value] for column in extract.columns if column.type == "string"}
    put_day(scope.store, dashboard.name, extract.name, DAY, pa.table({"day": [DAY], **names}))
    asset = keys.extract(dashboard.name, extract.name)
    judge = _of_extracts({asset: (dashboard.name, extract)}, catalog.personal_data_patterns, ())
    (facts,) = judge(scope, [asset]).values()
    assert isinstance(facts, Facts)
    assert facts.passed is (value == "after_event")
    assert value not in repr(facts)
