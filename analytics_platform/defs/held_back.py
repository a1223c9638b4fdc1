"""What a failed blocking check holds back: the bad days, and what of its run is still to be done for the others.

A blocking check fails its step, and with it all that comes after it in the run, for every day of the range. But the
evaluations by partition name the bad days (`evaluations`). So the run is split: what it left undone is run again for
the days that are left, and only the bad ones get nothing built on top of them. A bad day stays out of the watermark
(`changes`), so the next build tries it again, and picks it up by itself once it is repaired.

Belongs here: reading that from Dagster's record of a run. Stays out: who runs the rest (`runs`, `automation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg
from dagster._core.execution.stats import StepEventStatus
from dagster._core.snap import ExecutionPlanSnapshot

from analytics_platform.defs.evaluations import failed_partitions
from analytics_platform.defs.partitions import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    contiguous,
    days_between,
    parse_day,
    range_tags,
)

SPLIT_FROM_TAG = "analytics/split_from"
"""Names the run whose rest a run does."""

SPLITS_TAG = "analytics/splits"
"""How many splits lie between a run and the one that somebody asked for."""

SPLITS_DEEP = 5
"""As many as there are blocking checks one after the other; a check that finds ever new bad days stops there."""

SPANS_A_SPLIT = 10
"""The newest go on. Bad days that lie more scattered than that are a broken check or a broken source, not a bad day."""

_OWN_TO_A_RUN = ("dagster/", "analytics/complete_build", "analytics/changes_until", "analytics/built_to")
"""Beginnings of tags that the rest does not inherit: Dagster's own, and the watermark, as the build is not complete."""

_INHERITED = frozenset({"dagster/priority"})


@dataclass(frozen=True)
class HeldBack:
    """What blocking checks held back in a run, and what is left of it.

    Attributes:
        run_id: the run.
        bad: the failed partitions by check.
        spans: the days that are good, as spans, newest first; empty when nothing of the run is left undone.
        left_out: good days that are not tried again: they lie too scattered, or too many splits lie behind the run.
        assets: what the run did not come to.
        splits: how many splits lie behind the run.
        good_days: the run's days in which no blocking check has failed.
    """

    run_id: str
    bad: Mapping[dg.AssetCheckKey, Sequence[str]]
    spans: Sequence[tuple[date, date]]
    left_out: Sequence[date]
    assets: frozenset[dg.AssetKey]
    splits: int
    good_days: Sequence[date]

    @property
    def days(self) -> frozenset[date]:
        """The bad days; of raw partitions those of any tenant, since what comes after them is by day."""
        return frozenset(parse_day(partition) for partitions in self.bad.values() for partition in partitions)

    def rest_tags(self, run_tags: Mapping[str, str], span: tuple[date, date]) -> dict[str, str]:
        """Tags of the run that does the rest for a span, given those of the run that was held back."""
        kept = {
            name: value for name, value in run_tags.items() if name in _INHERITED or not name.startswith(_OWN_TO_A_RUN)
        }
        first, last = (day.isoformat() for day in span)
        return {
            **kept,
            **range_tags(first, last),
            SPLIT_FROM_TAG: self.run_id,
            SPLITS_TAG: str(self.splits + 1),
        }


def held_back(instance: dg.DagsterInstance, run: dg.DagsterRun) -> HeldBack | None:
    """What blocking checks held back in a failed run; None where it failed for what names no days."""
    if run.status != dg.DagsterRunStatus.FAILURE or run.execution_plan_snapshot_id is None:
        return None
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    ended = {stats.step_key: stats.status for stats in instance.get_run_step_stats(run.run_id)}
    checks = _checks_by_step(plan)
    failed = [key for key, status in ended.items() if status == StepEventStatus.FAILURE]
    if not failed or any(step not in checks for step in failed):
        return None
    bad = {checks[step]: failed_partitions(instance, checks[step], run.run_id) for step in failed}
    if not all(bad.values()):
        return None
    undone = _assets(plan, [step for step in plan.step_keys_to_execute if step not in ended])
    splits = int(run.tags.get(SPLITS_TAG, "0"))
    bad_days = {parse_day(partition) for partitions in bad.values() for partition in partitions}
    good = sorted(set(_days(run)) - bad_days)
    spans = [(days[0], days[-1]) for days in reversed(contiguous(good))] if undone else []
    tried = spans[:SPANS_A_SPLIT] if splits < SPLITS_DEEP else []
    left_out = [day for span in spans[len(tried) :] for day in days_between(*span)]
    return HeldBack(run.run_id, bad, tried, sorted(left_out), undone, splits, good)


def _checks_by_step(plan: ExecutionPlanSnapshot) -> dict[str, dg.AssetCheckKey]:
    """Steps that do nothing but evaluate one check."""
    return {
        step.key: properties.asset_check_key
        for step in plan.steps
        for properties in [output.properties for output in step.outputs]
        if len(step.outputs) == 1 and properties and properties.asset_check_key
    }


def _assets(plan: ExecutionPlanSnapshot, step_keys: Iterable[str]) -> frozenset[dg.AssetKey]:
    wanted = set(step_keys)
    return frozenset(
        output.properties.asset_key
        for step in plan.steps
        if step.key in wanted
        for output in step.outputs
        if output.properties and output.properties.asset_key
    )


def _days(run: dg.DagsterRun) -> list[date]:
    """The days that a run was asked for."""
    single = run.tags.get(PARTITION_TAG)
    if single is not None:
        return [parse_day(single)]
    if RANGE_START_TAG in run.tags:
        return days_between(parse_day(run.tags[RANGE_START_TAG]), parse_day(run.tags[RANGE_END_TAG]))
    return []
