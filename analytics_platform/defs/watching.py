"""What Dagster has recorded of runs and checks since somebody last looked, as the judges of `alerting` read it.

Dagster's own run-failure sensors do not fire for failed checks that do not block, and tell a blocking one twice. So
every run that has ended is read by its own log, oldest first. By run and not by event: the embedded event log has a
file per run, and only the list of runs has an order over all of them, as it has in Postgres.

Belongs here: reading. Stays out: what is wrong (`alerting.judges`), and when somebody looks (`alerts`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.dagster_run import RunRecord

from analytics_platform.alerting.judges import EVERYTHING, CheckSeen, Place, RunSeen, place_of
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import UNIQUE_ID
from analytics_platform.defs.partitions import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    TENANT_PARTITIONS,
    parse_raw_key,
)
from analytics_platform.defs.policies import dataset_name
from analytics_platform.insights.promises import LANDED_WITHIN_LAG

FIRST_LOOK = timedelta(days=2)
"""How far back the first look goes: what failed before anybody watched is history."""

OVERLAP = timedelta(minutes=2)
"""A run's end may be written a little after a later one's; so far back, runs are looked at twice and judged once."""

LONG_OVER = timedelta(hours=1)
"""A run that ended so long before the position and turns up again was tagged since, and has nothing new to say."""

MOST_RUNS = 50
"""Runs that are read at once: a look after a long silence must not hold a month of logs in memory."""

TABLES = frozenset({keys.ANOMALIES, keys.LEDGER, keys.SLA_ATTAINMENT})
"""Assets whose tables are judged once more as soon as a run has built them."""

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_TOLD = {DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE, DagsterEventType.ASSET_CHECK_EVALUATION}
_CHECK_FAILED_STEP = "DagsterAssetCheckFailedError"
_NUMBERS = ("failed", "offenders", "failing_rows")
"""Where a check says how much does not hold: ours by units or keys, dbt's by rows."""


@dataclass(frozen=True)
class Position:
    """How far the record has been judged.

    Attributes:
        until: the end of the newest run that was.
        judged: runs that ended within `OVERLAP` of it, and were.
        tables: the newest run that has built a table of `TABLES`.
    """

    until: datetime
    judged: tuple[str, ...] = ()
    tables: str | None = None

    def text(self) -> str:
        """As it is kept."""
        return json.dumps({"until": self.until.isoformat(), "judged": self.judged, "tables": self.tables})

    @classmethod
    def parse(cls, text: str | None, now: datetime) -> Position:
        """From what was kept; where nothing was, a little before now."""
        if text is None:
            return cls(now - FIRST_LOOK)
        kept = json.loads(text)
        return cls(datetime.fromisoformat(kept["until"]), tuple(kept["judged"]), kept["tables"])


