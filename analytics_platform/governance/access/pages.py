"""The policy for pages: which audience may open which dashboard or report file of the lake. Pure.

Rows are filtered before a page is written, never by whoever serves it, so who may open one is a question of its key.
A dashboard has a page per audience; a weekly report is one for staff and one per tenant; the rest is for staff alone.
Whoever serves pages asks `opened_as`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.policy import Policy

STAFF = "all"
"""What stands in the key of a weekly report for staff."""

TRACKING_PLAN_KEY = "reports/tracking_plan.html"
"""The plan as a page: made from the catalogue when it is asked for, and in no lake."""

_PATTERNS: Mapping[str, tuple[str, ...]] = {
    "dashboard": ("dashboards/{name}/{audience}.html",),
    "report.weekly": ("reports/weekly/week=*/{who}.*",),
}
_STAFF_PAGES: Mapping[str, tuple[str, ...]] = {
    "report.expectations": ("reports/expectations.html",),
    "report.tracking_plan": (TRACKING_PLAN_KEY,),
    "governance.data_quality_review": ("reviews/quarter=*/review.*",),
    "governance.processing_records": ("processing/records.*",),
}
"""Pages that are one for everybody: they speak of all tenants, so a role for one tenant sees none of them."""


def page_keys(policy: Policy, audience: Audience) -> list[str]:
    """The keys that an audience may open; a `*` stands for anything but a slash."""
    return [pattern for _, pattern in granted_pages(policy, audience)]


def granted_pages(policy: Policy, audience: Audience) -> list[tuple[str, str]]:
    """The keys that an audience may open, each with the dataset that it belongs to; nothing for an unknown role."""
    role = policy.by_role.get(audience.role)
    if role is None or "*" in audience.name:
        return []
    who = audience.tenant or STAFF
    found = []
    for grant in role.grants:
        if grant.kind != "page":
            continue
        layer, _, name = grant.dataset.partition(".")
        patterns = _PATTERNS.get(grant.dataset) or _PATTERNS.get(layer, ())
        keys = [pattern.format(name=name, audience=audience.name, who=who) for pattern in patterns]
        keys += _STAFF_PAGES.get(grant.dataset, ()) if audience.tenant is None else ()
        found += [(grant.dataset, key) for key in keys]
    return found


def opened_as(policy: Policy, audiences: Iterable[Audience], key: str) -> Audience | None:
    """As which of a principal's audiences a page may be opened; None where as none."""
    return next((each for each in audiences if any(_fits(key, wanted) for wanted in page_keys(policy, each))), None)


def compile_pages(policy: Policy, tenants: Iterable[str]) -> dict[str, str]:
    """The keys by audience, as JSON."""
    told = {each.name: page_keys(policy, each) for each in policy.audiences(tenants)}
    return {"pages/audiences.json": json.dumps({name: keys for name, keys in told.items() if keys}, indent=2) + "\n"}


def _fits(key: str, pattern: str) -> bool:
    return re.fullmatch("[^/]*".join(map(re.escape, pattern.split("*"))), key) is not None
