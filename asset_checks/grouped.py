"""How several checks are made of one step: one query answers for many tables, each keeps its check.

Belongs here: what the factory's single check does, for many at once. A step costs more than the query of a small
table, and seven streams with six checks each would be forty-two of them every night. None of these blocks: a check that
holds up what follows stands alone, so that it waits for nobody.

A check whose unit is the partition itself says of all that always held only that they do, in its summary
(`passes_as_one`): hundreds of tenants an hour would be hundreds of events that say the same.
"""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from analytics_platform.catalog import Dimension
from analytics_platform.defs.evaluations import PASSED_AS_ONE, ever_failed, report_by_partition
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse
from asset_checks.factory import Facts, Scope, Verdict, evaluated, partition_keys


@dataclass(frozen=True)
class Told:
    """What a check of a group is called and how it counts.

    Attributes:
        name: the fact that holds, in snake case.
        description: what is compared with what, and why that matters; of each asset, where they differ.
        dimension: of data quality, by which reviews count.
        severity: of a failure.
        passes_as_one: whether partitions of a range that hold now and always did are told by the summary alone; of a
            check that counts each as one unit.
    """

    name: str
    description: str | Callable[[dg.AssetKey], str]
    dimension: Dimension
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
    passes_as_one: bool = False


Found = Mapping[dg.AssetCheckKey, Facts | Mapping[str, Facts] | Exception]
"""Facts by check, with partitions by partition key below it; or why this one check could not be judged."""

GroupJudge = Callable[[Scope, Collection[dg.AssetKey]], Found]
"""Finds the facts of all checks of the assets that a run has selected."""


def check_group(
    step: str,
    told: Sequence[Told],
    assets: Sequence[dg.AssetKey],
    judge: GroupJudge,
    *,
    partitions_def: dg.PartitionsDefinition | None = None,
) -> dg.AssetChecksDefinition:
    """Make each of the checks for each of the assets, judged together.

    Args:
        step: name of the step in a run.
        told: the checks that every asset gets.
        assets: what is checked.
        judge: finds the facts of all of them.
        partitions_def: the assets' own, when the judge answers by partition.
    """
    by_name = {each.name: each for each in told}
    with warnings.catch_warnings():
        # A preview of Dagster's, in use knowingly: the dependency is held below the next minor version.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [_spec(each, asset, partitions_def) for asset in assets for each in told]

    @dg.multi_asset_check(name=step, specs=specs, can_subset=True)
    def evaluate(
        context: dg.AssetCheckExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.AssetCheckResult]:
        scope = Scope(store, warehouse, partition_keys(context), context.instance)
        selected = sorted(context.selected_asset_check_keys, key=lambda key: key.to_user_string())
        with warehouse.reading():
            answer = _answer(judge, scope, {key.asset_key for key in selected})
        verdicts = {key: _verdict(by_name[key.name], scope, answer(key)) for key in selected}
        if partitions_def is not None and context.has_partition_key_range:
            verdicts = {
                key: _told_alone(context.instance, key, verdict) if by_name[key.name].passes_as_one else verdict
                for key, verdict in verdicts.items()
            }
            report_by_partition(context, {key: each.partitions for key, each in verdicts.items()}, blocking=False)
        yield from (_result(key, verdict) for key, verdict in verdicts.items())

    return evaluate


def _spec(told: Told, asset: dg.AssetKey, partitions_def: dg.PartitionsDefinition | None) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        told.name,
        asset=asset,
        description=told.description if isinstance(told.description, str) else told.description(asset),
        metadata={"dimension": told.dimension},
        partitions_def=partitions_def,
    )


def _answer(
    judge: GroupJudge, scope: Scope, assets: Collection[dg.AssetKey]
) -> Callable[[dg.AssetCheckKey], Callable[[Scope], Facts | Mapping[str, Facts]]]:
    """For each check a judge of its own that gives its part of the answer, or the error that all of them met."""
    try:
        found = judge(scope, assets)
    except Exception as error:  # noqa: BLE001  whatever it is, a check that did not run has not passed
        met = error

        def failing(_: Scope) -> Facts:
            raise met

        return lambda _: failing
    return lambda key: lambda _: _said(found[key])


def _said(found: Facts | Mapping[str, Facts] | Exception) -> Facts | Mapping[str, Facts]:
    if isinstance(found, Exception):
        raise found
    return found


def _verdict(told: Told, scope: Scope, judge: Callable[[Scope], Facts | Mapping[str, Facts]]) -> Verdict:
    return evaluated(judge, scope, told.severity, told.dimension)


def _told_alone(instance: dg.DagsterInstance, key: dg.AssetCheckKey, verdict: Verdict) -> Verdict:
    """The partitions that do not hold or once did not; of the others the summary says that they hold."""
    if not verdict.partitions:
        return verdict
    once = ever_failed(instance, key)
    alone = {
        partition: result for partition, result in verdict.partitions.items() if not result.passed or partition in once
    }
    others = len(verdict.partitions) - len(alone)
    metadata = {**(verdict.result.metadata or {}), PASSED_AS_ONE: dg.MetadataValue.int(others)}
    return Verdict(verdict.result._replace(metadata=metadata), alone)


def _result(key: dg.AssetCheckKey, verdict: Verdict) -> dg.AssetCheckResult:
    return verdict.result._replace(asset_key=key.asset_key, check_name=key.name)
