"""The scorecard: every dataset in each of DAMA-UK's six dimensions, from the evaluations of checks.

An evaluation speaks about the quarter when its partition's day lies in it; one without a partition when it was
evaluated in it. Of several evaluations of a partition the last one counts, so what was repaired holds. A
partition-aware check also records a summary without a partition, which is left out beside its partitions. An
evaluation that could not run judges nothing; a cell where nothing was judged is *not measured*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import get_args

from analytics_platform.catalog import Catalog, Waiver
from analytics_platform.catalog.governance import Dimension
from analytics_platform.governance.review.content import Cell, Content, Rule, Scorecard, Standing
from analytics_platform.governance.review.evidence import CHECK_RESULTS, Evidence, Row

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
PLATFORM_DOMAIN = "data_platform"
"""Answers for what the registry does not know."""

_QUERY = (
    f"select {', '.join(CHECK_RESULTS.columns)} from {CHECK_RESULTS.table} "
    "where (partition is not null and substr(partition, 1, 10) between ? and ?) "
    "or (partition is null and day between ? and ?) "
    "order by evaluated_at, asset, check_name, partition, passed desc, run_id"
)

RuleIdentity = tuple[str, str, str | None, str, float | None]
"""See `Rule.identity`."""

Identity = tuple[str, str]
"""Asset and check."""


@dataclass(frozen=True)
class Evaluations:
    """All evaluations that speak about the quarter, by asset and check, oldest first."""

    by_rule: Mapping[Identity, Sequence[Row]]

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The runs that they come from."""
        return tuple(sorted({row["run_id"] for rows in self.by_rule.values() for row in rows if row["run_id"]}))

    @property
    def newest_at(self) -> datetime | None:
        """When the newest of them was made."""
        return max((row["evaluated_at"] for rows in self.by_rule.values() for row in rows), default=None)


def read_evaluations(evidence: Evidence, first: date, last: date) -> Evaluations:
    """The evaluations that speak about the days `first` to `last`."""
    days = [first.isoformat(), last.isoformat(), first, last]
    by_rule: defaultdict[Identity, list[Row]] = defaultdict(list)
    for row in evidence.read(CHECK_RESULTS, _QUERY, days):
        by_rule[row["asset"], row["check_name"]].append(row)
    return Evaluations({rule: _without_summaries(rows) for rule, rows in sorted(by_rule.items())})


def scorecard(evaluations: Evaluations, catalog: Catalog, missing: str | None, previous: Content | None) -> Scorecard:
    """Rules and cells of the quarter.

    Args:
        evaluations: those that speak about it.
        catalog: datasets, their domains, and waivers.
        missing: why there are no evaluations at all, None when they could be read.
        previous: the last quarter's review, which changes are measured against.
    """
    rules = [_rule(identity, rows, catalog) for identity, rows in evaluations.by_rule.items()]
    before = {rule.identity: rule for rule in previous.scorecard.rules} if previous else {}
    by_place: defaultdict[tuple[str, str | None], list[Rule]] = defaultdict(list)
    for rule in rules:
        by_place[rule.dataset, rule.dimension].append(rule)
    names = sorted(catalog.datasets.keys() | {rule.dataset for rule in rules})
    cells = [
        _cell(name, dimension, by_place[name, dimension], catalog, missing, before)
        for name in names
        for dimension in DIMENSIONS
    ]
    return Scorecard(cells=tuple(cells), rules=tuple(rules))


def domain_of(dataset: str, catalog: Catalog) -> str:
    """The team that answers for a dataset."""
    known = catalog.datasets.get(dataset)
    return known.owner if known else PLATFORM_DOMAIN


def waiver_of(row: Row, waivers: Iterable[Waiver]) -> Waiver | None:
    """The waiver that excuses a failing evaluation, if one does."""
    return next(
        (
            waiver
            for waiver in waivers
            if waiver.check == row["check_name"] and waiver.dataset == row["dataset"] and waiver.covers(row["day"])
        ),
        None,
    )


