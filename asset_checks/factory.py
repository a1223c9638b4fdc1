"""How a check is made: a function that returns facts becomes a Dagster asset check.

Belongs here: the scope that a check judges, the facts that it returns, and what Dagster is told of them. Stays
out: what is judged; that is one module per layer beside this one.

A check's name is a fact that holds (`ledger_balances`). Its counts and samples of keys are attached on success too,
so that a reviewer sees what was looked at; samples are keys of partitions and objects, never personal data. An
exception is not bad data: it makes a failed check that says so.

A check with a `partitions_def` judges each partition of its run for itself, in one go: its judge reads the span with
one query and answers `Facts` by partition key (`Scope.by_day` cuts the rows). Dagster then shows how the check stands
in each partition.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.catalog import Dimension
from analytics_platform.defs.evaluations import CheckResult, report_by_partition
from analytics_platform.defs.partitions import DayTenant, parse_raw_key
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse

SAMPLES_SHOWN = 10
"""Keys that a failed check names: enough to see the pattern, little enough to read."""

PARTITIONS_SHOWN = 3
"""Partitions that a summary's sentence names; all of them are in its metadata."""


@dataclass(frozen=True)
class Facts:
    """What a check found.

    Attributes:
        passed: whether the fact that the check is named after holds.
        summary: one sentence for people, on success too.
        counts: numbers behind it, by name with unit.
        offenders: keys of what does not hold, worst first; all of them, the factory cuts.
        checked: units judged (rows, objects, series-days); None where nothing is counted.
        failed: of these, how many do not hold.
        threshold: share of failures that is allowed, where there is one.
    """

    passed: bool
    summary: str
    counts: Mapping[str, int | float] = field(default_factory=dict)
    offenders: Sequence[str] = ()
    checked: int | None = None
    failed: int | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Scope:
    """What a check is to judge: the partitions of its run, or everything when it is started without any.

    Attributes:
        store: the lake.
        warehouse: the warehouse.
        partition_keys: Dagster's keys, None for everything.
        instance: Dagster's record of runs; None outside of a run.
    """

    store: ObjectStore
    warehouse: Warehouse
    partition_keys: Sequence[str] | None
    instance: dg.DagsterInstance | None = None

    def days(self) -> tuple[date, date]:
        """First and last day, of daily partitions."""
        if not self.partition_keys:
            return date.min.replace(year=1970), date(9999, 12, 31)
        return date.fromisoformat(min(self.partition_keys)), date.fromisoformat(max(self.partition_keys))

    def day_tenants(self) -> list[DayTenant] | None:
        """Days and tenants, of raw partitions; None for everything."""
        return None if self.partition_keys is None else [parse_raw_key(key) for key in self.partition_keys]

    def by_day(self, rows: pa.Table, column: str = "day") -> dict[str, pa.Table]:
        """Rows of a span by daily partition key; a day of the scope without rows has an empty table.

        Args:
            rows: with days of the scope alone.
            column: holds the day.
        """
        ordered = rows.sort_by(column)
        counts = pc.value_counts(ordered[column]).to_pylist()
        parts = dict.fromkeys(self.partition_keys or (), rows[:0])
        start = 0
        for count in counts:
            parts[count["values"].isoformat()] = ordered.slice(start, count["counts"])
            start += count["counts"]
        return parts


Judge = Callable[[Scope], Facts | Mapping[str, Facts]]
"""Facts of the whole scope; with a `partitions_def`, facts for each of the scope's partition keys."""


@dataclass(frozen=True)
class Verdict:
    """What Dagster is told of one evaluation.

    Attributes:
        result: what the step yields; of several partitions the summary.
        partitions: by partition key, of a judge that tells them apart.
    """

    result: dg.AssetCheckResult
    partitions: Mapping[str, dg.AssetCheckResult] = field(default_factory=dict)


class UnjudgedPartitionsError(Exception):
    """A judge was asked for partitions and left some out: silence is no pass."""


def check(
    asset: dg.AssetKey,
    name: str,
    judge: Judge,
    *,
    description: str,
    dimension: Dimension,
    blocking: bool = False,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    partitions_def: dg.PartitionsDefinition | None = None,
) -> dg.AssetChecksDefinition:
    """Make an asset check.

    Args:
        asset: what is checked.
        name: the fact that holds, in snake case.
        judge: finds the facts.
        description: what the check compares with what, and why that matters.
        dimension: of data quality, by which reviews count.
        blocking: whether assets after this one wait for it to pass.
        severity: of a failure.
        partitions_def: the asset's own, when the judge answers by partition.
    """
    key = dg.AssetCheckKey(asset, name)
    with warnings.catch_warnings():
        # A preview of Dagster's, in use knowingly: the dependency is held below the next minor version.
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.asset_check(
            asset=asset,
            name=name,
            description=description,
            blocking=blocking,
            metadata={"dimension": dimension},
            partitions_def=partitions_def,
        )
        def evaluate(
            context: dg.AssetCheckExecutionContext,
            store: dg.ResourceParam[ObjectStore],
            warehouse: dg.ResourceParam[Warehouse],
        ) -> dg.AssetCheckResult:
            scope = Scope(store, warehouse, partition_keys(context), context.instance)
            with warehouse.reading():
                verdict = evaluated(judge, scope, severity, dimension)
            if verdict.partitions and partitions_def and context.has_partition_key_range:
                report_by_partition(context, {key: verdict.partitions}, blocking=blocking)
            return verdict.result

    return evaluate


