"""What every asset carries because of what the catalogue declares: owner, freshness, kinds, retention, PII.

One pass over all specs gives it to each, so no layer repeats it and none can forget it. An asset whose dataset is not
declared does not load: retention, erasure and grants act on the registry, and would never reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache

import dagster as dg

from analytics_platform.catalog import Catalog, Dataset, SlaTier
from analytics_platform.defs import keys
from analytics_platform.errors import AnalyticsError

HOURLY_LAYERS = frozenset({"connectors", "landing", "raw", "ops"})
"""Layers that new data reaches by the hour; all others are due by the tier's deadline in the morning."""

QUARTERLY_LAYERS = frozenset({"governance"})
"""Layers that are built once a quarter, on its first working day."""

_QUARTER = timedelta(days=92)
_WORKING_DAY_AFTER = timedelta(days=7)
"""No quarter's first working day comes later than this after the one before it is over."""

_EMBEDDED = "duckdb"
"""Stands for the warehouse, whichever product it is."""

_KINDS: Mapping[str, frozenset[str]] = {
    "connectors": frozenset({"python", "json"}),
    "landing": frozenset({"segment", "json"}),
    "raw": frozenset({"python", "parquet"}),
    "ops": frozenset({"python", _EMBEDDED}),
    "loaded": frozenset({"python", _EMBEDDED}),
    "extract": frozenset({"python", "parquet"}),
    "dashboard": frozenset({"python", "html"}),
    "governance": frozenset({"python", "html", "pdf", "json"}),
    "report": frozenset({"python", "html"}),
    "bi": frozenset({"python", "powerbi"}),
}
"""Kinds by layer; dbt's nodes bring their own."""


_GOVERNANCE: Mapping[dg.AssetKey, str] = {
    keys.RETENTION_PLAN: "governance_records",
    keys.RETENTION_SWEEP: "removals",
    keys.ERASURE: "ops.erasures",
    keys.EVIDENCE: "ops.evidence",
    keys.ROLE_MEMBERSHIPS: "ops.role_memberships",
    keys.ACCESS_POLICIES: "access_files",
    keys.IDENTITIES: "identities",
    keys.BACKUP: "backups",
}


class UndeclaredDatasetError(AnalyticsError):
    """An asset writes a table or file that the dataset registry does not know."""


def with_policies(
    assets: Sequence[dg.AssetsDefinition], catalog: Catalog, time_zone: str, warehouse: str = _EMBEDDED
) -> list[dg.AssetsDefinition]:
    """Every asset with its owner, freshness policy, kinds, group and governance metadata.

    Raises:
        UndeclaredDatasetError: naming all assets without an entry in datasets.yaml.
    """
    _refuse_undeclared(assets, catalog)
    mapped = dg.map_asset_specs(_policy(catalog, time_zone, warehouse), assets)
    return [asset for asset in mapped if isinstance(asset, dg.AssetsDefinition)]


def dataset_name(key: dg.AssetKey) -> str:
    """The name in the dataset registry of what an asset writes.

    A raw stream is one dataset in two places, the lake's Parquet and the table loaded from it.
    """
    layer, *rest = key.path
    if key in _GOVERNANCE:
        return _GOVERNANCE[key]
    if key == keys.LANDING_EVENTS:
        return "landing"
    if layer == "landing":
        return rest[-1]
    if layer == "connectors":
        return "connectors"
    if layer in {"raw", "loaded"}:
        return f"raw.{rest[-1]}"
    if layer == "reference":
        return f"marts.{rest[-1]}"
    if layer == "extract":
        return ".".join(["extracts", *rest])
    return f"{layer}.{rest[-1]}"


def freshness_policy(layer: str, tier: SlaTier, time_zone: str, *, weekly: bool = False) -> dg.FreshnessPolicy:
    """The tier's promise as Dagster shows it.

    Hourly layers may be quiet over a night without events, so they fail a day and the tier's lag after the last
    build. A review is due once a quarter, a weekly report on Mondays, the others each morning. Per tenant and day,
    the ledger judges; this is the UI's view.
    """
    lag = timedelta(minutes=tier.max_lag_minutes)
    if layer in HOURLY_LAYERS:
        return dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=1) + lag, warn_window=timedelta(hours=12) + lag
        )
    if layer in QUARTERLY_LAYERS:
        return dg.FreshnessPolicy.time_window(fail_window=_QUARTER + _WORKING_DAY_AFTER)
    due = datetime.strptime(tier.deadline, "%H:%M")  # noqa: DTZ007  a time of day, in the schedule's own zone
    return _by_deadline(timedelta(hours=due.hour, minutes=due.minute), "1" if weekly else "*", time_zone)


@cache
def _by_deadline(since_midnight: timedelta, weekday: str, time_zone: str) -> dg.FreshnessPolicy:
    """One policy for all that is due then: Dagster goes through a thousand deadlines of each policy that is made."""
    hour, minute = divmod(since_midnight // timedelta(minutes=1), 60)
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{minute} {hour} * * {weekday}", lower_bound_delta=since_midnight, timezone=time_zone
    )


def _policy(catalog: Catalog, time_zone: str, warehouse: str) -> Callable[[dg.AssetSpec], dg.AssetSpec]:
    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        dataset = catalog.datasets[dataset_name(spec.key)]
        layer = keys.layer(spec.key)
        tier = catalog.sla_tiers[dataset.sla_tier] if dataset.sla_tier else _loosest(catalog)
        return spec.replace_attributes(
            owners=list(spec.owners) if layer == "connectors" else [f"team:{dataset.owner}"],
            group_name=keys.group(spec.key),
            freshness_policy=spec.freshness_policy
            or freshness_policy(layer, tier, time_zone, weekly=spec.key == keys.WEEKLY_REPORT),
            kinds={warehouse if each == _EMBEDDED else each for each in spec.kinds or _KINDS[layer]},
            metadata={**spec.metadata, **_governance(catalog, dataset, tier)},
        )

    return apply


def _governance(catalog: Catalog, dataset: Dataset, tier: SlaTier) -> dict[str, object]:
    retention = catalog.retention_classes[dataset.retention_class]
    owner = catalog.owners[dataset.owner]
    return {
        "dataset": dataset.name,
        "sla_tier": tier.name,
        "retention_class": retention.name,
        "kept_at_least": str(retention.min_keep),
        "kept_at_most": f"{retention.max_keep} after {retention.clock}",
        "retain_until": dataset.standing or f"{retention.removal_begins} after {retention.clock}",
        "tenant_column": dataset.tenant_column or "none: kept apart by path",
        "subject_columns": ", ".join(dataset.subject_columns) or "none",
        "pii_columns": ", ".join(dataset.pii_columns) or "none",
        "slack_channel": owner.slack_channel,
        "escalation": owner.escalation,
    }


def _loosest(catalog: Catalog) -> SlaTier:
    """The tier for data of which nothing is promised."""
    return max(catalog.sla_tiers.values(), key=lambda tier: tier.max_lag_minutes)


def _refuse_undeclared(assets: Sequence[dg.AssetsDefinition], catalog: Catalog) -> None:
    missing = sorted(
        f"{dataset_name(key)} (asset {key.to_user_string()})"
        for asset in assets
        for key in asset.keys
        if dataset_name(key) not in catalog.datasets
    )
    if missing:
        raise UndeclaredDatasetError(
            "these datasets are built but not declared in catalog/datasets.yaml, so nobody owns them and nothing "
            "would ever delete them: " + "; ".join(missing)
        )
