"""What the gate makes of a message stays what it was, to the byte, however it gets there."""

from __future__ import annotations

import json

from odd_messages import RECORDED, gates, odd_messages, outcomes

from analytics_platform.catalog import Catalog
from analytics_platform.intake.outcomes import Reason


def test_all_sorts_of_messages_have_the_outcomes_that_were_recorded(catalog: Catalog) -> None:
    recorded = json.loads(RECORDED.read_text())

    assert outcomes(catalog) == recorded
    not_the_gates = {Reason.TRUNCATED_SOURCE, Reason.ID_CONFLICT, Reason.UNMAPPED}
    assert set(recorded["reasons"]) == {"admitted"} | {reason.value for reason in set(Reason) - not_the_gates}


def test_what_came_before_changes_nothing_of_an_outcome(catalog: Catalog) -> None:
    some = list(odd_messages(count=500, seed=2))
    forth, back = gates(catalog), gates(catalog)

    of_forth = [each.judged(forth) for each in some]
    of_back = [each.judged(back) for each in reversed(some)]

    assert of_forth == list(reversed(of_back))
