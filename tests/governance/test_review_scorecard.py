"""What a scorecard counts, what it leaves out, and what it calls not measured."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from review_tables import Tables, evaluation, failing, quarter_of_rows, small_catalog

from analytics_platform.catalog import Catalog, Waiver
from analytics_platform.governance.review.content import Cell, Content, Rule
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.governance.review.scorecard import DIMENSIONS

AUGUST = date(2026, 8, 10)
CHECK = "mrr_movements_reconcile"


def cell(content: Content, dimension: str = "consistency", dataset: str = "kpi.kpi_mrr") -> Cell:
    (found,) = [each for each in content.scorecard.cells if (each.dataset, each.dimension) == (dataset, dimension)]
    return found


def rule(content: Content, check: str = CHECK) -> Rule:
    (found,) = [each for each in content.scorecard.rules if each.check == check]
    return found


def waiver(**changed: Any) -> dict[str, Waiver]:
    said = {
        "name": "known",
        "dataset": "kpi.kpi_mrr",
        "check": CHECK,
        "reason": "A price was wrong",
        "approved_by": "Head of Finance Control",
        "approved_on": "2026-08-01",
        "expires_on": "2026-08-31",
    }
    return {"known": Waiver.model_validate({**said, **changed})}


def test_every_dataset_has_a_cell_in_each_of_the_six_dimensions(tables: Tables, declared: Catalog) -> None:
    cells = tables.content(declared).scorecard.cells
    assert {(each.dataset, each.dimension) for each in cells} == {
        (dataset, dimension) for dataset in declared.datasets for dimension in DIMENSIONS
    }


def test_what_no_check_judged_is_not_measured_and_has_no_number(tables: Tables, declared: Catalog) -> None:
    found = cell(tables.content(declared), "timeliness")
    assert (found.standing, found.reason) == ("not measured", "no check judged it")
    assert {found.judged, found.failing, found.checked, found.failed, found.threshold, found.change_points} == {None}


def test_without_check_results_everything_is_not_measured_with_the_reason(tmp_path: Path, declared: Catalog) -> None:
    tables = Tables(tmp_path / "w.duckdb", without=["ops.check_results"])
    cells = tables.content(declared).scorecard.cells
    assert {each.standing for each in cells} == {"not measured"}
    assert {each.reason for each in cells} == {"the table ops.check_results does not exist"}


def test_units_and_partitions_of_the_quarter_add_up(tables: Tables, declared: Catalog) -> None:
    found = cell(tables.content(declared))
    assert (found.standing, found.judged, found.failing) == ("holds", 92, 0)
    assert (found.checked, found.failed) == (92 * 40, 0)


def test_days_beside_the_quarter_do_not_count(tables: Tables, declared: Catalog) -> None:
    before = tables.content(declared).scorecard
    tables.add("ops.check_results", failing(date(2026, 6, 30)), failing(date(2026, 10, 1)))
    assert tables.content(declared).scorecard == before


def test_a_tenants_partition_counts_by_its_day(tables: Tables, declared: Catalog) -> None:
    tables.add("ops.check_results", failing(AUGUST, partition="2026-08-10|albion-stage"))
    assert cell(tables.content(declared)).failing == 1


def test_a_failure_that_was_repaired_holds_and_is_still_told(tables: Tables, declared: Catalog) -> None:
    late = {"evaluated_at": evaluation(AUGUST + timedelta(2))["evaluated_at"]}
    tables.add("ops.check_results", failing(AUGUST), evaluation(AUGUST, **late))
    found = rule(tables.content(declared))
    assert (found.failing, found.judged, found.times_failed) == (0, 92, 1)
    assert found.last_failed_on == AUGUST + timedelta(1)


def test_a_summary_does_not_count_beside_its_partitions(tables: Tables, declared: Catalog) -> None:
    before = tables.content(declared).scorecard
    tables.add("ops.check_results", failing(AUGUST, partition=None))
    assert tables.content(declared).scorecard == before


def test_a_check_without_partitions_counts_by_the_day_of_its_evaluation(tables: Tables, declared: Catalog) -> None:
    tables.add(
        "ops.check_results",
        failing(date(2026, 9, 29), "keyed", partition=None),
        failing(date(2026, 9, 30), "keyed", partition=None),
    )
    found = rule(tables.content(declared), "keyed")
    assert (found.judged, found.failing, found.last_failed_on) == (1, 1, date(2026, 9, 30))


def test_a_check_that_could_not_run_judges_nothing(tables: Tables, declared: Catalog) -> None:
    tables.add("ops.check_results", failing(AUGUST, "engine", could_not_run=True, dimension="validity"))
    content = tables.content(declared)
    assert (rule(content, "engine").judged, rule(content, "engine").could_not_run) == (0, 1)
    assert cell(content, "validity").reason == "its checks could not run"


def test_a_warning_that_fails_is_told_apart_from_an_error(tables: Tables, declared: Catalog) -> None:
    tables.add("ops.check_results", failing(AUGUST, "drift", severity="WARN", dimension="validity"))
    assert cell(tables.content(declared), "validity").standing == "warns"
    tables.add("ops.check_results", failing(AUGUST, "limits", dimension="validity"))
    assert cell(tables.content(declared), "validity").standing == "fails"


def test_the_strictest_threshold_of_a_cell_is_shown(tables: Tables, declared: Catalog) -> None:
    for name, threshold in (("a", 0.05), ("b", 0.01)):
        tables.add("ops.check_results", evaluation(AUGUST, name, threshold=threshold, dimension="validity"))
    assert cell(tables.content(declared), "validity").threshold == 0.01


def test_a_waiver_excuses_what_was_evaluated_while_it_held(tables: Tables, catalog: Catalog) -> None:
    tables.add("ops.check_results", failing(AUGUST))
    content = tables.content(small_catalog(catalog, waivers=waiver()))
    assert (cell(content).standing, cell(content).waived) == ("waived", 1)
    assert [(row.name, row.excused, row.has_expired) for row in content.waivers] == [("known", 1, True)]


@pytest.mark.parametrize(
    "other",
    [
        {"expires_on": "2026-08-10"},  # the evaluation is of the 11th
        {"approved_on": "2026-08-12"},
        {"check": "another"},
        {"dataset": "ops.ledger"},
    ],
)
def test_a_waiver_that_has_expired_or_is_of_something_else_excuses_nothing(
    tables: Tables, catalog: Catalog, other: dict[str, str]
) -> None:
    tables.add("ops.check_results", failing(AUGUST))
    content = tables.content(small_catalog(catalog, waivers=waiver(**other)))
    assert (cell(content).standing, cell(content).waived) == ("fails", 0)


def test_what_fails_after_a_waiver_has_expired_is_told_beside_it(tables: Tables, catalog: Catalog) -> None:
    tables.add("ops.check_results", failing(date(2026, 9, 20)))
    (row,) = tables.content(small_catalog(catalog, waivers=waiver())).waivers
    assert (row.excused, row.failing_after_expiry) == (0, 1)


def test_waivers_of_other_quarters_are_not_shown(tables: Tables, catalog: Catalog) -> None:
    old = waiver(approved_on="2026-03-01", expires_on="2026-06-30")
    assert tables.content(small_catalog(catalog, waivers=old)).waivers == ()


def test_a_change_is_told_over_the_rules_that_both_quarters_had(tmp_path: Path, declared: Catalog) -> None:
    spring = Tables(tmp_path / "q2.duckdb")
    quarter_of_rows(spring, date(2026, 4, 1), 91)
    spring.add("ops.check_results", *(failing(date(2026, 4, 1) + timedelta(n), "old") for n in range(9)))
    previous = spring.content(declared, quarter=Quarter(2026, 2))
    summer = Tables(tmp_path / "q3.duckdb")
    quarter_of_rows(summer, date(2026, 7, 1))
    summer.add("ops.check_results", failing(AUGUST), failing(AUGUST, "new"))
    found = cell(summer.content(declared, previous))
    assert (found.rules, found.common_rules) == (2, 1)
    assert found.change_points == pytest.approx(100 / 92, abs=0.01)  # of the rule that both had: 1 of 92 now, none then


def test_a_rule_with_another_threshold_is_no_common_rule(tmp_path: Path, declared: Catalog) -> None:
    found = []
    for threshold in (0.1, 0.2):
        tables = Tables(tmp_path / f"{threshold}.duckdb")
        tables.add("ops.check_results", evaluation(AUGUST, "limits", threshold=threshold))
        found.append(tables)
    previous = found[0].content(declared)
    assert cell(found[1].content(declared, previous)).common_rules == 0
    assert cell(found[0].content(declared, previous)).common_rules == 1
