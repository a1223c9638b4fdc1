"""Runs and checks as they ended, into what is wrong and what is right again. Pure.

Belongs here: what a failed run or check is a finding about, and what a later run proves to be right. Stays out: how
Dagster records them (`defs.watching`), and figures, promises and dead letters (`figures`).

    seen                                             found
    check of a partition, failed                     wrong there
    check of a partition, passed                     right there
    check of a run as a whole                        the same for the run's partitions, where it tells none apart
    the summary beside checks of partitions          no second failure; passing, it is right for all of them
    many partitions of a check in one run            each is listed, told together as one incident
    run failed by blocking checks                    wrong where the first of them is: the router makes it one
    run failed otherwise                             wrong in its first failed step's asset, for its partitions
    asset built, by whichever run                    its failed runs are right for those partitions
    check of a governance asset                      retention or access, by what the asset is called
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from analytics_platform.alerting.findings import Amount, Failure, Finding, Fingerprint, Observation

MOST_EACH = 3
"""So many partitions of one check are incidents of their own; more in one run are one cause, told once."""

MOST_PARTITIONS = 1_000
"""A failed run is wrong in each of so many partitions, and right again with each; beyond that by spans and tenants."""

SPAN_DAYS = 31
"""Days of such a span: what is built again is built in such runs, each of which then makes one good."""

CHECKS = frozenset({Failure.CHECK_FAILED, Failure.RETENTION, Failure.ACCESS})
RUNS_AND_CHECKS = CHECKS | {Failure.RUN_FAILED}

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_GOVERNANCE = "governance/"
_RETENTION, _ACCESS = ("retention", "erasure"), ("access",)
_TOLD_BY_FIGURES = re.compile(r"no_anomaly_in_\w+|\w+_promises_are_kept|dead_letter_share_is_within_limit")
"""Checks of the rows by which `figures` finds anomalies, broken promises and refused events, tenant by tenant.

They would tell each a second time.
"""


@dataclass(frozen=True)
class Place:
    """Partitions.

    Attributes:
        first: first day; None for everything, or for what has no partitions.
        last: last day.
        tenants: whose; None where partitions are of all tenants together.
    """

    first: date | None = None
    last: date | None = None
    tenants: tuple[str, ...] | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether all that a finding is about lies here."""
        if self.first is None or self.last is None:
            return True
        if finding.days is None or not (self.first <= finding.days[0] and finding.days[1] <= self.last):
            return False
        if self.tenants is None or finding.tenant in self.tenants:
            return True
        return finding.tenant is None and len(self.tenants) > 1

    @property
    def tenant(self) -> str | None:
        """The tenant, where it is one."""
        return self.tenants[0] if self.tenants and len(self.tenants) == 1 else None

    def cells(self) -> Iterator[Place]:
        """Its partitions one by one; where they are too many, its tenants one by one in spans of days."""
        tenants: Sequence[tuple[str, ...] | None] = [(each,) for each in self.tenants] if self.tenants else [None]
        if self.first is None or self.last is None:
            yield from (Place(None, None, each) for each in tenants)
            return
        days = (self.last - self.first).days + 1
        size = 1 if days * len(tenants) <= MOST_PARTITIONS else SPAN_DAYS
        for first in (self.first + timedelta(n) for n in range(0, days, size)):
            last = min(self.last, first + timedelta(size - 1))
            yield from (Place(first, last, each) for each in tenants)


EVERYTHING = Place()


def place_of(partition: str) -> Place:
    """Where a partition's key points to: a day, a day and tenant, or (weeks, quarters) the day that it begins on.

    A key that holds no day speaks for everything.
    """
    day, _, tenant = partition.partition("|")
    if not _DAY.fullmatch(day):
        return EVERYTHING
    first = date.fromisoformat(day)
    return Place(first, first, (tenant,) if tenant else None)


@dataclass(frozen=True)
class CheckSeen:
    """An evaluation of a check.

    Attributes:
        asset: key of what was checked.
        dataset: its name in the registry.
        check: the check's name.
        place: what it judged.
        is_summary: whether it speaks for a run as a whole.
        passed: whether it holds.
        blocks: whether it keeps what lies downstream from being built.
        at: when.
        failed: units that do not hold, where it counts them.
        checked: units that it judged.
        threshold: share of them that may fail, where some may.
        could_not_run: whether the check itself broke.
    """

    asset: str
    dataset: str
    check: str
    place: Place
    is_summary: bool
    passed: bool
    blocks: bool
    at: datetime
    failed: int | None = None
    checked: int | None = None
    threshold: float | None = None
    could_not_run: bool = False


@dataclass(frozen=True)
class RunSeen:
    """A run that has ended.

    Attributes:
        run_id: its id.
        ended_at: when.
        failed: whether it failed; one that was called off did not.
        place: its partitions.
        built: the assets that it has built.
        checks: what was checked in it.
        broke: the asset of its first failed step, and its dataset; None where every failed step is a check's.
    """

    run_id: str
    ended_at: datetime
    failed: bool
    place: Place
    built: frozenset[str]
    checks: tuple[CheckSeen, ...]
    broke: tuple[str, str] | None = None


