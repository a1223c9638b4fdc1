"""Asset keys and groups: their one home.

A key is `layer/[domain/]name` and never holds an environment, a tenant, a database or a date; a group is
`<layer>_<domain>`. Keys outlive code: history, links and alerts hang on them.
"""

from __future__ import annotations

from dagster import AssetKey

LANDING_EVENTS = AssetKey(["landing", "events"])
DEAD_LETTERS = AssetKey(["landing", "dead_letters"])
LEDGER = AssetKey(["ops", "ledger"])
COLLECTOR_HOURS = AssetKey(["ops", "collector_hours"])
SLA_ATTAINMENT = AssetKey(["ops", "sla_attainment"])
CHECK_RESULTS = AssetKey(["ops", "check_results"])
RETENTION_PLAN = AssetKey(["governance", "retention_plan"])
RETENTION_SWEEP = AssetKey(["governance", "retention_sweep"])
ERASURE = AssetKey(["governance", "erasure"])
IDENTITIES = AssetKey(["governance", "identities"])
EVIDENCE = AssetKey(["governance", "evidence"])
PROCESSING_RECORDS = AssetKey(["governance", "processing_records"])
BACKUP = AssetKey(["governance", "backup"])
ROLE_MEMBERSHIPS = AssetKey(["governance", "role_memberships"])
ACCESS_POLICIES = AssetKey(["governance", "access_policies"])
ANOMALIES = AssetKey(["kpi", "kpi_anomalies"])
INCIDENTS = AssetKey(["ops", "incidents"])
WEEKLY_REPORT = AssetKey(["report", "weekly"])
EXPECTATIONS_REPORT = AssetKey(["report", "expectations"])
REVIEW = AssetKey(["governance", "data_quality_review"])
POWER_BI_PROJECT = AssetKey(["bi", "power_bi_project"])
POWER_BI_REFRESH = AssetKey(["bi", "power_bi_refresh"])
LOOKER_STUDIO = AssetKey(["bi", "looker_studio"])

GOVERNING = (IDENTITIES, RETENTION_PLAN, RETENTION_SWEEP, ERASURE, EVIDENCE, PROCESSING_RECORDS)
"""Whom the lake speaks of, what is past its term or asked to be erased, day by day; reviews have a job of their own."""

ACCESS = (ROLE_MEMBERSHIPS, ACCESS_POLICIES)
"""Who holds which role, and what each role sees; in the daily job too, after what has to go is gone."""

LOOKING_BACK = (SLA_ATTAINMENT, CHECK_RESULTS)
"""Histories of what runs did. They are built after the runs that they speak about, and by a job of their own."""

REGISTRY_TABLES = ("tenants", "tenant_business_hours", "tenant_holidays")
"""Tables of the warehouse that mirror the tenant registry rather than events."""

_GOVERNANCE_GROUPS = {
    REVIEW: "governance_reviews",
    PROCESSING_RECORDS: "governance_records",
    IDENTITIES: "governance_identities",
    BACKUP: "governance_backups",
    **dict.fromkeys(ACCESS, "governance_access"),
}
_SHARED_DOMAINS = {
    "landing": "lake",
    "raw": "streams",
    "ops": "intake",
    "reference": "seeds",
    "kpi": "insights",
    "bi": "tools",
}
"""Domain of layers whose keys carry none: `raw/billing` is one of the raw streams."""


def connector(name: str, stream: str) -> AssetKey:
    """A stream of a connector."""
    return AssetKey(["connectors", name, stream])


def raw(stream: str) -> AssetKey:
    """A stream's Parquet partitions in the lake."""
    return AssetKey(["raw", stream])


def loaded(table: str) -> AssetKey:
    """A table of the warehouse's `raw` schema: a stream, or a part of the tenant registry."""
    return AssetKey(["loaded", table])


def extract(dashboard: str, table: str) -> AssetKey:
    """A published table that a dashboard or a BI tool reads."""
    return AssetKey(["extract", dashboard, table])


def dashboard(name: str) -> AssetKey:
    """A dashboard's pages."""
    return AssetKey(["dashboard", name])


def layer(key: AssetKey) -> str:
    """The layer that a key belongs to."""
    return key.path[0]


def group(key: AssetKey) -> str:
    """The group of a key, `<layer>_<domain>`."""
    layer_, *domain, name = key.path
    if domain:
        return f"{layer_}_{domain[0]}"
    if layer_ == "loaded":
        return "loaded_registry" if name in REGISTRY_TABLES else "loaded_streams"
    if layer_ == "governance":
        return _GOVERNANCE_GROUPS.get(key, "governance_retention")
    return f"{layer_}_{_SHARED_DOMAINS.get(layer_, name)}"
