"""What is declared: whether the catalogue loads with this deployment's tenants, and whether they can send."""

from __future__ import annotations

from collections.abc import Iterator

from analytics_platform.catalog import Catalog, CatalogError, hash_write_key, load_catalog
from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, problems_of, warn
from analytics_platform.intake.key_registry import RegisteredKey, effective_keys
from analytics_platform.settings import Settings

MOST_PARTITIONS = 100_000
"""Keys of a raw asset, day x tenant; beyond it Dagster's UI takes seconds."""

_WORTH_SAYING = 0.8


def look(deployment: Deployment) -> Iterator[Finding]:
    """Declarations, tenants of the deployment's own file, partitions, write keys."""
    settings = deployment.settings
    try:
        catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    except CatalogError as error:
        yield from problems_of(error)
        return
    yield ok("catalogue", f"{len(catalog.streams)} streams, {len(catalog.kpis)} KPIs, {len(catalog.tenants)} tenants")
    without_file = load_catalog(None, settings.extension_catalog)
    if settings.tenants_file is not None and len(catalog.tenants) == len(without_file.tenants):
        yield warn(
            "tenants", f"{settings.tenants_file} declares no tenant", "declare them there, or unset tenants_file"
        )
    yield _partitions(deployment, catalog)
    yield from _write_keys(deployment, settings, catalog)


def _partitions(deployment: Deployment, catalog: Catalog) -> Finding:
    settings = deployment.settings
    days = (deployment.now.date() - settings.history_start).days + 1
    keys = days * len(catalog.tenants)
    found = f"{keys:,} partitions of a raw asset ({days:,} days, {len(catalog.tenants)} tenants)"
    if keys <= MOST_PARTITIONS * _WORTH_SAYING:
        return ok("partitions", found)
    return warn("partitions", f"{found}, of {MOST_PARTITIONS:,} that Dagster's UI bears", "set a later history_start")


def _write_keys(deployment: Deployment, settings: Settings, catalog: Catalog) -> Iterator[Finding]:
    keys = effective_keys(catalog, settings.write_keys_file).values()
    can_send = {key.tenant for key in keys if key.is_valid(deployment.now)}
    if silent := sorted(catalog.tenants.keys() - can_send):
        mend = f"analytics keys create {silent[0]} NAME --kind server"
        yield warn("write keys", f"without one, so nobody can send for them: {', '.join(silent)}", mend)
    else:
        yield ok("write keys", f"each tenant has one that is valid, {len(keys)} in all")
    public = [key for key in keys if key.is_valid(deployment.now) and _is_public(key)]
    if public and settings.environment == "production":
        found = f"{len(public)} of the demo are valid: whoever has read its files can send for its tenants"
        yield fail("write keys", found, f"analytics keys revoke {public[0].tenant} {public[0].name}, and so on")


def _is_public(key: RegisteredKey) -> bool:
    """Whether it is one of the demo's, whose text stands in the catalogue."""
    return key.sha256 == hash_write_key(f"demo-{key.tenant}-{key.name}")
