"""Staged events are the loaded ones: a lost one, and one that is not loaded any more, fail the test of staging."""

import pytest
from fixture import Dbt, message

pytestmark = pytest.mark.integration

MODEL = "stg_support__ticket_reopened"
DAY = "2026-01-05"


def test_staging_holds_exactly_the_messages_that_are_loaded(dbt: Dbt) -> None:
    at = f"{DAY}T10:00:00Z"
    dbt.load([message("ticket.reopened", at, ticket_id=f"x{n}", reopened_at=at, reopen_count=1) for n in range(3)])
    dbt.build(DAY, DAY, MODEL)
    for change in (
        f"delete from staging.{MODEL} where ticket_id = 'x1'",
        "delete from raw.support where properties like '%\"x1\"%' or properties like '%\"x2\"%'",
    ):
        with dbt.writing() as connection:
            connection.execute(change)
        with pytest.raises(AssertionError, match=r"sound_events_stg_support__ticket_reopened.* Got 1 result"):
            dbt.run("test", DAY, DAY, MODEL, "--exclude-resource-type", "unit_test")