class Graph:
    """What has to be known of the asset graph to read a run's record."""

    def __init__(self, repository: dg.RepositoryDefinition) -> None:
        self._repository = repository
        self._steps: dict[str, tuple[dg.AssetKey, ...]] = {}
        self._judged: dict[str, tuple[dg.AssetKey, ...]] = {}
        self._assets_of_dataset: dict[str, set[dg.AssetKey]] = defaultdict(set)
        self._by_unique_id: dict[str, dg.AssetKey] = {}
        self._whole: set[dg.AssetCheckKey] = set()
        for definition in repository.asset_graph.assets_defs:
            step = definition.node_def.name
            self._steps[step] = tuple(sorted(definition.keys))
            self._judged[step] = tuple(sorted({check.asset_key for check in definition.check_specs}))
            for spec in definition.specs:
                self._assets_of_dataset[dataset_name(spec.key)].add(spec.key)
                if UNIQUE_ID in spec.metadata:
                    self._by_unique_id[spec.metadata[UNIQUE_ID]] = spec.key
            for check in definition.check_specs:
                if self._judges_everything(check):
                    self._whole.add(check.key)

    def asset_of(self, dataset: str, promise: str | None) -> str:
        """The asset of a dataset; a stream has two, the lake's for what has landed and the warehouse's else."""
        assets = sorted(self._assets_of_dataset[dataset], key=lambda key: keys.layer(key) == "raw")
        if not assets:
            return dataset.replace(".", "/")
        return (assets[-1] if promise == LANDED_WITHIN_LAG else assets[0]).to_user_string()

    def dashboards_of(self, asset: str) -> tuple[str, ...]:
        """The dashboards that are made from an asset, by name."""
        key = dg.AssetKey.from_user_string(asset)
        if not self._repository.asset_graph.has(key):
            return ()
        downstream = dg.AssetSelection.assets(key).downstream().resolve(self._repository.asset_graph)
        return tuple(sorted(each.path[-1] for each in downstream if keys.layer(each) == "dashboard"))

    def judges_everything(self, check: dg.AssetCheckKey) -> bool:
        """Whether a check speaks for its whole table, whatever the run's partitions."""
        return check in self._whole

    def built_by(self, step: str) -> tuple[dg.AssetKey, ...]:
        """The assets that a step builds; none of a step that only checks."""
        return self._steps.get(step, ())

    def judged_by(self, step: str) -> tuple[dg.AssetKey, ...]:
        """The assets that a step checks."""
        return self._judged.get(step, ())

    def model(self, unique_id: str) -> dg.AssetKey | None:
        """The asset of a dbt node."""
        return self._by_unique_id.get(unique_id)

    def of_run(self, run: dg.DagsterRun) -> list[dg.AssetKey]:
        """The assets that a run was to build."""
        if run.asset_selection:
            return sorted(run.asset_selection)
        if self._repository.has_job(run.job_name):
            return sorted(self._repository.get_job(run.job_name).asset_layer.executable_asset_keys)
        return []

    def _judges_everything(self, check: dg.AssetCheckSpec) -> bool:
        """A test of dbt looks at its whole table; so does what checks an asset without partitions."""
        graph = self._repository.asset_graph
        has_partitions = graph.has(check.asset_key) and graph.get(check.asset_key).partitions_def is not None
        return UNIQUE_ID in check.metadata or not has_partitions