def evaluated(judge: Judge, scope: Scope, severity: dg.AssetCheckSeverity, dimension: Dimension) -> Verdict:
    """Judge, and put the facts into Dagster's words."""
    try:
        found = judge(scope)
        if isinstance(found, Facts):
            return Verdict(_result(found, severity, dimension))
        _refuse_silence(found, scope)
        results = {key: _result(facts, severity, dimension) for key, facts in found.items()}
        whole = next(iter(found.values())) if len(found) == 1 else summarized(found)
        return Verdict(_result(whole, severity, dimension), results)
    except Exception as error:  # noqa: BLE001  whatever it is, a check that did not run has not passed
        return Verdict(_could_not_run(error, dimension))


def summarized(found: Mapping[str, Facts]) -> Facts:
    """Facts of all partitions as one: the sums that add up, and the partitions that do not hold, newest first."""
    bad = sorted((key for key, facts in found.items() if not facts.passed), reverse=True)
    checked, failed = _sum(facts.checked for facts in found.values()), _sum(facts.failed for facts in found.values())
    thresholds = {facts.threshold for facts in found.values()}
    summary = f"{len(bad):,} of {len(found):,} partitions do not hold"
    if bad:
        summary += f": {', '.join(bad[:PARTITIONS_SHOWN])}{', …' if len(bad) > PARTITIONS_SHOWN else ''}"
    if checked is not None and failed is not None:
        summary += f" ({failed:,} of {checked:,} units)"
    return Facts(
        not bad,
        summary,
        {"partitions": len(found), "failed_partitions": len(bad)},
        [offender for key in bad for offender in _placed_offenders(key, found[key])],
        checked,
        failed,
        thresholds.pop() if len(thresholds) == 1 else None,
    )


def _placed_offenders(partition: str, facts: Facts) -> list[str]:
    """A partition's offenders with the partition in each, for a reader who sees those of many; it alone if none."""
    named = [each if partition in each else f"{partition}: {each}" for each in facts.offenders]
    return named or [partition]


def _result(facts: Facts, severity: dg.AssetCheckSeverity, dimension: Dimension) -> dg.AssetCheckResult:
    return CheckResult(
        passed=facts.passed, severity=severity, description=facts.summary, metadata=_metadata(facts, dimension)
    )


def _could_not_run(error: Exception, dimension: Dimension) -> dg.AssetCheckResult:
    """Of the whole run and of no partition: none of them was judged."""
    return CheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"The check could not run, which says nothing about the data: {type(error).__name__}: {error}",
        metadata={"could_not_run": True, "dimension": dimension, "error": f"{type(error).__name__}: {error}"},
    )


def _metadata(facts: Facts, dimension: Dimension) -> dict[str, dg.MetadataValue]:
    numbers = {"checked": facts.checked, "failed": facts.failed, "threshold": facts.threshold, **facts.counts}
    metadata: dict[str, dg.MetadataValue] = {
        "could_not_run": dg.MetadataValue.bool(False),
        "dimension": dg.MetadataValue.text(dimension),
    }
    for name, number in numbers.items():
        if number is not None:
            metadata[name] = dg.MetadataValue.int(number) if isinstance(number, int) else dg.MetadataValue.float(number)
    if facts.offenders:
        metadata["offenders"] = dg.MetadataValue.int(len(facts.offenders))
        metadata["offenders_sample"] = dg.MetadataValue.json(list(facts.offenders[:SAMPLES_SHOWN]))
    return metadata


def _refuse_silence(found: Mapping[str, Facts], scope: Scope) -> None:
    silent = [key for key in scope.partition_keys or () if key not in found]
    if silent:
        raise UnjudgedPartitionsError(f"the judge said nothing of {len(silent)} partitions, such as {silent[0]}")


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Of all of them; None as soon as one is not counted, which a sum would hide."""
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)


def partition_keys(context: dg.AssetCheckExecutionContext) -> Sequence[str] | None:
    """The partitions of a check's run; None when it was started without any."""
    if context.has_partition_key or context.has_partition_key_range:
        return list(context.partition_keys)
    return None
