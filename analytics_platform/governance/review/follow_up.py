"""What people promised: waivers that excuse a failure for a while, and the actions of earlier reviews."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from analytics_platform.catalog import Catalog, ReviewAction, Waiver
from analytics_platform.governance.review.content import ActionRow, Content, WaiverRow
from analytics_platform.governance.review.scorecard import (
    Evaluations,
    is_failing,
    last_of_each_partition,
    waiver_of,
)


def waivers(catalog: Catalog, evaluations: Evaluations, first: date, last: date) -> tuple[WaiverRow, ...]:
    """Waivers that hold on any of the days `first` to `last`, or excuse an evaluation that speaks about them."""
    rows = (_waiver(waiver, catalog, evaluations, last) for waiver in catalog.waivers.values())
    return tuple(
        row
        for row in rows
        if (row.approved_on <= last and row.expires_on >= first) or row.excused or row.failing_after_expiry
    )


def expired(catalog: Catalog, today: date) -> list[Waiver]:
    """Waivers that excuse nothing any more."""
    return [waiver for waiver in catalog.waivers.values() if waiver.expires_on < today]


def actions(catalog: Catalog, previous: Content | None, quarter: str, last: date) -> tuple[ActionRow, ...]:
    """Actions that earlier reviews raised and that were open when the quarter began, or ended since.

    What was closed after the last day is told by the next review: a closure must not void signatures of this one. One
    that the last review showed open and that is declared no more is shown as removed: nothing is forgotten by
    deleting it.
    """
    declared = [_action(each, last) for each in catalog.review_actions.values() if each.raised_in <= quarter]
    settled = _settled_before(previous)
    shown = [row for row in declared if row.name not in settled]
    return tuple(sorted([*shown, *_removed(catalog, previous)], key=lambda row: (row.raised_in, row.name)))


def _waiver(waiver: Waiver, catalog: Catalog, evaluations: Evaluations, last: date) -> WaiverRow:
    failing = [
        row
        for rows in evaluations.by_rule.values()
        for row in last_of_each_partition(rows)
        if is_failing(row) and row["dataset"] == waiver.dataset and row["check_name"] == waiver.check
    ]
    return WaiverRow(
        name=waiver.name,
        dataset=waiver.dataset,
        check=waiver.check,
        reason=waiver.reason,
        approved_by=waiver.approved_by,
        approved_on=waiver.approved_on,
        expires_on=waiver.expires_on,
        has_expired=waiver.expires_on < last,
        excused=sum(waiver_of(row, catalog.waivers.values()) == waiver for row in failing),
        failing_after_expiry=sum(row["day"] > waiver.expires_on for row in failing),
    )


def _action(action: ReviewAction, last: date) -> ActionRow:
    is_closed = action.closed_on is not None and action.closed_on <= last
    return ActionRow(
        name=action.name,
        raised_in=action.raised_in,
        action=action.action,
        domain=action.owner,
        due_on=action.due_on,
        standing="closed" if is_closed else "overdue" if action.due_on <= last else "open",
        closed_on=action.closed_on if is_closed else None,
        outcome=action.outcome if is_closed else None,
    )


def _settled_before(previous: Content | None) -> set[str]:
    """What the last review showed as ended needs no telling again."""
    return {row.name for row in previous.actions if row.standing in ("closed", "removed")} if previous else set()


def _removed(catalog: Catalog, previous: Content | None) -> Iterator[ActionRow]:
    for row in previous.actions if previous else ():
        if row.name not in catalog.review_actions and row.standing not in ("closed", "removed"):
            yield row.model_copy(update={"standing": "removed"})