class Record:
    """Runs as Dagster's instance has recorded them."""

    def __init__(self, instance: dg.DagsterInstance, graph: Graph) -> None:
        self._instance = instance
        self._graph = graph

    def read(self, position: Position) -> tuple[list[RunSeen], Position]:
        """Runs that have ended since a position, oldest first, at most `MOST_RUNS`; and the position after them."""
        records = self._instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED, updated_after=position.until - OVERLAP),
            limit=MOST_RUNS + len(position.judged),
            order_by="update_timestamp",
            ascending=True,
        )
        new = [
            each for each in records if each.dagster_run.run_id not in position.judged and not _is_old(each, position)
        ]
        until = max([position.until, *(each.update_timestamp for each in new)])
        recent = {each.dagster_run.run_id for each in records if each.update_timestamp >= until - OVERLAP}
        runs = [self._seen(each) for each in new]
        built = [run.run_id for run in runs if run.built & {key.to_user_string() for key in TABLES}]
        return runs, Position(until, tuple(sorted(recent)), built[-1] if built else position.tables)

    def _seen(self, record: RunRecord) -> RunSeen:
        run = record.dagster_run
        entries = [*self._entries(run.run_id)]
        place = self._place(run)
        steps = [each for each in entries if each.dagster_event_type == DagsterEventType.STEP_SUCCESS]
        built = {key.to_user_string() for each in steps for key in self._built(run, each.step_key)}
        has_failed = run.status == dg.DagsterRunStatus.FAILURE
        broke = self._broke(run, entries) if has_failed else None
        return RunSeen(
            run_id=run.run_id,
            ended_at=datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC),
            failed=has_failed,
            place=place,
            built=frozenset(built),
            checks=tuple(self._checks(entries, place)),
            broke=(broke.to_user_string(), dataset_name(broke)) if broke else None,
        )

    def _entries(self, run_id: str) -> Iterator[EventLogEntry]:
        cursor, has_more = None, True
        while has_more:
            page = self._instance.get_records_for_run(run_id, cursor, of_type=_TOLD, limit=5_000)
            cursor, has_more = page.cursor, page.has_more
            yield from (record.event_log_entry for record in page.records)

    def _built(self, run: dg.DagsterRun, step: str | None) -> Iterable[dg.AssetKey]:
        assets = self._graph.built_by(step or "")
        return [key for key in assets if not run.asset_selection or key in run.asset_selection]

    def _broke(self, run: dg.DagsterRun, entries: Iterable[EventLogEntry]) -> dg.AssetKey | None:
        """The asset of the first step that failed; None where checks alone did, which are told themselves."""
        failed = [each for each in entries if each.dagster_event_type == DagsterEventType.STEP_FAILURE]
        for entry in failed:
            if not _is_failed_by_checks(entry):
                return self._broken_asset(run, entry)
        return None if failed else next(iter(self._graph.of_run(run)), keys.INCIDENTS)

    def _broken_asset(self, run: dg.DagsterRun, entry: EventLogEntry) -> dg.AssetKey:
        """The model that dbt names, or the first of the step's assets; of a step that only checks, what it checks."""
        told = entry.get_dagster_event().step_failure_data.user_failure_data
        models = [model for unique_id in (told.metadata if told else ()) if (model := self._graph.model(unique_id))]
        judged = self._graph.judged_by(entry.step_key or "")
        return next(iter([*models, *self._built(run, entry.step_key), *judged]), keys.INCIDENTS)

    def _place(self, run: dg.DagsterRun) -> Place:
        """The partitions that a run was asked for."""
        if RANGE_START_TAG not in run.tags:
            partition = run.tags.get(PARTITION_TAG)
            return place_of(partition) if partition else EVERYTHING
        start, end = run.tags[RANGE_START_TAG], run.tags[RANGE_END_TAG]
        if "|" not in start:
            return Place(place_of(start).first, place_of(end).last)
        (first, first_tenant), (last, last_tenant) = parse_raw_key(start), parse_raw_key(end)
        known = [*self._instance.get_dynamic_partitions(TENANT_PARTITIONS)]
        return Place(first, last, tuple(known[known.index(first_tenant) : known.index(last_tenant) + 1]))

    def _checks(self, entries: Iterable[EventLogEntry], place: Place) -> Iterator[CheckSeen]:
        for entry in entries:
            if entry.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
                yield self._check(entry, place)

    def _check(self, entry: EventLogEntry, of_run: Place) -> CheckSeen:
        found = entry.get_dagster_event().asset_check_evaluation_data
        partition = None if self._graph.judges_everything(found.asset_check_key) else found.partition
        of_summary = EVERYTHING if self._graph.judges_everything(found.asset_check_key) else of_run
        metadata = {name: value.value for name, value in found.metadata.items()}
        return CheckSeen(
            asset=found.asset_key.to_user_string(),
            dataset=dataset_name(found.asset_key),
            check=found.check_name,
            place=place_of(partition) if partition else of_summary,
            is_summary=partition is None,
            passed=found.passed,
            blocks=bool(found.blocking) and found.severity == dg.AssetCheckSeverity.ERROR,
            at=datetime.fromtimestamp(entry.timestamp, UTC),
            failed=_number(metadata, *_NUMBERS),
            checked=_number(metadata, "checked"),
            threshold=_share(metadata),
            could_not_run=metadata.get("could_not_run") is True,
        )


def _is_old(record: RunRecord, position: Position) -> bool:
    return record.end_time is not None and record.end_time < (position.until - LONG_OVER).timestamp()


def _number(metadata: Mapping[str, object], *names: str) -> int | None:
    found = (metadata[name] for name in names if isinstance(metadata.get(name), int))
    number = next(found, None)
    return number if isinstance(number, int) else None


def _share(metadata: Mapping[str, object]) -> float | None:
    share = metadata.get("threshold")
    return float(share) if isinstance(share, int | float) else None


def _is_failed_by_checks(entry: EventLogEntry) -> bool:
    """Whether a step failed for what a check has found, and not because it, or the check itself, broke."""
    error = entry.get_dagster_event().step_failure_data.error
    return error is not None and error.cls_name == _CHECK_FAILED_STEP
