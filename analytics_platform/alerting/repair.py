"""How what is broken is built again: the exact command for the partitions of an incident, and its runbook. Pure.

The command is made of names that are ours (asset keys, days, registered tenants, the incident's id), so it can be
pasted into a shell as it stands.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from analytics_platform.alerting.findings import Failure, Finding
from analytics_platform.alerting.incidents import Incident
from analytics_platform.insights.promises import LANDED_WITHIN_LAG

RUNBOOKS = "docs/runbooks"
"""Where they lie in the repository."""

NOT_REPAIRED_BY_BUILDING = frozenset({Failure.RETENTION, Failure.ACCESS})

_OF_NO_DAY = ("governance/", "report/")
"""Layers whose assets have a job of their own, which people start in Dagster: no backfill of days builds them."""

_BY_TENANT = ("raw/",)
"""Layers whose partitions are each of one tenant; all others hold a day of all tenants together."""

_NO_TENANT_KNOWN = "ops/ledger"
"""What is built again for messages of nobody we know: they are in no raw partition, but in the account of the day."""


def command_for(incident: Incident, tenants: Container[str]) -> str | None:
    """What builds again all that fails in an incident, or failed; None where building repairs nothing.

    Args:
        incident: the incident.
        tenants: those that are registered, and so have partitions.
    """
    told = incident.told
    if told.failure in NOT_REPAIRED_BY_BUILDING or told.asset.startswith(_OF_NO_DAY):
        return None
    if told.check == LANDED_WITHIN_LAG:
        return "analytics run"  # its day is that of landing, and what landed may be of any business day
    failing = [each for each in incident.failing or (told,) if each.failure is told.failure]
    if told.failure is Failure.SLA_BREACHED and len({each.asset for each in failing}) > 1:
        parts, tenant = ["analytics backfill"], None  # several assets of a day: all of it is built again
    else:
        failing = [each for each in failing if each.asset == told.asset]
        asset, tenant = _target(told, failing, tenants)
        parts = ["analytics backfill", f"--asset {asset}"]
    days = [day for finding in failing if finding.days for day in finding.days]
    if days:
        parts += [f"--from {min(days)}", f"--to {max(days)}"]
    if tenant:
        parts.append(f"--tenant {tenant}")
    return " ".join([*parts, f"--reason incident-{incident.id}"])


def runbook_of(failure: Failure) -> str:
    """The runbook's place in the repository."""
    return f"{RUNBOOKS}/{failure.value}.md"


def next_step(incident: Incident, tenants: Container[str]) -> str | None:
    """What people said is next; else the command, or the runbook where there is none. None when it is over."""
    if incident.note and incident.note.next_step:
        return incident.note.next_step
    if incident.recovered_at is not None:
        return None
    return command_for(incident, tenants) or f"follow {runbook_of(incident.told.failure)}"


def _target(told: Finding, failing: Sequence[Finding], tenants: Container[str]) -> tuple[str, str | None]:
    """The asset to build, and the one tenant that it is to be built for."""
    whose = {each.tenant for each in failing}
    if not told.asset.startswith(_BY_TENANT):
        is_of_nobody = told.failure is Failure.DEAD_LETTERS
        return (_NO_TENANT_KNOWN if is_of_nobody else told.asset), None
    if len(whose) != 1 or told.tenant is None:
        return told.asset, None
    return (told.asset, told.tenant) if told.tenant in tenants else (_NO_TENANT_KNOWN, None)
