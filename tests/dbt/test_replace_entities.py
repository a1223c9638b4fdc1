"""Spans are worked out again only for items that something happened to; whatever happened, they equal a build anew."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from fixture import Dbt, Message, message

pytestmark = pytest.mark.integration

MODELS = "+fct_equipment_status_spans"
SPANS = "select equipment_id, span_no, status, started_on, ended_on, claim_count from marts.fct_equipment_status_spans"
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 6)


def registered(item: str, at: str) -> Message:
    return message(
        "equipment.registered",
        at,
        equipment_id=item,
        sku="s",
        category="audio",
        status="available",
        home_warehouse_id="w",
    )


def moved(item: str, at: str, seq: int, status: str) -> Message:
    return message(
        "equipment.status_changed",
        at,
        equipment_id=item,
        from_status="available",
        to_status=status,
        cause="rental",
        status_seq=seq,
    )


OLD = [
    registered("e1", "2026-03-01T08:00:00Z"),
    moved("e1", "2026-03-02T08:00:00Z", 1, "checked_out"),
    registered("e2", "2026-03-02T08:00:00Z"),
    moved("e2", "2026-03-03T08:00:00Z", 1, "in_repair"),
    registered("e3", "2026-03-03T08:00:00Z"),
]
NEW = moved("e1", "2026-03-05T08:00:00Z", 2, "returned")


@pytest.fixture(scope="module")
def old_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dbt = Dbt(tmp_path_factory.mktemp("old_days"))
    dbt.load(OLD)
    dbt.build(FIRST, FIRST + timedelta(days=3), MODELS)
    return dbt.warehouse


@pytest.fixture
def built(old_days: Path, tmp_path: Path) -> Dbt:
    dbt = Dbt(tmp_path)
    shutil.copyfile(old_days, dbt.warehouse)
    return dbt


def anew(folder: Path, facts: list[Message]) -> list[tuple[object, ...]]:
    folder.mkdir()
    dbt = Dbt(folder)
    dbt.load(facts)
    dbt.build_again(FIRST, LAST, MODELS)
    return sorted(dbt.rows(SPANS))


def test_a_day_extends_the_spans_of_its_items_and_leaves_the_others(built: Dbt, tmp_path: Path) -> None:
    with built.writing() as connection:
        connection.execute("update marts.fct_equipment_status_spans set status = 'untouched' where equipment_id = 'e2'")
    built.load([*OLD, NEW])
    built.build_again(date(2026, 3, 5), date(2026, 3, 5), MODELS)
    assert {row[2] for row in built.rows(SPANS) if row[0] == "e2"} == {"untouched"}
    expected = anew(tmp_path / "anew", [*OLD, NEW])
    assert sorted(row for row in built.rows(SPANS) if row[0] != "e2") == [row for row in expected if row[0] != "e2"]


def test_what_staging_lost_is_lost_from_the_spans_whatever_day_is_built_next(built: Dbt, tmp_path: Path) -> None:
    fewer = [fact for fact in OLD if fact is not OLD[1] and fact is not OLD[4]]
    with built.writing() as connection:
        connection.execute("delete from staging.stg_inventory__equipment_status_changed where equipment_id = 'e1'")
        connection.execute("delete from staging.stg_inventory__equipment_registered where equipment_id = 'e3'")
    built.build_again(date(2026, 3, 6), date(2026, 3, 6), "int_equipment_claims fct_equipment_status_spans")
    assert sorted(built.rows(SPANS)) == anew(tmp_path / "anew", fewer)


def test_a_build_that_broke_off_before_the_spans_is_made_up_for_by_the_next(built: Dbt, tmp_path: Path) -> None:
    built.load([*OLD, NEW])
    built.build_again(date(2026, 3, 5), date(2026, 3, 5), "stg_inventory__equipment_status_changed")
    built.build_again(date(2026, 3, 6), date(2026, 3, 6), MODELS)
    assert sorted(built.rows(SPANS)) == anew(tmp_path / "anew", [*OLD, NEW])
