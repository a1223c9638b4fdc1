import pytest

from analytics_platform.catalog import Extract, load_catalog
from asset_checks.extracts import columns_are_as_declared, rows_are_within_budget


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
