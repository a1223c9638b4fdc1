"""Building days from the command line: the whole graph, in one process, through Dagster.

Belongs here: which runs a span of days takes, and in which order. Stays out: what is built (the layers), what starts
by itself (`automation`), and the report of what was built (`run_report`). Every run is an ordinary run of the
persistent instance, so the UI shows it like a scheduled one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.alerts import QUIET, judge_and_tell
from analytics_platform.defs.begun_backfills import Place
from analytics_platform.defs.changes import Watermark, first_day_to_build, has_changed_since, last_watermark
from analytics_platform.defs.held_back import held_back
from analytics_platform.defs.instance import CODE_LOCATION, open_instance
from analytics_platform.defs.interrupted import raise_interrupt
from analytics_platform.defs.look_back import look_back_spans
from analytics_platform.defs.partitions import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    TENANT_PARTITIONS,
    DayTenant,
    contiguous,
    days_between,
    parse_day,
    parse_raw_key,
    partitions_from,
    range_tags,
    rectangles,
)
from analytics_platform.defs.removed_days import LeftOut, daily_parts, raw_parts, refuse_removed_day
from analytics_platform.defs.resources import store_from
from analytics_platform.defs.retention import remove_again
from analytics_platform.defs.run_report import RunReport
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.retention.lock import refuse_while_removing
from analytics_platform.governance.retention.sink import CannotCountError
from analytics_platform.intake.collector.waiting import waiting_line
from analytics_platform.lake.changes import landed_partitions, stale_partitions
from analytics_platform.lake.layout import DEAD_PREFIX
from analytics_platform.lake.removals import Removals, read_removals
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings

Progress = Callable[[int, int], None]
"""Told the partitions built and the partitions to build."""


class NothingLandedError(AnalyticsError):
    """There is nothing to build from."""


class DayOutOfRangeError(AnalyticsError):
    """A day was asked for that has no partition."""


@dataclass(frozen=True)
class Step:
    """One run to do: a job, the layers of it, and its partitions as run tags.

    Where `assets` are named, those of them alone are built; those `left_out` are not.
    """

    job: str
    layers: tuple[str, ...]
    tags: dict[str, str]
    partitions: int
    assets: frozenset[dg.AssetKey] = frozenset()
    left_out: LeftOut = frozenset()

    @property
    def first(self) -> date:
        """The first of its days."""
        return parse_day(self.tags[RANGE_START_TAG])

    @property
    def days(self) -> list[date]:
        """All of them."""
        return days_between(self.first, parse_day(self.tags[RANGE_END_TAG]))

    @property
    def place(self) -> Place:
        """Its job and range, which tell it from the other steps of a backfill."""
        return self.job, self.tags.get(RANGE_START_TAG), self.tags.get(RANGE_END_TAG)

    def builds(self, key: dg.AssetKey) -> bool:
        """Whether the run builds an asset of its job."""
        is_chosen = not self.assets or key in self.assets
        return is_chosen and keys.layer(key) in self.layers and key not in self.left_out

    def without(self, days: AbstractSet[date]) -> list[Step]:
        """The step over its days but these, as one step per span; an ingestion, which is by tenant too, stays whole."""
        if self.job == jobs.INGEST or not days:
            return [self]
        spans = contiguous([day for day in self.days if day not in days])
        return [
            replace(
                self, tags={**self.tags, **range_tags(span[0].isoformat(), span[-1].isoformat())}, partitions=len(span)
            )
            for span in spans
        ]


@dataclass(frozen=True)
class Reach:
    """The last day of the sources (ledger, warehouse, staging) and that of the figures made from them."""

    sources: date
    figures: date


def default_reach(landed: Sequence[date], running: date, built_to: date | None) -> Reach:
    """How far a run goes that is not told: sources to the newest landed day, figures to the last closed one.

    What was built before stays current, since late facts move the days after their own too. A lake that holds nothing
    but the running day is built for it.

    Args:
        landed: days that have landed; at least one.
        running: the running day.
        built_to: the last day that figures were built for.
    """
    newest = max([*landed, built_to] if built_to else landed)
    closed = running - timedelta(days=1)
    if min(landed) > closed:
        return Reach(newest, newest)
    return Reach(newest, max([min(newest, closed), built_to] if built_to else [min(newest, closed)]))


def run_days(
    settings: Settings,
    first: date | None = None,
    last: date | None = None,
    progress: Progress | None = None,
    *,
    definitions: dg.Definitions | None = None,
) -> RunReport:
    """Build everything for the days `first` to `last`.

    Raw partitions: every stale one up to `last`, and those days for all tenants. Warehouse and staging from the
    oldest of them; marts, KPIs and extracts for `first` to `last`; dashboards as of the newest built day.

    The running day is half a day: by default its events come as far as the ledger, the warehouse and staging, and
    figures end with the last closed day. Whoever wants figures of it names it as `last`.

    Args:
        settings: the deployment.
        first: first day; by default the earliest that has changed since the last complete build.
        last: last day; by default the newest closed one that has landed.
        progress: told how far it is.
        definitions: the graph; by default the deployment's own.

    Raises:
        NothingLandedError: no day is given and the lake is empty.
        RemovedDayError: retention has removed all of the first day.
        RemovalUnderWayError: days of the run are being removed at this moment.
        DayOutOfRangeError: a day is outside the partitions, or `first` is after `last`.
    """
    definitions = definitions or load_definitions(settings)
    with open_instance(settings) as instance:
        report = _Driver(settings, definitions, instance, progress).run(first, last)
        report.look = judge_and_tell(settings, definitions, instance)
    return report


def run_steps(
    settings: Settings,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    steps: Sequence[Step],
    progress: Progress | None = None,
    *,
    built: AbstractSet[Place] = frozenset(),
) -> RunReport:
    """Run the steps in order, as far as they succeed, and judge what came of it.

    Args:
        settings: the deployment.
        definitions: the graph.
        instance: where the runs are recorded.
        steps: in their order; days that retention has removed are left out of them.
        progress: told how far it is.
        built: places of runs that were done before, which are not done again.
    """
    driver = _Driver(settings, definitions, instance, progress)
    report = driver.run_steps(steps, built)
    report.look = judge_and_tell(settings, definitions, instance)
    return report


def nothing_landed(settings: Settings, store: ObjectStore) -> NothingLandedError:
    """That there is nothing to build from, and what brings something in."""
    return NothingLandedError(f"nothing has landed yet, so there is no day to build; {_landing_mend(settings, store)}")


def load_definitions(settings: Settings) -> dg.Definitions:
    """The deployment's own graph."""
    definitions = importlib.import_module(CODE_LOCATION).build_definitions(settings)
    assert isinstance(definitions, dg.Definitions)
    return definitions


