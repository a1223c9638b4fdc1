"""The policy for pages: which audience may open which dashboard or report file of the lake. Pure.

Dashboards are written one per audience, under its name, with the rows and columns that it may see alone; reports one
per tenant and one, `all`, for staff. So who may open a page is a question of its key, and whoever serves pages asks
`may_open`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.policy import Policy

STAFF = "all"
"""What stands in the key of a report for staff."""

_TENANT = r"[a-z0-9][a-z0-9_-]{0,62}"
_PATTERNS: Mapping[str, tuple[str, ...]] = {
    "dashboard": ("dashboards/{name}/{audience}.html",),
    "report.weekly": ("reports/weekly/week=*/{who}.*",),
}
_STAFF_PAGES: Mapping[str, tuple[str, ...]] = {"report.expectations": ("reports/expectations.html",)}
"""Pages that are one for everybody: they speak of all tenants, so a role for one tenant sees none of them."""


def page_keys(policy: Policy, audience: Audience) -> list[str]:
    """The keys that an audience may open; a `*` stands for anything but a slash."""
    role = policy.by_role[audience.role]
    who = audience.tenant or "*"
    keys = []
    for grant in role.grants:
        if grant.kind != "page":
            continue
        layer, _, name = grant.dataset.partition(".")
        patterns = _PATTERNS.get(grant.dataset) or _PATTERNS.get(layer, ())
        keys += [pattern.format(name=name, who=who, audience=audience.name) for pattern in patterns]
        keys += _STAFF_PAGES.get(grant.dataset, ()) if audience.tenant is None else ()
    return keys


def may_open(policy: Policy, audiences: Iterable[Audience], key: str) -> bool:
    """Whether a principal of these audiences may open a page; one of none may open nothing."""
    patterns = [pattern for audience in audiences for pattern in page_keys(policy, audience)]
    return any(re.fullmatch("[^/]*".join(map(re.escape, pattern.split("*"))), key) for pattern in patterns)


def compile_pages(policy: Policy, tenants: Iterable[str]) -> dict[str, str]:
    """The keys by audience, as JSON."""
    told = {each.name: page_keys(policy, each) for each in policy.audiences(tenants)}
    return {"pages/audiences.json": json.dumps({name: keys for name, keys in told.items() if keys}, indent=2) + "\n"}