def last_of_each_partition(rows: Iterable[Row]) -> list[Row]:
    """The newest evaluation of each partition, of rows that are ordered oldest first."""
    return list({row["partition"]: row for row in rows}.values())


def is_failing(row: Row) -> bool:
    """Whether an evaluation could judge and found the fact not to hold."""
    return not row["passed"] and not row["could_not_run"]


def _without_summaries(rows: list[Row]) -> list[Row]:
    of_partitions = [row for row in rows if row["partition"] is not None]
    return of_partitions or rows


def _rule(identity: Identity, rows: Sequence[Row], catalog: Catalog) -> Rule:
    standing = last_of_each_partition(rows)
    judged = [row for row in standing if not row["could_not_run"]]
    failing = [row for row in judged if is_failing(row)]
    failed_on = [row["day"] for row in rows if is_failing(row)]
    newest = rows[-1]
    return Rule(
        dataset=newest["dataset"] or identity[0],
        domain=domain_of(newest["dataset"], catalog),
        dimension=newest["dimension"] if newest["dimension"] in DIMENSIONS else None,
        asset=identity[0],
        check=identity[1],
        severity=newest["severity"],
        blocking=newest["blocking"],
        judged=len(judged),
        failing=len(failing),
        waived=sum(waiver_of(row, catalog.waivers.values()) is not None for row in failing),
        could_not_run=len(standing) - len(judged),
        checked=_added(judged, "checked"),
        failed=_added(judged, "failed"),
        threshold=newest["threshold"],
        times_failed=len(failed_on),
        first_failed_on=min(failed_on, default=None),
        last_failed_on=max(failed_on, default=None),
    )


def _added(rows: Iterable[Row], column: str) -> int | None:
    counted = [row[column] for row in rows if row[column] is not None]
    return sum(counted) if counted else None


def _cell(
    dataset: str,
    dimension: Dimension,
    rules: Sequence[Rule],
    catalog: Catalog,
    missing: str | None,
    before: Mapping[RuleIdentity, Rule],
) -> Cell:
    measuring = [rule for rule in rules if rule.judged]
    common = [(rule, then) for rule in measuring if (then := before.get(rule.identity)) and then.judged]
    thresholds = [rule.threshold for rule in measuring if rule.threshold is not None]
    return Cell(
        dataset=dataset,
        domain=domain_of(dataset, catalog),
        dimension=dimension,
        standing=_standing(measuring),
        reason=None if measuring else missing or ("its checks could not run" if rules else "no check judged it"),
        rules=len(measuring),
        judged=_sum([rule.judged for rule in measuring]),
        failing=_sum([rule.failing for rule in measuring]),
        waived=_sum([rule.waived for rule in measuring]),
        checked=_sum([rule.checked for rule in measuring if rule.checked is not None]),
        failed=_sum([rule.failed for rule in measuring if rule.failed is not None]),
        threshold=min(thresholds, default=None),
        common_rules=len(common),
        change_points=_change([now for now, _ in common], [then for _, then in common]),
    )


def _standing(rules: Sequence[Rule]) -> Standing:
    if not rules:
        return "not measured"
    left = [rule for rule in rules if rule.failing > rule.waived]
    if any(rule.severity == "ERROR" for rule in left):
        return "fails"
    if left:
        return "warns"
    return "waived" if any(rule.waived for rule in rules) else "holds"


def _sum(numbers: Sequence[int]) -> int | None:
    return sum(numbers) if numbers else None


def _change(now: Sequence[Rule], then: Sequence[Rule]) -> float | None:
    """Points by which the failing share of the same rules has changed."""
    if not now:
        return None
    share = [sum(rule.failing for rule in rules) / sum(rule.judged for rule in rules) for rules in (now, then)]
    return round(100 * (share[0] - share[1]), 2)
