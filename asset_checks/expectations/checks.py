"""One check per KPI table and extract: `expectations_hold`, all of the dataset's suite in one.

A check per expectation would be several hundred a night; the result in the lake has each of them, and the check names
those that do not hold. The suites of a layer are judged in one step; one that breaks off leaves the others alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest
from analytics_platform.defs.partitions import Partitions
from analytics_platform.errors import AnalyticsError
from analytics_platform.reporting.expectation_report import PAGE_KEY
from analytics_platform.reporting.expectation_results import ExpectationResult, SuiteResult, keep
from asset_checks.expectations import engine
from asset_checks.expectations.rules import Rule, rules_of
from asset_checks.expectations.suites import Suite, load_suites
from asset_checks.expectations.tables import Table, tables_with_suites
from asset_checks.expectations.words import sentence
from asset_checks.factory import Facts, Scope, check
from asset_checks.grouped import Found, Told, check_group
from asset_checks.published import pages_are_self_contained

NAME = "expectations_hold"

Judged = Mapping[dg.AssetKey, tuple[Table, Suite]]


class ExpectationsNotJudgedError(AnalyticsError):
    """Great Expectations broke off; nothing is known of the data."""


def expectation_checks(
    catalog: Catalog, manifest: Manifest, partitions: Partitions, extension: Path | None = None
) -> list[dg.AssetChecksDefinition]:
    """One check per dataset, and those of the page that shows the results.

    Args:
        catalog: declares the datasets.
        manifest: gives the columns of KPI tables.
        partitions: of the checks.
        extension: the folder of a deployment's own suites.

    Raises:
        CatalogError: a suite is missing or broken.
    """
    tables = tables_with_suites(catalog, manifest)
    columns = {name: table.column_names for name, table in tables.items()}
    suites = load_suites(catalog, columns, extension=extension)
    judged = {table.asset: (table, suites[name]) for name, table in tables.items()}
    return [*(_checks(layer, of_layer, partitions) for layer, of_layer in _by_layer(judged).items()), _page_check()]


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
        notes=suite.notes,
        has_days=table.day_column is not None,
        evaluated_at=datetime.now(UTC),
        engine=f"Great Expectations {engine.version()}",
        rows=rows if table.day_column else {last: sum(batch.num_rows for batch in batches)},
        expectations=tuple(
            _merged(rule, sentence(rule, formulas), [outcome[rule.id] for outcome in outcomes]) for rule in rules
        ),
    )


def suite_holds(result: SuiteResult, days: Sequence[date] | None = None) -> dict[str, Facts]:
    """By day, whether every expectation of the suite holds; those that do not are named, worst first.

    A table whose rows are of no day stands for each day as it is.

    Args:
        result: of the suite.
        days: to be told of; None for those that have rows.

    Raises:
        ExpectationsNotJudgedError: the engine broke off on an expectation.
    """
    errors = [f"{each.id}: {each.not_judged}" for each in result.expectations if each.is_engine_error]
    if errors:
        broken = sum(each.unexpected > 0 for each in result.expectations)
        also = f"; besides, {broken} expectations do not hold" if broken else ""
        raise ExpectationsNotJudgedError("; ".join(errors) + also)
    return {day.isoformat(): _facts_of_day(result, day) for day in days or result.rows}


def _facts_of_day(result: SuiteResult, day: date) -> Facts:
    broken = {each.id: each.days.get(day, 0) if each.days else each.unexpected for each in result.expectations}
    broken = {name: count for name, count in sorted(broken.items(), key=lambda pair: -pair[1]) if count}
    waiting = sum(each.not_judged is not None for each in result.expectations)
    total = len(result.expectations)
    summary = f"{len(broken)} of {total} expectations do not hold"
    if waiting:
        summary += f", and {waiting} could not be judged because of that"
    counts = {
        "rows": result.rows.get(day, 0) if result.has_days else sum(result.rows.values()),
        "broken_rows": sum(broken.values()),
        "not_judged": waiting,
    }
    offenders = [f"{name}: {count}" for name, count in broken.items()]
    return Facts(not broken, summary, counts, offenders, total, len(broken))


def _by_layer(judged: Judged) -> dict[str, Judged]:
    layers: dict[str, dict[dg.AssetKey, tuple[Table, Suite]]] = defaultdict(dict)
    for asset, pair in judged.items():
        layers[keys.layer(asset)][asset] = pair
    return dict(layers)


def _checks(layer: str, judged: Judged, partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        return {dg.AssetCheckKey(asset, NAME): _judged(scope, *judged[asset]) for asset in sorted(assets)}

    told = Told(
        NAME,
        lambda asset: (
            f"The suite of {judged[asset][0].dataset}, judged by Great Expectations. {judged[asset][1].notes}"
        ),
        "validity",
        dg.AssetCheckSeverity.ERROR,
    )
    return check_group(f"{layer}_expectations", [told], list(judged), judge, partitions_def=partitions.day)


def _judged(scope: Scope, table: Table, suite: Suite) -> dict[str, Facts] | Exception:
    """Facts by day, or why there are none: that a suite breaks off says nothing of the next."""
    try:
        result = evaluate(scope, table, suite)
        keep(scope.store, result)
        return suite_holds(result, [date.fromisoformat(key) for key in scope.partition_keys or ()] or None)
    except Exception as error:  # noqa: BLE001  the group tells it as a check that could not run
        return error


def _merged(rule: Rule, said: str, outcomes: Sequence[engine.Outcome]) -> ExpectationResult:
    days: Counter[date] = Counter()
    for outcome in outcomes:
        days.update(outcome.days)
    return ExpectationResult(
        id=rule.id,
        sentence=said,
        why=rule.why,
        is_declared=rule.is_declared,
        is_about_rows=rule.is_about_rows,
        checked=sum(outcome.checked for outcome in outcomes),
        unexpected=sum(outcome.unexpected for outcome in outcomes),
        days=dict(sorted(days.items())),
        observed="; ".join(dict.fromkeys(outcome.observed for outcome in outcomes if outcome.observed)) or None,
        not_judged="; ".join(dict.fromkeys(each.not_judged for each in outcomes if each.not_judged)) or None,
        is_engine_error=any(outcome.is_engine_error for outcome in outcomes),
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


def _page_check() -> dg.AssetChecksDefinition:
    return check(
        keys.EXPECTATIONS_REPORT,
        "pages_are_self_contained",
        lambda scope: pages_are_self_contained({PAGE_KEY: scope.store.get(PAGE_KEY)}),
        description="The page opens without a network.",
        dimension="validity",
    )
