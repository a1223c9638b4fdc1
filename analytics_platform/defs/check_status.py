"""How the checks of an asset stand, partition by partition: kept, and brought up to date with what has happened since.

Dagster works this out anew at each look, from every evaluation that there has ever been, and joins one partition after
the other to a set: with seven years of fifty tenants that is no matter of seconds any more. Here the outcome is kept
as spans of days (`partition_status`), among the cursors that Dagster's run storage holds, and only partitions that were
evaluated or built since are read again.

Belongs here: what is kept of an asset's checks, and what an evaluation or a build changes in it, which is what Dagster
would come to. Stays out: statements (`event_batches`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

import dagster as dg
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.partitions.subset import PartitionsSubset
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckExecutionResolvedStatus,
    AssetCheckPartitionInfo,
)
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from analytics_platform.defs.partition_status import is_packable, pack, unpack

_Status = AssetCheckExecutionResolvedStatus

_OUTCOMES = {
    AssetCheckExecutionRecordStatus.SUCCEEDED: _Status.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED: _Status.FAILED,
}

SUBSETS_KEPT = 1024
"""Sets of days that a process holds on to: spans, of which a hundred checks over years take little."""


@dataclass(frozen=True)
class CheckSum:
    """What is kept of one check.

    Attributes:
        of: identity of the partitions that were summed up.
        execution: id of its newest evaluation's event that is in it.
        build: id of the newest materialization of the asset that is in it.
        statuses: of each status the packed partitions.
        runs: of each run that had not ended, the packed partitions that it was going to evaluate.
    """

    of: str
    execution: int = 0
    build: int = 0
    statuses: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)

    def state(self, key: dg.AssetCheckKey, partitions_def: dg.PartitionsDefinition) -> AssetCheckState:
        """In Dagster's words."""
        none = pack(())
        return AssetCheckState(
            latest_storage_id=self.execution,
            subsets={
                status: SerializableEntitySubset(key, _subset(self.statuses.get(status.value, none), partitions_def))
                for status in _Status
            },
            in_progress_runs={
                run_id: SerializableEntitySubset(key, _subset(text, partitions_def))
                for run_id, text in self.runs.items()
            },
        )

    def updated(
        self,
        infos: Iterable[AssetCheckPartitionInfo],
        ended: Mapping[str, dg.DagsterRunStatus],
        *,
        execution: int,
        build: int,
    ) -> CheckSum:
        """The sum with how some partitions stand now, and with what became of runs.

        Args:
            infos: of partitions that were evaluated or built, each once.
            ended: runs that have.
            execution: id of the newest evaluation's event that is taken into account.
            build: id of the newest materialization that is.
        """
        statuses = {status: set(unpack(text).subset) for status, text in self.statuses.items()}
        runs = {run_id: set(unpack(text).subset) for run_id, text in self.runs.items()}
        for info in infos:
            for held in (*statuses.values(), *runs.values()):
                held.discard(str(info.partition_key))
            status = info.latest_execution_status
            if status is AssetCheckExecutionRecordStatus.PLANNED:
                runs.setdefault(info.latest_planned_run_id, set()).add(str(info.partition_key))
                statuses.setdefault(_Status.IN_PROGRESS.value, set()).add(str(info.partition_key))
            elif status in _OUTCOMES and info.is_current:
                statuses.setdefault(_OUTCOMES[status].value, set()).add(str(info.partition_key))
        for run_id in runs.keys() & ended.keys():
            left = runs.pop(run_id)
            failed = ended[run_id] is dg.DagsterRunStatus.FAILURE
            became = _Status.EXECUTION_FAILED if failed else _Status.SKIPPED
            statuses.setdefault(became.value, set()).update(left)
            statuses[_Status.IN_PROGRESS.value] -= left
        return CheckSum(self.of, execution, build, _packed(statuses), _packed(runs))

    def without(self, removed: Collection[str]) -> CheckSum:
        """What is left when the events of some partitions are gone."""
        gone = frozenset(removed)
        statuses = {status: unpack(text).subset - gone for status, text in self.statuses.items()}
        runs = {run_id: unpack(text).subset - gone for run_id, text in self.runs.items()}
        return replace(self, statuses=_packed(statuses), runs=_packed(runs))


def is_summed_up(partitions_def: dg.PartitionsDefinition | None) -> bool:
    """Whether partitions are days, or days and tenants."""
    is_daily = isinstance(partitions_def, dg.TimeWindowPartitionsDefinition) and partitions_def.is_basic_daily
    return is_daily or is_packable(partitions_def)


def identity(partitions_def: dg.PartitionsDefinition) -> str:
    """Of what is summed up: the days, to which tenants join without a change in what was evaluated."""
    of = partitions_def.partitions_defs[0].partitions_def if is_packable(partitions_def) else partitions_def
    return of.get_serializable_unique_identifier()


def place(asset_key: dg.AssetKey) -> str:
    """Where the sums of an asset's checks are kept."""
    return f"analytics/check_sums/{asset_key.to_string()}"


def written(sums: Mapping[str, CheckSum]) -> str:
    """The text of the sums of an asset's checks, by check."""
    return json.dumps({name: asdict(of_check) for name, of_check in sorted(sums.items())}, separators=(",", ":"))


def read(text: str | None) -> dict[str, CheckSum]:
    """Sums as they were written."""
    return {name: CheckSum(**of_check) for name, of_check in json.loads(text or "{}").items()}


def runs_to_ask_for(of_check: CheckSum, infos: Sequence[AssetCheckPartitionInfo]) -> set[str]:
    """Runs that had not ended, or may not have."""
    planned = [each for each in infos if each.latest_execution_status is AssetCheckExecutionRecordStatus.PLANNED]
    return {*of_check.runs, *(each.latest_planned_run_id for each in planned)}


def ended(instance: dg.DagsterInstance, run_ids: Collection[str]) -> dict[str, dg.DagsterRunStatus]:
    """Those of some runs that have come to an end, and to which."""
    if not run_ids:
        return {}
    asked = dg.RunsFilter(run_ids=sorted(run_ids), statuses=FINISHED_STATUSES)
    return {run.run_id: run.status for run in instance.get_runs(filters=asked)}


def _packed(sets: Mapping[str, Collection[str]]) -> dict[str, str]:
    return {name: pack(held) for name, held in sorted(sets.items()) if held}


def _subset(text: str, partitions_def: dg.PartitionsDefinition) -> PartitionsSubset:
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        return _days(text, partitions_def)
    return unpack(text)


@lru_cache(maxsize=SUBSETS_KEPT)
def _days(text: str, partitions_def: dg.TimeWindowPartitionsDefinition) -> PartitionsSubset:
    return partitions_def.subset_with_partition_keys(unpack(text).subset)
