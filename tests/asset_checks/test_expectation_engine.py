"""Great Expectations at work: each kind holds, and fails on the right day; engine errors are no bad data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pyarrow as pa
import pytest
from expectation_house import COLUMNS, FIRST, SECOND, a_suite, a_table, expectation, rows

from analytics_platform.defs.partitions import partitions_from, range_tags
from analytics_platform.lake.store import LocalStore, ObjectStore
from analytics_platform.reporting.expectation_results import standing_results
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse
from asset_checks.expectations import engine
from asset_checks.expectations.checks import ExpectationsNotJudgedError, _checks, evaluate, suite_holds
from asset_checks.expectations.engine import Outcome, judge
from asset_checks.expectations.rules import DTYPES, rules_of, type_rule
from asset_checks.expectations.suites import Expectation, Suite
from asset_checks.expectations.tables import Table, by_columns
from asset_checks.factory import Scope, evaluated

BETWEEN = "expect_column_values_to_be_between"
PAIR = "expect_column_pair_values_a_to_be_greater_than_b"
EQUAL = "expect_column_pair_values_to_be_equal"
IN_SET = "expect_column_values_to_be_in_set"
DAYS = [FIRST.isoformat(), SECOND.isoformat()]


def judged(data: pa.Table, suite: Suite | None = None, table: Table | None = None) -> dict[str, Outcome]:
    suite, table = suite or a_suite(), table or a_table()
    return judge(data, table, suite, rules_of(suite, table))


def scope(store: object = None) -> Scope:
    return Scope(cast("ObjectStore", store), cast("Warehouse", None), DAYS)


def broken(outcomes: dict[str, Outcome]) -> dict[str, dict[date, int]]:
    return {name: dict(outcome.days) for name, outcome in outcomes.items() if outcome.unexpected}


def test_good_rows_hold() -> None:
    outcomes = judged(rows())
    assert broken(outcomes) == {}
    assert all(outcome.not_judged is None for outcome in outcomes.values())
    assert all(outcome.checked > 0 for outcome in outcomes.values())


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        (expectation(BETWEEN, column="planned", min_value=0, max_value=9), {"planned": [5, 2, 10]}),
        (expectation(BETWEEN, column="score", min_value=0), {"score": [1.5, None, -0.1]}),
        (expectation(IN_SET, column="cancelled", value_set=[0, 1, 2]), {"cancelled": [2, 0, 3]}),
        (
            expectation("expect_column_values_to_match_regex", column="tenant_id", regex="^[ab]$"),
            {"tenant_id": ["a", "b", "z"]},
        ),
        (expectation("expect_column_values_to_not_be_null", column="departed"), {"departed": [3, 2, None]}),
        (expectation(PAIR, column_A="planned", column_B="departed", or_equal=True), {"departed": [3, 2, 10]}),
        (expectation(EQUAL, column_A="outcomes", column_B="planned"), {"cancelled": [2, 0, 2]}),
        (
            expectation(
                BETWEEN,
                column="cancelled",
                max_value=1,
                row_condition={"type": "comparison", "column": {"name": "planned"}, "operator": ">", "parameter": 8},
            ),
            {"cancelled": [2, 0, 2]},
        ),
        (
            expectation(
                BETWEEN,
                column="planned",
                min_value=1,
                row_condition={"type": "nullity", "column": {"name": "score"}, "is_null": False},
            ),
            {"planned": [5, 0, 0]},
        ),
    ],
    ids=["limits", "of numbers", "set", "writing", "given", "at least", "sum", "where compared", "where given"],
)
def test_each_kind_holds_on_good_rows_and_names_the_day_of_a_bad_one(
    given: Expectation, changed: dict[str, list[Any]]
) -> None:
    suite = a_suite(given, outcomes="departed + cancelled")
    assert judged(rows(), suite)["it_holds"].unexpected == 0
    bad = judged(rows(**changed), suite)["it_holds"]
    assert (bad.unexpected, dict(bad.days), bad.not_judged) == (1, {SECOND: 1}, None)


@pytest.mark.parametrize(
    ("changed", "name", "days"),
    [
        ({"planned": [5, None, 9]}, "planned_is_given", {FIRST: 1}),
        ({"tenant_id": ["a", "a", "a"]}, "no_row_is_there_twice", {FIRST: 2}),
        ({"tenant_id": ["a", "b", "stranger"]}, "tenant_is_registered", {SECOND: 1}),
        ({"day": [FIRST, FIRST, FIRST], "tenant_id": ["a", "b", "a"]}, "rows_of_a_day_are_within_budget", {FIRST: 3}),
    ],
)
def test_what_is_declared_is_expected_too(changed: dict[str, list[Any]], name: str, days: dict[date, int]) -> None:
    assert broken(judged(rows(**changed)))[name] == days


def test_what_is_said_of_no_rows_at_all_without_the_engine_is_what_the_engine_says() -> None:
    pair = expectation(PAIR, column_A="planned", column_B="departed", or_equal=True)
    table, suite, none = a_table(), a_suite(pair, outcomes="departed + cancelled"), rows().slice(0, 0)
    rules = [rule for rule in rules_of(suite, table) if rule.is_about_rows]
    batch = engine._Batch(none, table, suite)
    batch.judge_columns([])
    answers = batch.validate(rules, engine._COUNTS)
    asked = {rule.id: batch.outcome(rule, answers[rule.id], None) for rule in rules}
    said = judged(none, suite)
    assert {name: said[name] for name in asked} == asked
    assert {rule.type for rule in rules} > {PAIR, BETWEEN, IN_SET, "expect_compound_columns_to_be_unique"}


def test_no_rows_without_a_column_are_bad_data() -> None:
    outcomes = judged(rows().slice(0, 0).drop_columns(["departed"]))
    assert outcomes["columns_are_declared"].unexpected == 1
    assert outcomes["departed_is_given"].not_judged == "departed is missing"


def test_rows_with_the_same_empty_key_are_the_same() -> None:
    suite = a_suite().model_copy(update={"meta": a_suite().meta.model_copy(update={"grain": ("day", "name")})})
    assert broken(judged(rows(name=[None, None, "x"]), suite))["no_row_is_there_twice"] == {FIRST: 2}


def test_empty_values_are_left_to_the_expectation_that_they_are_given() -> None:
    suite = a_suite(expectation(PAIR, column_A="planned", column_B="departed", or_equal=True))
    outcomes = judged(rows(departed=[3, None, 8]), suite)
    assert (outcomes["it_holds"].checked, outcomes["it_holds"].unexpected) == (2, 0)
    assert outcomes["departed_is_given"].unexpected == 1


def test_whole_numbers_beyond_floating_point_are_compared_exactly() -> None:
    big = 2**53
    suite = a_suite(expectation(EQUAL, column_A="outcomes", column_B="planned"), outcomes="departed + cancelled")
    data = rows(planned=[big + 1, 2, 9], departed=[big, 2, 8], cancelled=[0, 0, 1])
    assert broken(judged(data, suite))["it_holds"] == {FIRST: 1}


def test_a_missing_column_is_bad_data_and_what_needs_it_is_not_judged() -> None:
    suite = a_suite(expectation(EQUAL, column_A="outcomes", column_B="planned"), outcomes="departed + cancelled")
    outcomes = judged(rows().drop_columns(["departed"]), suite)
    assert outcomes["columns_are_declared"].observed == "missing departed"
    assert outcomes["columns_are_declared"].days == {FIRST: 1, SECOND: 1}
    assert outcomes["it_holds"].not_judged == "departed is missing"
    assert not any(outcome.is_engine_error for outcome in outcomes.values())


def test_another_type_is_bad_data_and_what_needs_it_is_not_judged() -> None:
    data = rows().set_column(3, "planned", pa.array(["5", "2", "9"]))
    outcomes = judged(data)
    assert (outcomes["planned_has_its_type"].unexpected, outcomes["planned_has_its_type"].observed) == (2, "string")
    assert "another type" in str(outcomes["it_holds"].not_judged)
    assert not outcomes["it_holds"].is_engine_error


def test_an_answer_about_two_types_is_the_engines_answer_about_any_column_of_them() -> None:
    frame = engine.as_pandas(rows())
    frame["text"] = frame["tenant_id"].astype(object)
    rules = [type_rule(name, dtype) for name in frame.columns for dtype in DTYPES.values()]
    for rule in rules:
        asked = engine._validated(frame, [rule], engine._COUNTS)[rule.id]
        told = engine._type_answer(rule.kwargs["type_"], frame.dtypes[rule.kwargs["column"]])
        assert (told["success"], told["result"]) == (asked["success"], asked["result"])
        assert engine.engine_error(told) == engine.engine_error(asked)
    assert {rule.kwargs["type_"] for rule in rules} >= {str(dtype) for dtype in engine.as_pandas(rows()).dtypes}


def test_one_column_too_many_is_told() -> None:
    data = rows().append_column("extra", pa.array([1, 2, 3]))
    assert judged(data)["columns_are_declared"].observed == "not declared extra"


def test_a_day_with_other_columns_does_not_spoil_the_others() -> None:
    first, second = rows().slice(0, 2), rows().slice(2).drop_columns(["cancelled"])
    result = evaluate(scope(), a_table(lambda _: by_columns([first, second])), a_suite())
    facts = suite_holds(result, [FIRST, SECOND])
    assert [facts[day].passed for day in DAYS] == [True, False]
    assert facts[DAYS[1]].offenders == ["columns_are_declared: 1"]


def test_a_table_without_days_is_judged_as_a_whole() -> None:
    suite = a_suite(expectation(BETWEEN, column="planned", max_value=8))
    result = evaluate(scope(), a_table(day_column=None, row_budget=None), suite)
    facts = suite_holds(result, [FIRST, SECOND])
    assert [facts[day].offenders for day in DAYS] == [["it_holds: 1"], ["it_holds: 1"]]
    assert result.rows == {SECOND: 3}


def test_a_day_without_rows_holds() -> None:
    facts = suite_holds(evaluate(scope(), a_table(lambda _: [rows().slice(0, 2)]), a_suite()), [FIRST, SECOND])
    assert [(facts[day].passed, facts[day].counts["rows"]) for day in DAYS] == [(True, 2), (True, 0)]


def test_an_engine_error_is_told_from_bad_data() -> None:
    suite = a_suite(expectation(BETWEEN, column="tenant_id", min_value=0))
    outcome = judged(rows(), suite)["it_holds"]
    assert outcome.is_engine_error
    assert "same type" in str(outcome.not_judged)
    assert (outcome.checked, outcome.unexpected) == (0, 0)


def test_a_check_whose_engine_broke_off_could_not_run_and_says_what_else_is_wrong() -> None:
    suite = a_suite(
        expectation(BETWEEN, column="tenant_id", min_value=0),
        expectation(BETWEEN, id="few_are_planned", column="planned", max_value=1),
    )

    def run(scope: Scope) -> Any:
        return suite_holds(evaluate(scope, a_table(), suite), [FIRST, SECOND])

    with pytest.raises(ExpectationsNotJudgedError, match="it_holds"):
        run(scope())
    told = evaluated(run, scope(), severity=cast("Any", None), dimension="validity").result
    assert told.metadata["could_not_run"].value is True
    assert "1 expectations do not hold" in str(told.description)


def test_both_shapes_of_an_engine_error_are_read() -> None:
    assert engine.engine_error({"exception_info": {"raised_exception": True, "exception_message": "no"}}) == "no"
    nested = {"metric": {"raised_exception": True, "exception_message": "no", "exception_traceback": ""}}
    assert engine.engine_error({"exception_info": nested}) == "no"
    assert engine.engine_error({"exception_info": {"raised_exception": False, "exception_message": None}}) is None


def test_nothing_is_told_of_the_values_of_a_personal_column() -> None:
    personal = tuple(column for column in COLUMNS if column.name != "planned")
    personal += (type(COLUMNS[0])("planned", "integer", is_personal=True),)
    suite = a_suite(
        expectation(BETWEEN, column="planned", min_value=0),
        expectation(BETWEEN, id="breaks", column="name", min_value=0),
    )
    outcomes = judged(rows(), suite, a_table(columns=personal))
    assert outcomes["it_holds"].observed is None
    assert outcomes["breaks"].is_engine_error
    assert outcomes["breaks"].not_judged == "the engine broke off on a personal column, so its message is not shown"
    assert judged(rows())["it_holds"].observed == "2 to 9"


def test_the_checks_of_a_layer_keep_their_results_and_answer_by_day_and_one_that_breaks_off_leaves_the_others_alone(
    tmp_path: Path,
) -> None:
    store = LocalStore(tmp_path)
    partitions = partitions_from(FIRST, "Europe/Amsterdam")
    broken_off = a_suite(expectation(BETWEEN, column="tenant_id", min_value=0))
    other = replace(a_table(), asset=dg.AssetKey(["kpi", "kpi_broken_off"]), dataset="kpi.kpi_broken_off")
    example_table = a_table(lambda _: [rows(planned=[5, 2, -9])])
    suites = {other.asset: (other, broken_off), example_table.asset: (example_table, a_suite())}
    made = _checks("kpi", suites, partitions)

    @dg.multi_asset(
        specs=[dg.AssetSpec(key, partitions_def=partitions.day) for key in suites],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def examples() -> Iterator[dg.MaterializeResult[None]]:
        for key in suites:
            yield dg.MaterializeResult(asset_key=key)

    resources = {"store": store, "warehouse": DuckDBWarehouse(tmp_path / "warehouse.duckdb")}
    definitions = dg.Definitions([examples], asset_checks=[made], resources=resources)
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        ran = job.execute_in_process(tags=range_tags(*DAYS), instance=instance)
    summaries = {each.asset_key: each for each in ran.get_asset_check_evaluations()}
    assert summaries[other.asset].metadata["could_not_run"].value is True
    summary = summaries[example_table.asset]
    assert not summary.passed
    assert DAYS[1] in str(summary.description)
    (kept, days), *_ = standing_results(store, "kpi.kpi_example", FIRST, SECOND)
    assert days == [FIRST, SECOND]
    assert next(line for line in kept.expectations if line.id == "it_holds").days == {SECOND: 1}


def test_judging_needs_no_network_and_leaves_no_files(tmp_path: Path) -> None:
    code = """
import socket, sys
tried = []
def refuse(self, address): tried.append(address); raise OSError("no network")
socket.socket.connect = refuse
socket.getaddrinfo = lambda *given, **named: refuse(None, given)
from expectation_house import a_suite, a_table, rows
from asset_checks.expectations import engine
from asset_checks.expectations.rules import DTYPES, rules_of, type_rule
outcomes = engine.judge(rows(), a_table(), a_suite(), rules_of(a_suite(), a_table()))
context = engine._definition().data_asset.datasource.data_context
print(len(outcomes) > 10, tried, context.config.analytics_enabled)
"""
    here = Path(__file__).parent
    environment = {"HOME": str(tmp_path), "PYTHONPATH": f"{here.parents[1]}:{here}", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout.splitlines()[-1:] == ["True [] False"], ran.stderr
    assert "Calculating" not in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == []
