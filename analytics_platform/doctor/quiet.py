"""Tenants: who should have sent something by now, by what they sent on days before, and has not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from analytics_platform.defs.resources import warehouse_from
from analytics_platform.doctor.deployment import CannotLookError, Deployment
from analytics_platform.doctor.findings import Finding, ok, skipped, warn
from analytics_platform.insights.expectations import LEDGER_TABLE, StaleTenant, sent_days, stale_tenants

NAMED = 20
"""Tenants that are told one by one; where more are quiet, it is not they."""

_PATIENCE_SECONDS = 3.0
_MEND = (
    "ask {owners} who sends it; see `analytics keys list` and `analytics dead-letters list --tenant {tenant}`, "
    "and in `ops.sla_attainment` what was promised"
)
_MEND_ALL = "look at what they have in common: the collector, the hourly job and its schedule"


def look(deployment: Deployment) -> Iterator[Finding]:
    """What is missing, by tenant."""
    settings, now = deployment.settings, deployment.now
    try:
        sent = sent_days(warehouse_from(settings, _PATIENCE_SECONDS), now.date() + timedelta(days=1))
    except Exception as error:  # each product has its own ways to say that it cannot be used
        raise CannotLookError(
            "the warehouse cannot be asked, or a process has it: see what `warehouse` says"
        ) from error
    if not sent:
        yield skipped("tenants", f"{LEDGER_TABLE} names no day on which anybody has sent anything")
        return
    stale = stale_tenants(deployment.catalog, sent, settings.reporting_time_zone, now)
    quiet = [list(missing) for _, missing in groupby(stale, key=lambda each: each.tenant_id)]
    for missing in quiet[:NAMED]:
        yield _told(missing)
    if len(quiet) > NAMED:
        yield warn("tenants", f"{len(quiet) - NAMED:,} more are quiet", _MEND_ALL)
    if not quiet:
        yield ok("tenants", f"all {len({tenant for _, tenant in sent}):,} have sent what is to be expected of them")


def _told(missing: Sequence[StaleTenant]) -> Finding:
    first = min(missing, key=lambda each: each.promised_at)
    streams = ", ".join(f"{each.stream} since {each.newest_day}" for each in missing)
    found = (
        f"nothing of {streams}; {first.expected_day} of {first.stream} was due on "
        f"{first.promised_at:%Y-%m-%d at %H:%M} UTC"
    )
    owners = " and ".join(sorted({each.owner for each in missing}))
    return warn(first.tenant_id, found, _MEND.format(owners=owners, tenant=first.tenant_id))
