"""What good data looks like, in numbers: limits of streams, references between events, ranges of columns.

Only declarations; they are judged in `asset_checks`. A limit is a share together with a number of rows that is
tolerated whatever the share: one bad row among five is an accident, not a state.
"""

import re
from typing import Annotated

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, wrong
from analytics_platform.catalog.plan import EventName
from analytics_platform.catalog.values import Name, TableName, Text

Share = Annotated[float, Constrained(ge=0, le=1)]


class ShareLimit(Declared):
    """How much of something may be bad: beyond `max_share` and more than `tolerated_rows` of them is too much."""

    max_share: Share
    tolerated_rows: int = Constrained(ge=0)

    def is_exceeded(self, bad: int, of: int) -> bool:
        """Whether so many bad ones of so many are too many."""
        return bad > self.tolerated_rows and bad > self.max_share * of


class SameWeekday(Declared):
    """With what a day is compared: the last ``weekdays`` days of its weekday that were no holidays.

    Fewer than ``min_weekdays`` of them, or a median below ``min_median_rows``, say too little to judge by.
    """

    weekdays: int = Constrained(ge=1, le=52)
    min_weekdays: int = Constrained(ge=1, le=52)
    min_median_rows: int = Constrained(ge=1)

    @model_validator(mode="after")
    def _asks_for_no_more_than_it_looks_at(self) -> "SameWeekday":
        if self.min_weekdays > self.weekdays:
            raise wrong(
                f"asks for {self.min_weekdays} of {self.weekdays} days",
                f"write {self.weekdays} or less",
                field="min_weekdays",
            )
        return self


class VolumeLimit(SameWeekday):
    """How far the rows of a day may lie from the median, in robust standard deviations.

    The deviation is 1.4826 times the median absolute one, and never below the square root of the median, which is what
    independent arrivals vary by of themselves.
    """

    max_deviations: float = Constrained(gt=0)


class VanishedRule(Declared):
    """When an event that a tenant used to send is said to have vanished.

    Only events seen on ``min_days_seen`` days of the last ``weeks`` are judged. They have vanished when they stay away
    for ``min_days_absent`` days, and for more than ``times_longest`` times the longest absence of those weeks.
    """

    weeks: int = Constrained(ge=1, le=52)
    min_days_seen: int = Constrained(ge=2)
    min_days_absent: int = Constrained(ge=1)
    times_longest: float = Constrained(ge=1)


class StreamQuality(Declared):
    """What is expected of a stream, per tenant and day.

    ``busy_hours`` is None for streams that are too quiet for an hour to say anything.
    """

    name: Name
    dead_letters: ShareLimit
    duplicates: ShareLimit
    volume: VolumeLimit
    expected_tenants: SameWeekday
    busy_hours: SameWeekday | None
    vanished_events: VanishedRule


class Reference(Declared):
    """An event names by ``field`` what another event, ``to``, has told under ``to_field``.

    A row that names nothing refers to nothing. Late events are normal, so the limit is one of shares.
    """

    name: Name
    description: Text
    event: EventName
    field: Name
    to: EventName
    to_field: Name
    missing: ShareLimit


class ValueLimit(Declared):
    """The range of a column, or of its ratio ``over`` another one; bounds are inclusive.

    A row without a value, or with nothing to divide by, is not judged by the range; ``max_null_share`` limits how many
    rows have no value in the column, where that matters. ``max_share`` of the judged rows may lie outside.
    """

    name: Name
    column: Name
    over: Name | None = None
    minimum: float | None = None
    maximum: float | None = None
    max_share: Share = 0.0
    max_null_share: Share | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> "ValueLimit":
        if self.minimum is None and self.maximum is None and self.max_null_share is None:
            raise wrong("limits nothing", "write minimum, maximum or max_null_share")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise wrong("is below the minimum", f"write {self.minimum} or more", field="maximum")
        if self.over is not None and self.max_null_share is not None:
            raise wrong("is of a column, not of a ratio", "give it a limit of its own", field="max_null_share")
        return self


class TableLimits(Declared):
    """Ranges of a table's columns.

    ``day_column`` cuts what a run judges; it is None where the table is built anew as a whole.
    """

    name: TableName
    day_column: Name | None
    limits: Listed[ValueLimit] = Constrained(min_length=1)


class PersonalDataPattern(Declared):
    """What personal data looks like in a column that may hold none: a regular expression that is searched for.

    Only what Python and RE2 read alike may stand in it. ``finds`` and ``passes`` are examples of both kinds, and the
    pattern is held to them when the catalogue loads.
    """

    name: Name
    title: Text
    pattern: Text
    finds: Listed[Text] = Constrained(min_length=1)
    passes: Listed[Text] = Constrained(min_length=1)

    @model_validator(mode="after")
    def _does_as_its_examples_say(self) -> "PersonalDataPattern":
        try:
            compiled = re.compile(self.pattern)
        except re.error as error:
            raise wrong(f"is no regular expression ({error})", "mend its syntax", field="pattern") from error
        missed = [example for example in self.finds if not compiled.search(example)]
        found = [example for example in self.passes if compiled.search(example)]
        if missed or found:
            what = f"finds {found}" if found else f"does not find {missed}"
            raise wrong(f"{what}, against its examples", "mend the pattern or the example", field="pattern")
        return self
