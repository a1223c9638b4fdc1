"""Each rule of the verdicts on a quarter that it objects to and on one that it does not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from review_tables import DDL, Tables, failing, incident, promise, small_catalog

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.build import Previous, QuarterNotBegunError, review_content
from analytics_platform.governance.review.content import Content, Verdict
from analytics_platform.governance.review.quarters import Quarter
from analytics_platform.governance.review.verdicts import RULES

DAY = date(2026, 8, 10)
DRIFT = {
    "ops.retention_runs": ("day date, rows_deleted bigint, rows_surviving bigint", "12, 0"),
    "ops.erasures": ("day date, state text", "'verified'"),
    "ops.access_drift": ("day date, extra_privileges bigint, missing_privileges bigint", "0, 0"),
}


def verdict(content: Content, domain: str = "finance") -> Verdict:
    return next(each for each in content.verdicts if each.domain == domain)


def codes(content: Content, domain: str = "finance") -> set[str]:
    return {reason.rule for reason in verdict(content, domain).reasons}


def with_drift(tables: Tables) -> None:
    for table, (columns, values) in DRIFT.items():
        tables.run(f"create table {table} ({columns})")
        tables.run(f"insert into {table} values (date '2026-08-10', {values})")


def test_where_no_rule_objects_the_answer_is_yes(tables: Tables, declared: Catalog) -> None:
    found = verdict(tables.content(declared))
    assert (found.answer, found.reasons) == ("yes", ())
    assert (found.datasets, found.measured_datasets) == (1, 1)
    assert "Can Finance rely" in found.question


def test_the_gravest_rule_decides_and_every_rule_that_applies_is_a_reason(tables: Tables, declared: Catalog) -> None:
    tables.add("ops.check_results", failing(DAY, "limits", severity="WARN"))
    assert verdict(tables.content(declared)).answer == "with reservations"
    tables.add("ops.check_results", failing(DAY))
    found = verdict(tables.content(declared))
    assert found.answer == "no"
    assert {reason.rule for reason in found.reasons} == {"N1", "R2"}


OPEN = {"recovered_at": None, "status": "open"}


@pytest.mark.parametrize(
    ("code", "table", "row"),
    [
        ("N1", "ops.check_results", failing(DAY)),
        ("N3", "ops.incidents", incident(1, DAY, **OPEN)),
        ("R2", "ops.check_results", failing(DAY, "drift", severity="WARN")),
        ("R4", "ops.check_results", failing(DAY, "engine", could_not_run=True)),
        ("R10", "ops.incidents", incident(1, DAY, severity="warning", **OPEN)),
        ("R10", "ops.incidents", incident(1, DAY, cause=None)),
    ],
)
def test_a_row_that_a_rule_objects_to_is_its_reason_in_that_domain_alone(
    tables: Tables, declared: Catalog, code: str, table: str, row: dict[str, object]
) -> None:
    tables.add(table, row)
    content = tables.content(declared)
    assert codes(content) == {code}
    assert code not in codes(content, "data_platform")


@pytest.mark.parametrize(
    "row",
    [
        incident(1, DAY),
        incident(1, DAY, severity="info", cause=None, **OPEN),
        incident(1, date(2026, 6, 1)),
        incident(1, DAY, owner="growth", **OPEN),
    ],
)
def test_incidents_that_are_over_or_slight_or_anothers_leave_the_answer_yes(
    tables: Tables, declared: Catalog, row: dict[str, object]
) -> None:
    tables.add("ops.incidents", row)
    assert verdict(tables.content(declared)).answer == "yes"


def test_a_control_total_that_is_a_cent_off_means_no_for_who_owns_the_money(tables: Tables, declared: Catalog) -> None:
    tables.run("update kpi.kpi_mrr set mrr_minor = mrr_minor + 1")
    content = tables.content(declared)
    assert (verdict(content).answer, codes(content)) == ("no", {"N2"})
    assert "N2" not in codes(content, "data_platform")


@pytest.mark.parametrize(("broken", "code"), [(1, None), (2, "R6"), (18, "R6"), (19, "N4")])
def test_promises_below_99_percent_are_a_reservation_and_below_90_a_no(
    tables: Tables, declared: Catalog, broken: int, code: str | None
) -> None:
    tables.run(f"update ops.sla_attainment set is_attained = rowid >= {broken}")  # of 184
    assert codes(tables.content(declared)) == ({code} if code else set())


def test_a_promise_that_was_not_due_counts_nowhere(tables: Tables, declared: Catalog) -> None:
    before = tables.content(declared).promises
    tables.add("ops.sla_attainment", promise(DAY, "noord-rigging", None, reason="nothing_expected"))
    assert tables.content(declared).promises == before


def test_the_tenant_whose_promises_were_kept_least_is_named(tables: Tables, declared: Catalog) -> None:
    tables.run(
        "update ops.sla_attainment set is_attained = false where tenant_id = 'albion-stage' and day < '2026-07-04'"
    )
    (kind,) = tables.content(declared).promises.kinds
    assert (kind.worst_tenant, kind.worst_due, kind.worst_attained) == ("albion-stage", 92, 89)
    assert (kind.due, kind.attained) == (184, 181)


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("ops.check_results", "N5"),
        ("ops.sla_attainment", "R8"),
        ("ops.incidents", "R9"),
        ("kpi.kpi_mrr", "R7"),
        ("marts.fx_rates", "R7"),
        ("raw.billing", "R7"),
    ],
)
def test_a_missing_table_is_not_measured_with_the_reason_and_never_yes(
    tables: Tables, declared: Catalog, table: str, code: str
) -> None:
    tables.run(f"drop table {table}")
    content = tables.content(declared)
    assert code in codes(content)
    (state,) = [each for each in content.sources if each.table == table]
    assert state.missing == f"the table {table} does not exist"


def test_a_table_without_a_column_is_not_measured_and_names_it(tables: Tables, declared: Catalog) -> None:
    tables.run("alter table ops.incidents drop column cause")
    content = tables.content(declared)
    assert content.incidents.missing == "the table ops.incidents has no column cause"
    assert codes(content) == {"R9"}


def test_every_table_that_the_review_declares_is_one_that_these_tests_know(tables: Tables, declared: Catalog) -> None:
    assert {state.table for state in tables.content(declared).sources} == set(DDL)


def test_a_dataset_with_a_promise_that_nobody_measured_is_a_reservation(tables: Tables, catalog: Catalog) -> None:
    names = ("kpi.kpi_mrr", "kpi.kpi_receivables")
    content = tables.content(small_catalog(catalog, datasets={name: catalog.datasets[name] for name in names}))
    (reason,) = verdict(content).reasons
    assert (reason.rule, reason.saw) == ("R5", "1 of 2 datasets with a promise: kpi.kpi_receivables")


def test_a_running_quarter_is_a_preview(tables: Tables, declared: Catalog) -> None:
    from review_tables import at

    nothing = Previous(None, "there is no review of 2026Q2")
    warehouse, zone = tables.warehouse, "Europe/Amsterdam"
    content, _ = review_content(
        warehouse, declared, Quarter(2026, 3), nothing, time_zone=zone, now=at(date(2026, 8, 11))
    )
    assert (content.scope.as_of, content.scope.is_over) == (date(2026, 8, 10), False)
    assert "R1" in codes(content)
    with pytest.raises(QuarterNotBegunError, match="2026Q4"):
        review_content(warehouse, declared, Quarter(2026, 4), nothing, time_zone=zone, now=at(date(2026, 10, 1)))


def test_retention_erasure_and_access_are_not_measured_until_their_tables_are_there(
    tables: Tables, declared: Catalog
) -> None:
    content = tables.content(declared)
    assert {figure.value for figure in content.drift} == {None}
    assert {figure.missing for figure in content.drift} == {f"the table {table} does not exist" for table in DRIFT}
    assert codes(content, "data_platform") >= {"R11"}
    with_drift(tables)
    content = tables.content(declared)
    assert {figure.name: figure.value for figure in content.drift}["rows deleted because their time was over"] == 12
    assert "R11" not in codes(content, "data_platform")


@pytest.mark.parametrize(
    "finding",
    [
        "update ops.retention_runs set rows_surviving = 1",
        "update ops.erasures set state = 'failed'",
        "update ops.access_drift set extra_privileges = 1",
        "update ops.access_drift set missing_privileges = 1",
        "delete from ops.access_drift",
    ],
)
def test_what_retention_erasure_or_access_found_is_a_reservation(
    tables: Tables, declared: Catalog, finding: str
) -> None:
    with_drift(tables)
    tables.run(finding)
    assert "R11" in codes(tables.content(declared), "data_platform")


def test_the_rules_stand_in_the_review_as_they_were_applied(tables: Tables, declared: Catalog) -> None:
    stated = tables.content(declared).method.rules
    assert [(rule.code, rule.answer) for rule in stated] == [(rule.code, rule.answer) for rule in RULES]
    assert len({rule.code for rule in stated}) == len(RULES)


def test_without_a_single_table_every_domain_is_told_no(tmp_path: Path, declared: Catalog) -> None:
    content = Tables(tmp_path / "w.duckdb", without=list(DDL)).content(declared)
    assert {each.answer for each in content.verdicts} == {"no"}