def judge_runs(runs: Iterable[RunSeen], known: Iterable[Finding]) -> Observation:
    """What runs prove, one after the other: what was broken and mended among them is no news.

    Args:
        runs: runs that have ended.
        known: what is wrong by what was known before, of `RUNS_AND_CHECKS`.
    """
    wrong = {finding.fingerprint: finding for finding in known}
    found: dict[Fingerprint, Finding] = {}
    right: set[Fingerprint] = set()
    for run in sorted(runs, key=lambda each: each.ended_at):
        for mended in _mended(run, wrong.values()):
            right.add(mended)
            found.pop(mended, None)
            del wrong[mended]
        for finding in _broken(run):
            wrong[finding.fingerprint] = found[finding.fingerprint] = finding
    return Observation(tuple(found.values()), frozenset(right - found.keys()))


def failure_of(asset: str) -> Failure:
    """The class of a failed check: governance's assets say by their names what they look after."""
    if asset.startswith(_GOVERNANCE):
        name = asset.removeprefix(_GOVERNANCE)
        if any(word in name for word in _RETENTION):
            return Failure.RETENTION
        if any(word in name for word in _ACCESS):
            return Failure.ACCESS
    return Failure.CHECK_FAILED


def _mended(run: RunSeen, wrong: Iterable[Finding]) -> set[Fingerprint]:
    """What the run proves right, of what is wrong."""
    passed = [check for checks in _latest(run).values() for check in checks if check.passed]
    return {finding.fingerprint for finding in wrong if _is_mended(run, passed, finding)}


def _is_mended(run: RunSeen, passed: Iterable[CheckSeen], finding: Finding) -> bool:
    if finding.failure is Failure.RUN_FAILED:
        return finding.asset in run.built and run.place.covers(finding)
    own = (check for check in passed if (check.asset, check.check) == (finding.asset, finding.check))
    return any(check.place.covers(finding) for check in own)


def _broken(run: RunSeen) -> Iterator[Finding]:
    """What the run found wrong, and that it failed itself."""
    blocking: list[Finding] = []
    for checks in _latest(run).values():
        failed = _failed(checks)
        together = _group(run, failed[0].asset, failed[0].check) if len(failed) > MOST_EACH else None
        findings = [_failed_check(check, run, together) for check in failed]
        yield from findings
        blocking += [each for each in findings if each.blocking]
    if run.failed:
        yield from _failed_run(run, blocking)


def _latest(run: RunSeen) -> dict[tuple[str, str], list[CheckSeen]]:
    """By check, the last evaluation of each place."""
    latest: dict[tuple[str, str], dict[tuple[Place, bool], CheckSeen]] = defaultdict(dict)
    for check in sorted(run.checks, key=lambda each: each.at):
        if _TOLD_BY_FIGURES.fullmatch(check.check) and not check.could_not_run:
            continue
        latest[check.asset, check.check][check.place, check.is_summary] = check
    return {key: [*checks.values()] for key, checks in latest.items()}


def _failed(checks: Sequence[CheckSeen]) -> list[CheckSeen]:
    """What fails of one check: partitions where it tells them apart, else its summary."""
    apart = [check for check in checks if not check.is_summary]
    return [check for check in apart or checks if not check.passed]


def _failed_check(check: CheckSeen, run: RunSeen, together: str | None) -> Finding:
    observed, promised = _counted(check)
    return Finding(
        failure=failure_of(check.asset),
        asset=check.asset,
        dataset=check.dataset,
        check=check.check,
        since=check.at,
        observed=observed,
        promised=promised,
        blocking=check.blocks,
        run_id=run.run_id,
        together=together,
        could_not_run=check.could_not_run,
        **_where(check.place),
    )


def _failed_run(run: RunSeen, blocking: Sequence[Finding]) -> Iterator[Finding]:
    """A run that its checks failed is told with the first of them, any other with the asset that broke."""
    if run.broke is None:
        if blocking:
            yield blocking[0].model_copy(
                update={
                    "failure": Failure.RUN_FAILED,
                    "check": None,
                    "observed": None,
                    "promised": None,
                    "blocking": False,
                    "together": None,
                    "could_not_run": False,
                }
            )
        return
    asset, dataset = run.broke
    cells = [*run.place.cells()]
    for cell in cells:
        yield Finding(
            failure=Failure.RUN_FAILED,
            asset=asset,
            dataset=dataset,
            since=run.ended_at,
            run_id=run.run_id,
            together=_group(run, asset) if len(cells) > 1 else None,
            **_where(cell),
        )


def _group(run: RunSeen, *names: str) -> str:
    """A word for what one run broke in one place."""
    return hashlib.sha256("\x1f".join((run.run_id, *names)).encode()).hexdigest()[:16]


def _where(place: Place) -> dict[str, date | str | None]:
    last = place.last if place.last != place.first else None
    return {"day": place.first, "last_day": last, "tenant": place.tenant}


def _counted(check: CheckSeen) -> tuple[Amount | None, Amount | None]:
    """What was found and what was promised, where the check counts."""
    if check.could_not_run or check.failed is None:
        return None, None
    if check.threshold is not None and check.checked:
        share = Amount(value=100 * check.failed / check.checked, unit="percent")
        return share, Amount(value=100 * check.threshold, unit="percent")
    return Amount(value=check.failed, unit="failures"), Amount(value=0, unit="failures")
