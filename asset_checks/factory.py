"""How a check is made: a function that returns facts becomes a Dagster asset check.

Belongs here: the scope that a check judges, the facts that it returns, and what Dagster is told of them. Stays
out: what is judged; that is one module per layer beside this one.

A check's name is a fact that holds (`ledger_balances`). Its counts and samples of keys are attached on success too,
so that a reviewer sees what was looked at; samples are keys of partitions and objects, never personal data. An
exception is not bad data: it makes a failed check that says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from analytics_platform.defs.partitions import DayTenant, parse_raw_key
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse

SAMPLES_SHOWN = 10
"""Keys that a failed check names: enough to see the pattern, little enough to read."""


@dataclass(frozen=True)
class Facts:
    """What a check found.

    Attributes:
        passed: whether the fact that the check is named after holds.
        summary: one sentence for people, on success too.
        counts: numbers behind it, by name with unit.
        offenders: keys of what does not hold, worst first; all of them, the factory cuts.
    """

    passed: bool
    summary: str
    counts: Mapping[str, int | float] = field(default_factory=dict)
    offenders: Sequence[str] = ()


@dataclass(frozen=True)
class Scope:
    """What a check is to judge: the partitions of its run, or everything when it is started without any.

    Attributes:
        store: the lake.
        warehouse: the warehouse.
        partition_keys: Dagster's keys, None for everything.
    """

    store: ObjectStore
    warehouse: Warehouse
    partition_keys: Sequence[str] | None

    def days(self) -> tuple[date, date]:
        """First and last day, of daily partitions."""
        if not self.partition_keys:
            return date.min.replace(year=1970), date(9999, 12, 31)
        return date.fromisoformat(min(self.partition_keys)), date.fromisoformat(max(self.partition_keys))

    def day_tenants(self) -> list[DayTenant] | None:
        """Days and tenants, of raw partitions; None for everything."""
        return None if self.partition_keys is None else [parse_raw_key(key) for key in self.partition_keys]


Judge = Callable[[Scope], Facts]


def check(
    asset: dg.AssetKey,
    name: str,
    judge: Judge,
    *,
    description: str,
    blocking: bool = False,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetChecksDefinition:
    """Make an asset check.

    Args:
        asset: what is checked.
        name: the fact that holds, in snake case.
        judge: finds the facts.
        description: what the check compares with what, and why that matters.
        blocking: whether assets after this one wait for it to pass.
        severity: of a failure.
    """

    @dg.asset_check(asset=asset, name=name, description=description, blocking=blocking)
    def evaluate(
        context: dg.AssetCheckExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.AssetCheckResult:
        scope = Scope(store, warehouse, _partition_keys(context))
        return evaluated(judge, scope, severity)

    return evaluate


def evaluated(judge: Judge, scope: Scope, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    """Judge, and put the facts into Dagster's words."""
    try:
        facts = judge(scope)
    except Exception as error:  # noqa: BLE001  whatever it is, a check that did not run has not passed
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"The check could not run, which says nothing about the data: {type(error).__name__}: {error}",
            metadata={"could_not_run": True, "error": f"{type(error).__name__}: {error}"},
        )
    return dg.AssetCheckResult(
        passed=facts.passed, severity=severity, description=facts.summary, metadata=_metadata(facts)
    )


def _metadata(facts: Facts) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {"could_not_run": dg.MetadataValue.bool(False)}
    for name, count in facts.counts.items():
        whole = isinstance(count, int)
        metadata[name] = dg.MetadataValue.int(int(count)) if whole else dg.MetadataValue.float(float(count))
    if facts.offenders:
        metadata["offenders"] = dg.MetadataValue.int(len(facts.offenders))
        metadata["offenders_sample"] = dg.MetadataValue.json(list(facts.offenders[:SAMPLES_SHOWN]))
    return metadata


def _partition_keys(context: dg.AssetCheckExecutionContext) -> Sequence[str] | None:
    if context.has_partition_key or context.has_partition_key_range:
        return list(context.partition_keys)
    return None
