"""What the quarterly review rests on beside the data: who signs it, what is excused until when, and what was promised.

Only declarations, kept in files whose history says who wrote what and when. What a waiver excuses and how an action
ended is worked out by `governance.review`.
"""

from datetime import date, timedelta
from typing import Annotated

from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, matching, wrong
from analytics_platform.catalog.governance import DatasetName
from analytics_platform.catalog.values import Day, Name, Text

WAIVER_MAX_DAYS = 123
"""A quarter and a month: long enough to mend in the next quarter, too short to be forgotten."""

CheckName = Annotated[str, matching(r"[A-Za-z0-9_.-]+", "write the check's name as Dagster shows it")]
QuarterName = Annotated[str, matching(r"[0-9]{4}Q[1-4]", "write a quarter such as 2026Q3")]


class SignoffRole(Declared):
    """Who signs the quarterly review, and what the signature attests; ``owner`` is the team that is told of it."""

    name: Name
    title: Text
    attests: Text
    owner: Name


class Waiver(Declared):
    """A failing check that is excused: evaluations from ``approved_on`` to ``expires_on``, both included."""

    name: Name
    dataset: DatasetName
    check: CheckName
    reason: Text
    approved_by: Text
    approved_on: Day
    expires_on: Day

    @model_validator(mode="after")
    def _ends_in_time(self) -> "Waiver":
        if self.expires_on < self.approved_on:
            raise wrong(
                f"{self.expires_on} is before approved_on, {self.approved_on}",
                "write the last day on which the failure is excused",
                field="expires_on",
            )
        latest = self.approved_on + timedelta(days=WAIVER_MAX_DAYS)
        if self.expires_on > latest:
            raise wrong(
                f"{self.expires_on} is more than {WAIVER_MAX_DAYS} days after approved_on",
                f"write {latest} or earlier, and approve it anew when it still holds then",
                field="expires_on",
            )
        return self

    def covers(self, day: date) -> bool:
        """Whether an evaluation of that day is excused."""
        return self.approved_on <= day <= self.expires_on


class ReviewAction(Declared):
    """What a quarter's review asks to be done, by whom and until when; closed with the day and what came of it."""

    name: Name
    raised_in: QuarterName
    action: Text
    owner: Name
    due_on: Day
    closed_on: Day | None = None
    outcome: Text | None = None

    @model_validator(mode="after")
    def _is_closed_with_an_outcome(self) -> "ReviewAction":
        if (self.closed_on is None) != (self.outcome is None):
            missing = "closed_on" if self.closed_on is None else "outcome"
            raise wrong("is missing", "write both closed_on and outcome, or neither", field=missing)
        return self
