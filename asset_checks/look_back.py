"""Checks of what looks back on runs: promises about time, and the history of check evaluations.

A promise that was broken is a warning, since it holds nothing up and no repair makes it kept; whom it concerns and how
loudly is alerting's, by the tier. A history that contradicts itself is an error.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.check_results import CHECK_RESULTS_TABLE, IDENTITY, evaluations, recorded_until
from analytics_platform.defs.partitions import Partitions
from analytics_platform.insights.promises import ATTAINMENT_TABLE, NOT_DUE, NOT_EXPECTED
from asset_checks.factory import Facts, Scope, check

_ROWS = f"select * from {ATTAINMENT_TABLE} where day between ? and ?"
_IDENTITIES = f"select day, {', '.join(IDENTITY)} from {CHECK_RESULTS_TABLE} where day between ? and ?"


def look_back_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """All checks of `ops/sla_attainment` and `ops/check_results`."""
    return [
        *(_promises_check(tier, partitions) for tier in catalog.sla_tiers),
        _verdicts_check(partitions),
        _once_check(partitions),
        _complete_check(partitions),
    ]


def promises_are_kept(rows: Sequence[Mapping[str, Any]]) -> Facts:
    """No promise that is due was broken; the newest come first, causes before what is made from them."""
    judged = [row for row in rows if row["is_attained"] is not None]
    broken = [row for row in judged if not row["is_attained"]]
    broken.sort(key=lambda row: (row["cause"] is not None, row["dataset"], row["tenant_id"]))
    broken.sort(key=lambda row: row["day"], reverse=True)
    offenders = [
        f"{row['day']} {row['tenant_id']} {row['dataset']}: {row['promise']}, {row['reason']}" for row in broken
    ]
    counts = {"judged_promises": len(judged), "broken_promises": len(broken), "open_promises": len(rows) - len(judged)}
    summary = f"{len(broken)} of {len(judged)} promises were broken"
    return Facts(not broken, summary, counts, offenders, len(judged), len(broken))


def verdicts_agree_with_their_times(rows: Sequence[Mapping[str, Any]]) -> Facts:
    """Each promise is judged once, and its verdict is what its times say."""
    keys_ = [(row["day"], row["tenant_id"], row["dataset"], row["promise"]) for row in rows]
    twice = [f"{' '.join(map(str, key))}: there {count} times" for key, count in Counter(keys_).items() if count > 1]
    wrong = [
        f"{row['day']} {row['tenant_id']} {row['dataset']} {row['promise']}: {row['reason']}"
        for row in rows
        if not _agrees(row)
    ]
    offenders = [*twice, *wrong]
    summary = f"{len(offenders)} of {len(rows)} verdicts are not what their times say"
    return Facts(not offenders, summary, {"promises": len(rows)}, offenders, len(rows), len(offenders))


def evaluations_are_there_once(rows: Sequence[Mapping[str, Any]]) -> Facts:
    """No evaluation is recorded twice: reviews add them up."""
    counted = Counter(tuple(row[name] for name in IDENTITY) for row in rows)
    offenders = [
        f"{run} {asset} {name} {partition}" for (run, asset, name, partition, _), n in counted.items() if n > 1
    ]
    summary = f"{len(offenders)} of {len(counted)} evaluations are there more than once"
    return Facts(not offenders, summary, {"evaluations": len(rows)}, offenders, len(counted), len(offenders))


def evaluations_are_complete(in_log: Sequence[Mapping[str, Any]], recorded: Sequence[Mapping[str, Any]]) -> Facts:
    """Every evaluation that Dagster remembers is recorded; that more is recorded is what the table is for."""
    there = {tuple(row[name] for name in IDENTITY) for row in recorded}
    missing = [row for row in in_log if tuple(row[name] for name in IDENTITY) not in there]
    offenders = [
        f"{row['run_id']} {row['asset']} {row['check_name']} {row['partition'] or ''}".strip() for row in missing
    ]
    counts = {"in_event_log": len(in_log), "recorded": len(there)}
    summary = f"{len(missing)} of {len(in_log)} evaluations in Dagster's log are not recorded"
    return Facts(not missing, summary, counts, offenders, len(in_log), len(missing))


def log_is_recorded(scope: Scope, partitions: Partitions) -> Facts:
    """Dagster's log of the scope's days, read a second time, against what is recorded of them."""
    if scope.instance is None:
        raise ValueError("the check reads Dagster's log, so it judges in a run only")
    until = recorded_until(scope.instance)
    days = scope.days() if scope.partition_keys else (partitions.first_day, partitions.last_day(until))
    in_log = evaluations(scope.instance, *days, partitions.time_zone, until=until)
    recorded = scope.warehouse.query(_IDENTITIES, days)
    return evaluations_are_complete(in_log.select(IDENTITY).to_pylist(), recorded.to_pylist())


def _agrees(row: Mapping[str, Any]) -> bool:
    if row["is_attained"] is None:
        return row["reason"] in {NOT_DUE, NOT_EXPECTED} and row["attained_at"] is None
    in_time = row["attained_at"] is not None and row["attained_at"] <= row["promised_at"]
    return bool(row["is_attained"] == in_time)


def _promises_check(tier: str, partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
        rows = scope.warehouse.query(f"{_ROWS} and tier = ?", [*scope.days(), tier])
        return {day: promises_are_kept(part.to_pylist()) for day, part in scope.by_day(rows).items()}

    return check(
        keys.SLA_ATTAINMENT,
        f"{tier}_promises_are_kept",
        judge,
        description=f"Every promise of the tier {tier} that is due was kept: what landed was there in time.",
        dimension="timeliness",
        severity=dg.AssetCheckSeverity.WARN,
        partitions_def=partitions.day,
    )


def _verdicts_check(partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
        rows = scope.warehouse.query(_ROWS, scope.days())
        return {day: verdicts_agree_with_their_times(part.to_pylist()) for day, part in scope.by_day(rows).items()}

    return check(
        keys.SLA_ATTAINMENT,
        "verdicts_agree_with_their_times",
        judge,
        description="Kept means there by the deadline, broken means not, undecided means neither; each once.",
        dimension="consistency",
        partitions_def=partitions.day,
    )


def _once_check(partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
        rows = scope.by_day(scope.warehouse.query(_IDENTITIES, scope.days()))
        return {day: evaluations_are_there_once(part.to_pylist()) for day, part in rows.items()}

    return check(
        keys.CHECK_RESULTS,
        "evaluations_are_there_once",
        judge,
        description="One row per evaluation: a review that adds rows up counts nothing twice.",
        dimension="uniqueness",
        partitions_def=partitions.day,
    )


def _complete_check(partitions: Partitions) -> dg.AssetChecksDefinition:
    return check(
        keys.CHECK_RESULTS,
        "evaluations_are_complete",
        lambda scope: log_is_recorded(scope, partitions),
        description="Every evaluation that Dagster's log held when the table was drawn up is in it.",
        dimension="completeness",
    )
