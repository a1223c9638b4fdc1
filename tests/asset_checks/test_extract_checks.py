from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from published_days import put_day

from analytics_platform.catalog import Extract, load_catalog
from analytics_platform.defs import keys
from analytics_platform.lake.extract_audit import Audit
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.extracts import (
    _manifest_checks,
    columns_are_as_declared,
    judge_manifests,
    manifest_matches_objects,
    places_of,
    rows_are_within_budget,
)
from asset_checks.factory import Facts, Scope


@pytest.fixture
def extract() -> Extract:
    return load_catalog().dashboards["finance"].extracts[0]


def described(extract: Extract) -> list[tuple[str, str, str]]:
    names = {"date": "date32[day]", "integer": "int64", "number": "double", "boolean": "bool", "string": "string"}
    return [(column.name, names[column.type], column.pii) for column in extract.columns]


def test_rows_up_to_the_budget_are_within_it() -> None:
    facts = rows_are_within_budget(5, 5)
    assert facts.passed
    assert facts.counts == {"rows": 5, "row_budget": 5}


def test_a_day_over_budget_says_by_how_much() -> None:
    assert rows_are_within_budget(6, 5).offenders == ["6 rows"]


def test_files_with_the_declared_columns_are_as_declared(extract: Extract) -> None:
    facts = columns_are_as_declared(described(extract), extract)
    assert facts.passed
    assert (facts.checked, facts.failed) == (len(extract.columns), 0)


def test_a_missing_column_and_a_more_private_one_are_breaches(extract: Extract) -> None:
    columns = described(extract)
    name, kind, _ = columns[0]
    for breach in (columns[1:], [(name, kind, "personal"), *columns[1:]]):
        facts = columns_are_as_declared(breach, extract)
        assert not facts.passed
        assert facts.offenders == [name]


def test_columns_in_another_order_are_a_breach(extract: Extract) -> None:
    assert not columns_are_as_declared(described(extract)[::-1], extract).passed


def test_a_manifest_that_matches_says_what_was_read_and_one_that_does_not_names_the_objects() -> None:
    facts = manifest_matches_objects(Audit(366, 2, 1_000, ()))
    assert facts.passed
    assert facts.counts == {"objects": 366, "objects_read_in_full": 2, "bytes": 1_000}
    facts = manifest_matches_objects(Audit(366, 2, 1_000, ("key: is gone",)))
    assert (facts.passed, facts.failed, facts.offenders) == (False, 1, ("key: is gone",))


def test_a_table_that_no_manifest_names_does_not_match() -> None:
    assert not manifest_matches_objects(None).passed


def test_the_check_reads_the_days_of_its_run_in_full_and_looks_for_all_others(tmp_path: Path) -> None:
    catalog = load_catalog()
    store, days = LocalStore(tmp_path), [date(2026, 6, 29), date(2026, 6, 30)]
    keys_of = [put_day(store, "finance", "mrr", day, pa.table({"day": [day], "tenant_id": ["t"]})) for day in days]
    group = _manifest_checks(catalog)
    assert {each.name for each in group.check_specs} == {"manifest_matches_objects"}
    scope = Scope(store, DuckDBWarehouse(tmp_path / "w.duckdb"), [days[1].isoformat()])
    asset = keys.extract("finance", "mrr")

    def judged() -> Facts:
        (found,) = judge_manifests(places_of(catalog), scope, [asset]).values()
        assert isinstance(found, Facts)
        return found

    assert judged().passed
    store.put(keys_of[0], store.get(keys_of[0])[::-1])
    assert judged().passed  # of another day: its size is looked at, and `analytics extracts verify` reads it
    store.delete(keys_of[0])
    assert judged().offenders == (f"{keys_of[0]}: is gone",)
    store.put(keys_of[1], store.get(keys_of[1])[::-1])
    assert len(judged().offenders) == 2
