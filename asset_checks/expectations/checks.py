"""One check per KPI table and extract: `expectations_hold`, all of the dataset's suite in one.

A check per expectation would be a step each, several hundred a night; the result in the lake has each of them, and the
check names those that do not hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg
import pyarrow as pa

from analytics_platform.catalog import Catalog
from analytics_platform.defs.dbt import Manifest
from analytics_platform.errors import AnalyticsError
from analytics_platform.reporting.expectation_results import ExpectationResult, SuiteResult, keep
from asset_checks.expectations import engine
from asset_checks.expectations.rules import Rule, rules_of
from asset_checks.expectations.suites import Suite, load_suites
from asset_checks.expectations.tables import Table, tables_with_suites
from asset_checks.expectations.words import sentence
from asset_checks.factory import Facts, Scope, check

NAME = "expectations_hold"


class ExpectationsNotJudgedError(AnalyticsError):
    """Great Expectations broke off; nothing is known of the data."""


def expectation_checks(catalog: Catalog, manifest: Manifest) -> list[dg.AssetChecksDefinition]:
    """One check per dataset.

    Raises:
        CatalogError: a suite is missing or broken.
    """
    tables = tables_with_suites(catalog, manifest)
    suites = load_suites(catalog, {name: table.column_names for name, table in tables.items()})
    return [_check(table, suites[name]) for name, table in tables.items()]


def evaluate(scope: Scope, table: Table, suite: Suite) -> SuiteResult:
    """Judge a table's rows of the scope's days by its suite."""
    rules = rules_of(suite, table)
    batches = table.read(scope)
    outcomes = [engine.judge(rows, table, suite, rules) for rows in batches]
    rows = _rows_by_day(batches, table)
    first, last = _span(scope, rows)
    formulas = suite.meta.derived_columns
    return SuiteResult(
        dataset=table.dataset,
        first=first,
        last=last,
        has_days=table.day_column is not None,
        evaluated_at=datetime.now(UTC),
        engine=f"Great Expectations {engine.version()}",
        rows=rows if table.day_column else {last: sum(batch.num_rows for batch in batches)},
        expectations=tuple(
            _merged(rule, sentence(rule, formulas), [outcome[rule.id] for outcome in outcomes]) for rule in rules
        ),
    )


def suite_holds(result: SuiteResult) -> Facts:
    """Every expectation of the suite holds; those that do not are named with their days, worst first.

    Raises:
        ExpectationsNotJudgedError: none is known to be broken, but some could not be judged.
    """
    broken = sorted((each for each in result.expectations if each.unexpected), key=lambda each: -each.unexpected)
    unjudged = [each for each in result.expectations if each.error]
    if unjudged and not broken:
        raise ExpectationsNotJudgedError("; ".join(f"{each.id}: {each.error}" for each in unjudged))
    total = len(result.expectations)
    summary = f"{len(broken)} of {total} expectations do not hold"
    if unjudged:
        summary += f", and {len(unjudged)} could not be judged"
    counts = {
        "expectations": total,
        "expectations_broken": len(broken),
        "expectations_not_judged": len(unjudged),
        "rows": sum(result.rows.values()),
    }
    offenders = [line for each in broken for line in _offenders(each)]
    return Facts(not broken, summary, counts, offenders)


def _check(table: Table, suite: Suite) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        result = evaluate(scope, table, suite)
        keep(scope.store, result)
        return suite_holds(result)

    return check(
        table.asset,
        NAME,
        judge,
        description=f"The suite of {table.dataset}, judged by Great Expectations. {suite.notes}",
    )


def _merged(rule: Rule, said: str, outcomes: Sequence[engine.Outcome]) -> ExpectationResult:
    days: Counter[date] = Counter()
    for outcome in outcomes:
        days.update(outcome.days)
    return ExpectationResult(
        id=rule.id,
        sentence=said,
        why=rule.why,
        is_declared=rule.is_declared,
        checked=sum(outcome.checked for outcome in outcomes),
        unexpected=sum(outcome.unexpected for outcome in outcomes),
        days=dict(sorted(days.items())),
        observed="; ".join(dict.fromkeys(outcome.observed for outcome in outcomes if outcome.observed)) or None,
        error="; ".join(dict.fromkeys(outcome.error for outcome in outcomes if outcome.error)) or None,
    )


def _rows_by_day(batches: Sequence[pa.Table], table: Table) -> dict[date, int]:
    rows: Counter[date] = Counter()
    for batch in batches if table.day_column else ():
        for counted in batch[table.day_column].value_counts().to_pylist():
            rows[counted["values"]] += counted["counts"]
    return dict(sorted(rows.items()))


def _span(scope: Scope, rows: dict[date, int]) -> tuple[date, date]:
    if scope.partition_keys:
        return scope.days()
    today = datetime.now(UTC).date()
    return min(rows, default=today), max(rows, default=today)


def _offenders(broken: ExpectationResult) -> list[str]:
    if not broken.days:
        return [f"{broken.id}: {broken.unexpected} of {broken.checked}"]
    worst = sorted(broken.days.items(), key=lambda pair: -pair[1])
    return [f"{day} {broken.id}: {count}" for day, count in worst]
