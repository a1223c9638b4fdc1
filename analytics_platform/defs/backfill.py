"""Building partitions again because somebody asks for it: which runs that takes, and doing them.

A backfill carries a reason, and stands back for the hour: it is done month by month, so that the warehouse is free in
between, its runs count against the limit of backfills in Dagster's queue, and there is one of them at a time.

Belongs here: from assets, days and tenants to steps. Stays out: how a step is run (`runs`).
"""

from __future__ import annotations

import difflib
import importlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.begun_backfills import (
    Asked,
    BackfillRefusedError,
    Begun,
    all_begun,
    begun_before,
)
from analytics_platform.defs.changes import last_watermark
from analytics_platform.defs.instance import CODE_LOCATION, open_instance
from analytics_platform.defs.partitions import (
    TENANT_PARTITIONS,
    Partitions,
    days_between,
    partitions_from,
    range_tags,
)
from analytics_platform.defs.pools import BACKFILL_TAG
from analytics_platform.defs.resources import store_from
from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import Progress, Step, nothing_landed, raw_steps, run_steps
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.changes import stale_partitions
from analytics_platform.lake.layout import LANDING_PREFIX, RAW_PREFIX
from analytics_platform.lake.removals import read_removals
from analytics_platform.settings import Settings

CHUNK_DAYS = 31
"""Days that are built at once: the hourly run waits no longer than a month's build for the warehouse."""

REASON_TAG = "analytics/reason"
MAX_REASON_CHARACTERS = 200

_BUILD_LAYERS = jobs.SOURCE_LAYERS + jobs.FIGURE_LAYERS
_JOBS = (jobs.INGEST, jobs.BUILD, jobs.LOOK_BACK, jobs.PUBLISH)
_BY_TENANT = frozenset(jobs.INGEST_LAYERS)
_SIMILAR = 5


class BackfillAtWorkError(AnalyticsError):
    """Another backfill is at work in this home."""


