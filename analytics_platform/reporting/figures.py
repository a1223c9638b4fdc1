"""What is true of a KPI's figures wherever they are shown: days that count, whether a target applies, names of parts.

The arithmetic is ``measures``, a page's numbers ``cubes``, a report's ``weekly_figures``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from analytics_platform.catalog import Kpi
from analytics_platform.reporting.measures import Label

_WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|[a-z]{4,}")


def days_to_mature(kpi: Kpi) -> int:
    """The age at which a KPI's day is shown: a younger cohort's figure would only show how young it is."""
    return kpi.settling_days if kpi.is_cohort else 0


def target_applies(kpi: Kpi, tenant_names: Mapping[str, str]) -> bool:
    """A target for a sum is set for the whole platform; a tenant's page has no tenants to name."""
    return kpi.headline.kind != "sum" or bool(tenant_names)


def labeller(column: str, tenant_names: Mapping[str, str]) -> Label:
    """How a part is shown: tenants by name, words without underscores, identifiers as they are."""
    if column == "tenant_id":
        return lambda part: tenant_names.get(part, part) if part else part
    if column.endswith(("_id", "_ref")):
        return lambda part: part
    return lambda part: part.replace("_", " ").capitalize() if part and _WORD.fullmatch(part) else part
