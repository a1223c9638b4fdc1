"""Which schedules and sensors exist in which environment: declared here, and absent everywhere else.

Registration is the gate: what is not of an environment is not in its graph, so nobody can switch it on there by mistake
and no switch has to be remembered. Belongs here: the table. Stays out: what they do, and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

import dagster as dg

from analytics_platform.errors import AnalyticsError

Environment = Literal["local", "ci", "staging", "production"]
Automated = TypeVar("Automated", bound=dg.ScheduleDefinition | dg.SensorDefinition)

_DATA: frozenset[Environment] = frozenset({"local", "staging", "production"})
"""Moves and judges data. Tests and branches (`ci`) start what they want themselves."""

_PEOPLE: frozenset[Environment] = frozenset({"local", "production"})
"""Writes to people who would act on it: what staging says about rehearsed data is not for executives or signatories."""

AUTOMATION: Mapping[str, frozenset[Environment]] = {
    "hourly_ingestion": _DATA,
    "nightly_build": _DATA,
    "hourly_look_back": _DATA,
    "daily_governance": _DATA,
    "daily_backup": _DATA,  # where `backup_target` names a place
    "heartbeat": _DATA,
    "connector_pulls": _DATA,  # where connectors_folder has files; so has the next
    "connector_drops": _DATA,
    "tenants_from_registry": _DATA,
    "loads_follow_ingestion": _DATA,
    "pages_follow_build": _DATA,
    "rest_follows_held_back": _DATA,
    "alerts": _DATA,
    "daily_digest": _PEOPLE,
    "monday_report": _PEOPLE,
    "quarterly_review": _PEOPLE,
}
"""Each schedule and sensor by name, with the environments that have it."""


class UndeclaredAutomationError(AnalyticsError):
    """A schedule or sensor stands in no environment."""


def existing_in(environment: Environment, automated: Sequence[Automated]) -> list[Automated]:
    """Those that the environment has.

    Raises:
        UndeclaredAutomationError: one of them is not in the table.
    """
    undeclared = sorted({each.name for each in automated} - AUTOMATION.keys())
    if undeclared:
        raise UndeclaredAutomationError(
            f"{', '.join(undeclared)}: in no environment; add a line to AUTOMATION in defs/environments.py"
        )
    return [each for each in automated if environment in AUTOMATION[each.name]]
