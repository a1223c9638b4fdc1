"""When the version of an extract has to rise, and what is refused."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog, Extract, load_catalog
from analytics_platform.catalog.dashboards import ExtractColumn, SchemaChange
from analytics_platform.lake.extract_manifest import Column, Schema, read_manifest
from analytics_platform.lake.extracts import PublicationInterruptedError, rewrite_rows
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting.extract_versions import (
    ADDITIVE,
    BREAKING,
    UndeclaredChangeError,
    declared_schema,
    differences,
    next_change,
)
from analytics_platform.reporting.extracts import build_extracts, published_days
from analytics_platform.warehouse import DuckDBWarehouse
from reporting.kpi_tables import LAST_DAY, KpiTables, publish_extract, write_kpi_tables

TODAY = date(2026, 7, 1)
DAY = ExtractColumn(name="day", type="date", pii="none", description="Day.")
TENANT = ExtractColumn(name="tenant_id", type="string", pii="none", description="Tenant.")
VALUE = ExtractColumn(name="value", type="integer", pii="none", description="Value.")
OTHER = ExtractColumn(name="closed_on", type="date", pii="none", description="Day of closing.")
BECAUSE = SchemaChange(kind="breaking", why="The value is net now.")


def extract(*columns: ExtractColumn, version: int = 1, **more: Any) -> Extract:
    return Extract(
        name="mrr", source="kpi.kpi_mrr", description="MRR.", owner="finance", schema_version=version, row_budget=9,
        pii_policy="pseudonymous", columns=columns or (DAY, TENANT, VALUE), **{"day_column": "day", **more},
    )  # fmt: skip


PUBLISHED = declared_schema(extract())
OLD = declared_schema(extract(DAY, TENANT, VALUE, OTHER))

BREAKS = {
    "column value is gone": extract(DAY, TENANT, OTHER),
    "column value is of type number, no longer integer": extract(
        DAY, TENANT, VALUE.model_copy(update={"type": "number"}), OTHER
    ),
    "column value is classed pseudonymous, no longer none": extract(
        DAY, TENANT, VALUE.model_copy(update={"pii": "pseudonymous"}), OTHER
    ),
    "the columns stand in another order": extract(TENANT, DAY, VALUE, OTHER),
    "the day is in closed_on, no longer in day": extract(DAY, TENANT, VALUE, OTHER, day_column="closed_on"),
}


@pytest.mark.parametrize(("text", "changed"), BREAKS.items())
def test_what_breaks_consumers_needs_a_new_version_and_a_reason(text: str, changed: Extract) -> None:
    with pytest.raises(UndeclaredChangeError, match=rf"finance/mrr: {text} since version 1; raise schema_version to 2"):
        next_change(OLD, changed, "finance/mrr", TODAY)
    raised = changed.model_copy(update={"schema_version": 2})
    with pytest.raises(UndeclaredChangeError, match=r"breaks consumers; say why .* changes: \{2: \{kind: breaking"):
        next_change(OLD, raised, "finance/mrr", TODAY)
    soft = raised.model_copy(update={"changes": {2: SchemaChange(kind="additive", why="More.")}})
    with pytest.raises(UndeclaredChangeError, match="breaks consumers"):
        next_change(OLD, soft, "finance/mrr", TODAY)
    change = next_change(OLD, raised.model_copy(update={"changes": {2: BECAUSE}}), "finance/mrr", TODAY)
    assert change is not None
    assert (change.kind, change.changes, change.why, change.on) == (BREAKING, (text,), BECAUSE.why, TODAY)


def test_a_renamed_column_is_one_that_is_gone_and_one_that_is_new() -> None:
    renamed = declared_schema(extract(DAY, TENANT, VALUE.model_copy(update={"name": "amount"})))
    assert [each.kind for each in differences(PUBLISHED, renamed)] == [BREAKING, ADDITIVE]


def test_a_new_column_needs_a_new_version_and_no_reason() -> None:
    more = extract(DAY, OTHER, TENANT, VALUE)
    with pytest.raises(UndeclaredChangeError, match=r"column closed_on \(date, none\) is new .* schema_version to 2"):
        next_change(PUBLISHED, more, "finance/mrr", TODAY)
    change = next_change(PUBLISHED, more.model_copy(update={"schema_version": 2}), "finance/mrr", TODAY)
    assert change is not None
    assert (change.version, change.kind, change.why) == (2, ADDITIVE, "")


def test_a_column_of_a_lower_class_breaks_nobody() -> None:
    was = declared_schema(extract(DAY, TENANT, VALUE.model_copy(update={"pii": "pseudonymous"})))
    change = next_change(was, extract(version=2), "finance/mrr", TODAY)
    assert change is not None
    assert change.kind == ADDITIVE


def test_the_same_columns_may_mean_something_else_once_that_is_said() -> None:
    with pytest.raises(UndeclaredChangeError, match=r"nothing changed since version 1, but schema_version is 2"):
        next_change(PUBLISHED, extract(version=2), "finance/mrr", TODAY)
    change = next_change(PUBLISHED, extract(version=2, changes={2: BECAUSE}), "finance/mrr", TODAY)
    assert change is not None
    assert (change.kind, change.changes) == (BREAKING, ("the same columns mean something else",))


def test_a_version_never_goes_back_and_words_are_no_change() -> None:
    newer = replace(PUBLISHED, version=3)
    with pytest.raises(UndeclaredChangeError, match="newer than 1; set schema_version to at least 3"):
        next_change(newer, extract(), "finance/mrr", TODAY)
    reworded = extract(DAY, TENANT, VALUE.model_copy(update={"description": "Said better."}))
    assert next_change(PUBLISHED, reworded, "finance/mrr", TODAY) is None


columns = st.lists(
    st.builds(
        Column,
        st.sampled_from("abcdef"),
        st.sampled_from(("string", "integer")),
        st.sampled_from(("none", "pseudonymous", "personal")),
        st.just(""),
    ),
    unique_by=lambda column: column.name,
).map(tuple)


@given(columns, columns)
def test_whoever_reads_by_name_is_safe_when_nothing_is_breaking(
    old: tuple[Column, ...], new: tuple[Column, ...]
) -> None:
    found = differences(Schema(1, "a", old), Schema(2, "a", new))
    assert (found == []) == (old == new)
    if all(each.kind == ADDITIVE for each in found):
        now = {column.name: column for column in new}
        assert all(now[column.name].type == column.type for column in old)
        assert [column.name for column in old] == [name for name in now if name in {column.name for column in old}]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    tenants = [load_catalog().tenants["brabant-rental"]]
    return write_kpi_tables(tmp_path / "w.duckdb", KpiTables(tenants, days=5))


def with_mrr(catalog: Catalog, **changes: Any) -> Catalog:
    finance = catalog.dashboards["finance"]
    extracts = tuple(each.model_copy(update=changes) if each.name == "mrr" else each for each in finance.extracts)
    boards = {**catalog.dashboards, "finance": finance.model_copy(update={"extracts": extracts})}
    return catalog.model_copy(update={"dashboards": boards})


def test_an_undeclared_change_publishes_nothing_of_the_dashboard(warehouse: DuckDBWarehouse, store: LocalStore) -> None:
    catalog = load_catalog()
    names = [each.name for each in catalog.dashboards["finance"].extracts]
    build_extracts(warehouse, store, catalog, "finance", names, LAST_DAY, LAST_DAY)
    before = {info.key: store.get(info.key) for info in store.list("")}
    declared = catalog.dashboards["finance"].extracts[0]
    changed = with_mrr(catalog, columns=declared.columns[:-1])
    with pytest.raises(UndeclaredChangeError, match=f"column {declared.columns[-1].name} is gone since version"):
        build_extracts(warehouse, store, changed, "finance", names[::-1], LAST_DAY, LAST_DAY)
    assert {info.key: store.get(info.key) for info in store.list("")} == before


def test_a_breaking_version_is_published_for_all_days_or_without_them_and_stands_in_the_changelog(
    warehouse: DuckDBWarehouse, store: LocalStore
) -> None:
    catalog = load_catalog()
    gone, kept = LAST_DAY - timedelta(4), LAST_DAY - timedelta(3)
    publish_extract(warehouse, store, catalog, "finance", "mrr", gone, LAST_DAY)
    warehouse.remove_rows("kpi.kpi_mrr", "day = ?", [gone])
    declared = catalog.dashboards["finance"].extracts[0]
    old, new = declared.schema_version, declared.schema_version + 1
    changed = with_mrr(catalog, columns=declared.columns[:-1], schema_version=new, changes={new: BECAUSE})
    publish_extract(warehouse, store, changed, "finance", "mrr", LAST_DAY, LAST_DAY)
    manifest = read_manifest(store, "finance")
    assert manifest is not None
    table = manifest.tables["mrr"]
    assert published_days(store, "finance", "mrr") == [kept + timedelta(n) for n in range(4)]
    assert {part.schema_version for part in table.days.values()} == {new}
    assert [(change.version, change.kind) for change in table.changelog] == [(new, "breaking"), (old, "first")]
    text = store.get("extracts/finance/CHANGES.md").decode()
    assert BECAUSE.why in text
    assert f"column {declared.columns[-1].name} is gone" in text


def test_an_extract_that_is_no_longer_declared_is_withdrawn_and_its_objects_go_after_a_day(
    warehouse: DuckDBWarehouse, store: LocalStore
) -> None:
    catalog = load_catalog()
    finance = catalog.dashboards["finance"]
    build_extracts(warehouse, store, catalog, "finance", [each.name for each in finance.extracts], LAST_DAY, LAST_DAY)
    only = catalog.model_copy(
        update={"dashboards": {"finance": finance.model_copy(update={"extracts": finance.extracts[:1]})}}
    )
    publish_extract(warehouse, store, only, "finance", "mrr", LAST_DAY, LAST_DAY)
    manifest = read_manifest(store, "finance")
    assert manifest is not None
    assert list(manifest.tables) == ["mrr"]
    assert "extracts/finance/invoice_collection_rate/invoice_collection_rate.csv" in manifest.superseded


class RemovingWarehouse:
    """A warehouse from which rows are read just before a removal goes by."""

    def __init__(self, warehouse: DuckDBWarehouse, store: LocalStore) -> None:
        self._warehouse, self._store = warehouse, store

    def reading(self) -> AbstractContextManager[None]:
        return self._warehouse.reading()

    def query(self, sql: str, parameters: Any = ()) -> pa.Table:
        answer = self._warehouse.query(sql, parameters)
        if "limit 0" not in sql:
            rewrite_rows(self._store, "finance", "mrr", lambda _: True, lambda _, rows: rows[:0], datetime.now(UTC))
        return answer


def test_rows_that_were_read_before_a_removal_are_not_published_after_it(
    warehouse: DuckDBWarehouse, store: LocalStore
) -> None:
    catalog = load_catalog()
    publish_extract(warehouse, store, catalog, "finance", "mrr", LAST_DAY, LAST_DAY)
    slow: Any = RemovingWarehouse(warehouse, store)
    with pytest.raises(PublicationInterruptedError, match="rows of finance/mrr were removed while it was built"):
        publish_extract(slow, store, catalog, "finance", "mrr", LAST_DAY, LAST_DAY)
    manifest = read_manifest(store, "finance")
    assert manifest is not None
    assert [part.rows for part in manifest.tables["mrr"].days.values()] == [0]