@dataclass
class BackfillReport:
    """What a backfill did: what it was asked for as it was understood, its runs, and others that broke off before."""

    begun: Begun
    others: list[Begun] = field(default_factory=list)
    report: RunReport = field(default_factory=lambda: RunReport(None, None))

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`; the names are stable."""
        return {
            **self.report.as_dict(),
            **self.begun.as_dict(),
            "broken_off": [each.as_dict() for each in self.others],
        }


def backfill(
    settings: Settings,
    asked: Asked | None,
    progress: Progress | None = None,
    *,
    resume: str | None = None,
    definitions: dg.Definitions | None = None,
) -> BackfillReport:
    """Build partitions again, and everything that is made from them for those days.

    Raw assets are built for the tenants that are named; all others hold a day of all tenants together, and before them
    come the raw partitions of those days that lack something which has landed. Dashboards show the newest built day, so
    they are built as of that.

    What a backfill that was killed or has failed was asked for stays on record until it has come to its end: whoever
    takes it up builds the rest of it and leaves out which of its runs have succeeded.

    Args:
        settings: the deployment.
        asked: what to build, and why; None for the rest of one that broke off.
        progress: told how far it is.
        resume: which of those that broke off; the newest by default.
        definitions: the graph; by default the deployment's own.

    Raises:
        BackfillRefusedError: an asset, a day, a tenant or the reason cannot be, or none broke off; names the option.
        BackfillAtWorkError: another one is at work.
        NothingLandedError: there is nothing to build from.
    """
    definitions = definitions or importlib.import_module(CODE_LOCATION).build_definitions(settings)
    with _alone(settings), open_instance(settings) as instance:
        plan = Plan(settings, definitions, instance)
        if asked:
            begun = Begun(uuid.uuid4().hex[:8], plan.understood(asked))
            plan.refuse_where_nothing_landed()
        else:
            begun = begun_before(settings.home, resume, "--resume")
        begun.record(settings.home)
        done = BackfillReport(begun)
        tags = {BACKFILL_TAG: begun.backfill_id, REASON_TAG: begun.asked.reason}
        with _telling_who_interrupts(begun):
            steps = [replace(step, tags={**step.tags, **tags}) for step in plan.steps(begun.asked)]
            done.report = run_steps(settings, definitions, instance, steps, progress, built=begun.built(instance))
        done.report.first, done.report.last = begun.asked.first, begun.asked.last
        if all(run.status == dg.DagsterRunStatus.SUCCESS.value for run in done.report.runs):
            begun.forget(settings.home)
        done.others = [each for each in all_begun(settings.home) if each.backfill_id != begun.backfill_id]
    return done


def give_up(settings: Settings, backfill_id: str) -> Begun:
    """Forget one that broke off: its rest is not wanted any more.

    Raises:
        BackfillRefusedError: there is none of that id.
        BackfillAtWorkError: one is at work.
    """
    with _alone(settings):
        begun = begun_before(settings.home, backfill_id, "--forget")
        begun.forget(settings.home)
    return begun


class Plan:
    """From what is asked for to steps."""

    def __init__(self, settings: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self._settings = settings
        self._graph = definitions.resolve_asset_graph()
        self._raw = frozenset(key for key in self._graph.get_all_asset_keys() if keys.layer(key) == "raw")
        self._of_job = {
            job: frozenset(definitions.resolve_job_def(job).asset_layer.executable_asset_keys) for job in _JOBS
        }
        self._partitions: Partitions = partitions_from(settings.history_start, settings.reporting_time_zone)
        self._running = self._partitions.last_day(datetime.now(UTC))
        self._store = store_from(settings)
        self._removals = read_removals(self._store)
        catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
        self._streams, registered = list(catalog.streams), list(catalog.tenants)
        known = instance.get_dynamic_partitions(TENANT_PARTITIONS)
        instance.add_dynamic_partitions(TENANT_PARTITIONS, [each for each in registered if each not in known])
        self._tenants = [*instance.get_dynamic_partitions(TENANT_PARTITIONS)]
        watermark = last_watermark(instance)
        self._built_to = watermark.built_to if watermark else None

    def refuse_where_nothing_landed(self) -> None:
        """What retention and backups have left of a lake may be raw alone: that can be built from.

        Raises:
            NothingLandedError: the lake holds neither.
        """
        if not any(self._store.list(prefix) for prefix in (LANDING_PREFIX, RAW_PREFIX)):
            raise nothing_landed(self._settings, self._store)

    def understood(self, asked: Asked) -> Asked:
        """What is asked for with nothing left open.

        Raises:
            BackfillRefusedError: it cannot be built.
        """
        reason = " ".join(asked.reason.split())
        if not reason or len(reason) > MAX_REASON_CHARACTERS:
            raise BackfillRefusedError(
                f"--reason: write why, in 1 to {MAX_REASON_CHARACTERS} characters; whoever reads the runs wants to know"
            )
        if asked.last and not asked.first:
            raise BackfillRefusedError("--to: there is no first day; write --from as well")
        assets = tuple(self._known(name) for name in asked.assets) or tuple(
            sorted(key.to_user_string() for key in self._raw)
        )
        first = asked.first or self._newest_day()
        last = asked.last or first
        self._refuse_days(first, last)
        self._refuse_tenants(asked.tenants, assets)
        return Asked(assets, first, last, asked.tenants, reason)

    def steps(self, asked: Asked) -> Iterator[Step]:
        """The runs, oldest days first; raw partitions before what is made from them."""
        assert asked.first is not None
        assert asked.last is not None
        chosen = self._chosen(asked)
        for first, last in _chunks(asked.first, asked.last):
            yield from self._ingest(chosen, first, last, asked.tenants or tuple(self._tenants))
            if built := chosen & self._of_job[jobs.BUILD]:
                yield _daily(jobs.BUILD, _BUILD_LAYERS, built, first, last)
            if named := chosen & self._of_job[jobs.LOOK_BACK]:
                yield _daily(jobs.LOOK_BACK, _BUILD_LAYERS, named, first, last)
        if pages := chosen & self._of_job[jobs.PUBLISH]:
            as_of = max(asked.last, self._built_to or asked.last)
            yield _daily(jobs.PUBLISH, jobs.PAGE_LAYERS, pages, as_of, as_of)

    def _ingest(
        self, chosen: frozenset[dg.AssetKey], first: date, last: date, tenants: Sequence[str]
    ) -> Iterator[Step]:
        """Raw partitions that are asked for; else those that lack what has landed, which the rest would lack too."""
        raw = chosen & self._of_job[jobs.INGEST]
        asked = {(day, tenant) for day in days_between(first, last) for tenant in tenants}
        wanted = asked if raw else asked.intersection(stale_partitions(self._store, first, last, streams=self._streams))
        streams = [stream for stream in self._streams if not raw or keys.raw(stream) in raw]
        yield from raw_steps(wanted, self._tenants, streams, self._removals, raw)

    def _chosen(self, asked: Asked) -> frozenset[dg.AssetKey]:
        """What is named, what is made from it, and what that reads that no event makes.

        Histories of what runs did follow every run by themselves.
        """
        named = [dg.AssetKey.from_user_string(name) for name in asked.assets]
        chosen = self._made_from(named) - (frozenset(keys.LOOKING_BACK) - frozenset(named))
        return chosen | self._standing_below(chosen & self._of_job[jobs.BUILD])

    def _standing_below(self, built: frozenset[dg.AssetKey]) -> frozenset[dg.AssetKey]:
        """What is read by assets and made from no event: the tenant registry, exchange rates, the calendar.

        It is small, and lies below no raw asset; where it was never built or has changed, the rest would fail.
        """
        standing = self._of_job[jobs.BUILD] - self._made_from(self._raw)
        found: frozenset[dg.AssetKey] = frozenset()
        read = built
        while read := frozenset(key for each in read for key in self._graph.get(each).parent_keys) & standing - found:
            found |= read
        return found

    def _made_from(self, assets: Iterable[dg.AssetKey]) -> frozenset[dg.AssetKey]:
        """These assets and all that lies below them."""
        return frozenset(dg.AssetSelection.assets(*assets).downstream(include_self=True).resolve(self._graph))

    def _known(self, name: str) -> str:
        name = name.strip().strip("/")
        known = sorted(key.to_user_string() for key in self._graph.get_all_asset_keys())
        if name in known:
            if not any(dg.AssetKey.from_user_string(name) in of_job for of_job in self._of_job.values()):
                raise BackfillRefusedError(
                    f"--asset: {name} is not of days, so no day of it can be built; start its own job in Dagster's UI"
                )
            return name
        similar = [each for each in known if name and name in each] or difflib.get_close_matches(name, known)
        similar = similar[:_SIMILAR]
        mend = f"did you mean {', '.join(similar)}?" if similar else "Dagster's UI lists them under Assets"
        raise BackfillRefusedError(f"--asset: there is no asset {name!r}; {mend}")

    def _newest_day(self) -> date:
        """The newest built day, for what has no day of its own; before anything was built, the last closed one."""
        return self._built_to or self._running - timedelta(days=1)

    def _refuse_days(self, first: date, last: date) -> None:
        if first > last:
            raise BackfillRefusedError(f"--to: {last} is before the first day, {first}; swap them")
        for option, day in (("--from", first), ("--to", last)):
            if not self._partitions.first_day <= day <= self._running:
                raise BackfillRefusedError(
                    f"{option}: {day} has no partition; days go from {self._partitions.first_day} "
                    f"(ANALYTICS_HISTORY_START) to {self._running}, the running day"
                )

    def _refuse_tenants(self, tenants: Sequence[str], assets: Sequence[str]) -> None:
        for tenant in tenants:
            if tenant not in self._tenants:
                raise BackfillRefusedError(
                    f"--tenant: there is no tenant {tenant!r}; registered are {', '.join(sorted(self._tenants))}"
                )
        by_day = [name for name in assets if name.partition("/")[0] not in _BY_TENANT]
        if tenants and by_day:
            raise BackfillRefusedError(
                f"--tenant: a partition of {by_day[0]} is a day of all tenants together; leave --tenant out, or name "
                "a raw asset"
            )


@contextmanager
def _telling_who_interrupts(begun: Begun) -> Iterator[None]:
    """Note on an interrupt what takes it up: the same command would begin another one."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"`analytics backfill --resume {begun.backfill_id}` builds the rest")
        raise


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the home's one place for a backfill."""
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / "backfill.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BackfillAtWorkError(
            "another backfill is at work here, and two at once would leave no place for the hourly run; wait for it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _chunks(first: date, last: date) -> Iterator[tuple[date, date]]:
    while first <= last:
        end = min(last, first + timedelta(days=CHUNK_DAYS - 1))
        yield first, end
        first = end + timedelta(days=1)


def _daily(job: str, layers: tuple[str, ...], built: frozenset[dg.AssetKey], first: date, last: date) -> Step:
    days = (last - first) // timedelta(days=1) + 1
    return Step(job, layers, range_tags(first.isoformat(), last.isoformat()), days, built)