def run_partition(
    settings: Settings, job: str, partition: str, *, definitions: dg.Definitions | None = None
) -> RunReport:
    """Run a job over one of its partitions, in this process.

    Args:
        settings: the deployment.
        job: its name; all its assets have the same partitions.
        partition: Dagster's key.
        definitions: the graph; by default the deployment's own.
    """
    resolved = (definitions or load_definitions(settings)).resolve_job_def(job)
    report = RunReport(None, None)
    with open_instance(settings) as instance:
        result = resolved.execute_in_process(
            instance=instance, partition_key=partition, raise_on_error=False, run_config=QUIET
        )
        raise_interrupt(result)
        report.add_run(job, result)
    return report


class _Driver:
    """One call of `run_days`: holds what its steps share."""

    def __init__(
        self,
        settings: Settings,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        progress: Progress | None,
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._definitions = definitions
        self._progress = progress
        self._store: ObjectStore = store_from(settings)
        self._partitions = partitions_from(settings.history_start, settings.reporting_time_zone)
        self._earliest, self._running = self._partitions.first_day, self._partitions.last_day(datetime.now(UTC))
        catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
        self._registered, self._streams = list(catalog.tenants), list(catalog.streams)
        self._removals = read_removals(self._store)
        self._report = RunReport(None, None)
        self._avoided: set[date] = set()
        self._is_broken = False
        self._done = 0
        self._total = 0

    def run(self, first: date | None, last: date | None) -> RunReport:
        """Raw partitions first, since only they tell which days the rest has to cover."""
        watermark = last_watermark(self._instance)
        reach = Reach(last, last) if last else self._reach(watermark)
        self._refuse_missing_days(first, reach.figures)
        tenants = self._sync_tenants()
        if first:
            refuse_removed_day(self._removals, self._streams, tenants, first)
        stale = [part for part in self._stale(reach.sources) if part[1] in tenants]
        asked = [(day, tenant) for day in (days_between(first, reach.figures) if first else []) for tenant in tenants]
        refuse_while_removing(self._store, min([*stale, *asked], default=(reach.figures, ""))[0], datetime.now(UTC))
        # Its end is not the run's: without what is likely to follow, progress would reach all of it and fall back.
        ahead = _likely_days(min({*stale, *asked})[0], reach) if stale or asked else 0
        self._do(_ingest_steps({*stale, *asked}, tenants, self._streams, self._removals), ahead)
        # What raw holds by now is loaded below; what is written from now on is the next run's business.
        seen_until = datetime.now(UTC)
        needed = first_day_to_build(self._store, watermark)
        start = first or needed
        oldest = min((day for day, _ in stale), default=None)
        if start is not None and start <= reach.figures:
            self._build(start, needed, oldest, reach, watermark, seen_until)
        elif watermark and (oldest or has_changed_since(self._store, watermark)):
            tags = Watermark(seen_until, watermark.built_to).tags()
            self._do(self._cut(_source_step(oldest or reach.sources, reach.sources, tags)))
        self._look_back()
        return self._report

    def run_steps(self, steps: Sequence[Step], built: AbstractSet[Place]) -> RunReport:
        """These steps and no others, as far as retention has left their days, and what they have made good."""
        # A run that was done before was of such a part: the parts are compared, and not the steps.
        self._do([part for step in steps for part in self._cut(step) if part.place not in built])
        self._remove_again(min((step.first for step in steps), default=date.max))
        self._look_back()
        return self._report

    def _build(
        self,
        start: date,
        needed: date | None,
        oldest: date | None,
        reach: Reach,
        watermark: Watermark | None,
        seen_until: datetime,
    ) -> None:
        """Sources from the oldest stale day, figures from `start`, pages as of the newest day that is built then."""
        self._report.first, self._report.last = start, reach.figures
        as_of = max(reach.figures, watermark.built_to) if watermark else reach.figures
        refuse_while_removing(self._store, start, datetime.now(UTC))
        steps = _build_steps(min(start, oldest or start), start, reach)
        self._do([part for step in steps for part in self._cut(step)], ahead=1)  # the pages' step
        # A build that leaves days out is not complete: the next one tries them again.
        complete = not self._avoided and (needed is None or (start <= needed and reach.figures == as_of))
        good = {
            as_of,
            *days_between(start, reach.figures),
            *([watermark.built_to] if watermark else []),
        } - self._avoided
        if good:
            self._do([_publish_step(max(good), Watermark(seen_until, as_of).tags() if complete else {})])
        self._remove_again(min(start, oldest or start))

    def _cut(self, step: Step) -> list[Step]:
        """A step over days, apart where retention has removed an asset's days for every tenant.

        An ingestion stays whole: it was made of what retention has left of each tenant (`raw_steps`).
        """
        if not self._removals or step.job == jobs.INGEST:
            return [step]
        parts = daily_parts(step.days, self._chosen(step), self._removals, self._registered)
        return [
            replace(
                step,
                tags={**step.tags, **range_tags(first.isoformat(), last.isoformat())},
                partitions=(last - first).days + 1,
                left_out=left_out,
            )
            for left_out, first, last in parts
        ]

    def _remove_again(self, first: date) -> None:
        """A build makes days of all tenants: take out what was removed of one of them and came back with the others."""
        newest = max((each.through for every in self._removals.by_place.values() for each in every), default=date.min)
        if newest < first:
            return
        try:
            remove_again(self._settings, self._store, self._removals, first)
        except CannotCountError:
            # A build that failed may have left a table unmade. Its report says why; the next build removes.
            if not self._is_broken:
                raise

    def _do(self, steps: Sequence[Step], ahead: int = 0) -> None:
        """Run the steps in order; nothing follows a run that failed, it would build on yesterday's rows.

        But where blocking checks name the days that are bad, it is those alone that nothing follows.

        Args:
            steps: in their order.
            ahead: partitions that are likely to follow, for progress to count with.
        """
        self._total += sum(step.partitions for step in steps)
        for step in steps:
            for part in step.without(self._avoided):
                if not self._is_broken:
                    self._report.removed += len(part.left_out) * part.partitions
                    self._attempt(part)
            self._done += step.partitions
            if self._progress:
                self._progress(self._done, self._total + ahead)

    def _attempt(self, step: Step) -> None:
        """Run a step, and where blocking checks hold days back, its rest for the others.

        Where retention has left nothing of it, there is nothing to run.
        """
        if not self._chosen(step):
            return
        run_id = self._run(step)
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.status == dg.DagsterRunStatus.SUCCESS:
            return
        held = held_back(self._instance, run)
        if held is None:
            self._is_broken = True
            return
        self._avoided |= held.days | set(held.left_out)
        self._report.add_held_back(held)
        for span in held.spans:
            days = (span[1] - span[0]).days + 1
            self._attempt(replace(step, tags=held.rest_tags(step.tags, span), partitions=days, assets=held.assets))

    def _look_back(self) -> None:
        """Judge promises and record checks: also when nothing was to build, and most of all when something failed."""
        for key, (first, last) in look_back_spans(self._instance, self._partitions, datetime.now(UTC)).items():
            tags = range_tags(first.isoformat(), last.isoformat())
            self._run(Step(jobs.LOOK_BACK, ("ops",), tags, (last - first).days + 1, frozenset({key})))

    def _run(self, step: Step) -> str:
        result = self._definitions.resolve_job_def(step.job).execute_in_process(
            instance=self._instance,
            asset_selection=self._chosen(step),
            tags=step.tags,
            raise_on_error=False,
            run_config=QUIET,
        )
        raise_interrupt(result)
        self._report.add_run(step.job, result)
        return result.run_id

    def _chosen(self, step: Step) -> list[dg.AssetKey]:
        """The assets that a step builds."""
        assets = self._definitions.resolve_job_def(step.job).asset_layer.executable_asset_keys
        return [key for key in assets if step.builds(key)]

    def _reach(self, watermark: Watermark | None) -> Reach:
        landed = [day for day, _ in landed_partitions(self._store, self._earliest, self._running)]
        if not landed:
            raise nothing_landed(self._settings, self._store)
        return default_reach(landed, self._running, watermark.built_to if watermark else None)

    def _refuse_missing_days(self, first: date | None, last: date) -> None:
        if first and first > last:
            raise DayOutOfRangeError(f"the first day, {first}, is after the last, {last}")
        for day in filter(None, (first, last)):
            if not self._earliest <= day <= self._running:
                days = f"{self._earliest} (ANALYTICS_HISTORY_START) to {self._running}"
                raise DayOutOfRangeError(f"{day} has no partition: days go from {days}")

    def _sync_tenants(self) -> list[str]:
        """Add what the registry has and Dagster has not; answer in Dagster's order, which its ranges go by."""
        known = self._instance.get_dynamic_partitions(TENANT_PARTITIONS)
        missing = [tenant for tenant in self._registered if tenant not in known]
        self._instance.add_dynamic_partitions(TENANT_PARTITIONS, missing)
        return [*self._instance.get_dynamic_partitions(TENANT_PARTITIONS)]

    def _stale(self, last: date) -> list[DayTenant]:
        """Partitions that the lake lacks, and those that it has but Dagster does not know of.

        The latter are of a run that was killed between the two, or of an instance that was made anew.
        """
        stale = set(stale_partitions(self._store, self._earliest, last, streams=self._streams))
        landed = set(landed_partitions(self._store, self._earliest, last))
        for stream in self._streams:
            known = self._instance.get_materialized_partitions(keys.raw(stream))
            unknown = landed - {parse_raw_key(key) for key in known}
            stale |= {(day, tenant) for day, tenant in unknown if not self._removals.covers_raw(stream, tenant, day)}
        return sorted(stale)


def _landing_mend(settings: Settings, store: ObjectStore) -> str:
    if waiting := waiting_line(settings.spool_root, settings.collector_segment_seconds, datetime.now(UTC)):
        return waiting
    if any(store.list(DEAD_PREFIX)):
        return "all that came was refused: `analytics dead-letters show` says why"
    return "bring events in with `analytics import`"


def raw_steps(
    partitions: AbstractSet[DayTenant],
    tenants: Sequence[str],
    streams: Sequence[str],
    removals: Removals,
    assets: frozenset[dg.AssetKey] = frozenset(),
) -> list[Step]:
    """One run per rectangle and per what retention has left of it.

    What it has left nothing of comes last, as steps that build nothing: they are counted as left out.

    Args:
        partitions: days and tenants.
        tenants: in Dagster's order.
        streams: those of `assets`, or all.
        removals: what retention has removed.
        assets: the raw assets to build; all, and landing observed, when empty.
    """
    parts = raw_parts(partitions, streams, removals)
    gone = set(partitions).difference(*(part for _, part in parts))
    return [
        Step(jobs.INGEST, jobs.INGEST_LAYERS, rectangle.tags, len(rectangle.partitions), assets, left_out)
        for left_out, part in [*parts, (frozenset(map(keys.raw, streams)), gone)]
        for rectangle in rectangles(part, tenants)
    ]


def _ingest_steps(
    partitions: AbstractSet[DayTenant], tenants: Sequence[str], streams: Sequence[str], removals: Removals
) -> list[Step]:
    """Raw steps, of which the first alone observes landing."""
    steps = raw_steps(partitions, tenants, streams, removals)
    return [*steps[:1], *(replace(step, layers=("raw",)) for step in steps[1:])]


def _build_steps(load_from: date, first: date, reach: Reach) -> list[Step]:
    """One run when loads and figures cover the same days, else the loads' longer span goes first."""
    if load_from == first and reach.sources == reach.figures:
        return [_daily_step(jobs.BUILD, jobs.SOURCE_LAYERS + jobs.FIGURE_LAYERS, first, reach.figures)]
    return [
        _daily_step(jobs.BUILD, jobs.SOURCE_LAYERS, load_from, reach.sources),
        _daily_step(jobs.BUILD, jobs.FIGURE_LAYERS, first, reach.figures),
    ]


def _likely_days(first: date, reach: Reach) -> int:
    """What building from a day and the pages come to, as progress counts it; nothing beyond the last day of figures."""
    if first > reach.figures:
        return 0
    return sum(step.partitions for step in _build_steps(first, first, reach)) + 1


def _source_step(first: date, last: date, tags: dict[str, str]) -> Step:
    """Sources alone, of days whose figures have to wait; what they rest on is noted as seen."""
    return _tagged(_daily_step(jobs.BUILD, jobs.SOURCE_LAYERS, first, last), tags)


def _publish_step(day: date, tags: dict[str, str]) -> Step:
    return _tagged(_daily_step(jobs.PUBLISH, jobs.PAGE_LAYERS, day, day), tags)


def _tagged(step: Step, tags: dict[str, str]) -> Step:
    return replace(step, tags={**step.tags, **tags})


def _daily_step(job: str, layers: tuple[str, ...], first: date, last: date) -> Step:
    days = (last - first) // timedelta(days=1) + 1
    return Step(job, layers, range_tags(first.isoformat(), last.isoformat()), days)
