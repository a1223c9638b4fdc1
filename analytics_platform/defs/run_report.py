"""What came of days that were built: runs, partitions and checks, as a person and a script are told of them.

Belongs here: the report of `runs`, and how it is read from Dagster's results. Stays out: what is run (`runs`), and how
it is printed (`cli.pipeline`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from analytics_platform.defs import jobs
from analytics_platform.defs.held_back import HeldBack
from analytics_platform.defs.watch import Look


@dataclass(frozen=True)
class FailedCheck:
    """A check that does not hold."""

    asset: str
    check: str
    description: str
    severity: str


@dataclass(frozen=True)
class HeldBackPartition:
    """A partition on which nothing was built, and the blocking check that says why."""

    partition: str
    asset: str
    check: str


@dataclass(frozen=True)
class RunOutcome:
    """One Dagster run."""

    run_id: str
    job: str
    status: str
    error: str | None


@dataclass
class RunReport:
    """What `run_days` did.

    Attributes:
        first: first day of KPIs and extracts, None when there was nothing to build.
        last: last day.
        built: partitions materialized per asset key; an asset without partitions counts 1.
        runs: every run, in order.
        checks_passed: evaluations that held.
        checks_failed: those that did not.
        held_back: bad partitions, on which nothing was built; the days around them were.
        left_out: good days that were not built, since the bad ones lie too scattered (`held_back`).
        look: what the judges of incidents made of it, once they have looked.
        removed: partitions that were not built because retention has removed them.
    """

    first: date | None
    last: date | None
    built: Counter[str] = field(default_factory=Counter)
    runs: list[RunOutcome] = field(default_factory=list)
    checks_passed: int = 0
    checks_failed: list[FailedCheck] = field(default_factory=list)
    held_back: list[HeldBackPartition] = field(default_factory=list)
    left_out: list[date] = field(default_factory=list)
    look: Look = field(default_factory=Look)
    removed: int = 0

    @property
    def ok(self) -> bool:
        """Whether all runs succeeded and no check failed that is more than a warning."""
        succeeded = all(run.status == dg.DagsterRunStatus.SUCCESS.value for run in self.runs)
        return succeeded and not any(check.severity == "ERROR" for check in self.checks_failed)

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to build, so that nothing but looking back was done."""
        return all(run.job == jobs.LOOK_BACK for run in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for `--json`; the names are stable."""
        return {
            "ok": self.ok,
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
            "built": dict(sorted(self.built.items())),
            "runs": [vars(run) for run in self.runs],
            "checks": {"passed": self.checks_passed, "failed": [vars(check) for check in self.checks_failed]},
            "held_back": [vars(partition) for partition in self.held_back],
            "left_out": [day.isoformat() for day in self.left_out],
            "removed": self.removed,
            "incidents": self.look.as_dict(),
        }

    def add_run(self, job: str, result: dg.ExecuteInProcessResult) -> None:
        """Count what a run of a job has built and judged."""
        for event in result.get_asset_materialization_events():
            if event.asset_key:
                self.built[event.asset_key.to_user_string()] += 1
        for evaluation in result.get_asset_check_evaluations():
            if evaluation.passed:
                self.checks_passed += 1
            else:
                self.checks_failed.append(
                    FailedCheck(
                        evaluation.asset_key.to_user_string(),
                        evaluation.check_name,
                        evaluation.description or "",
                        evaluation.severity.value,
                    )
                )
        self.runs.append(
            RunOutcome(result.run_id, job, result.dagster_run.status.value, "; ".join(_errors(result)) or None)
        )

    def add_held_back(self, held: HeldBack) -> None:
        """Name the partitions that blocking checks held back, and the good days that were left out with them."""
        self.left_out = sorted({*self.left_out, *held.left_out})
        self.held_back += [
            HeldBackPartition(partition, key.asset_key.to_user_string(), key.name)
            for key, partitions in held.bad.items()
            for partition in partitions
        ]


def _errors(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """What went wrong in each failed step, innermost cause first."""
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        yield f"{event.step_key}: {error.message.strip() if error else 'failed'}"
