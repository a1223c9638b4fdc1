"""Checks of retention: nothing stays too long, nothing went too early, nothing personal is out of reach, and the chain.

They look for themselves: overdue data by the sinks' own counts, removals by the clock forwards from each business day,
personal columns in the catalogue and in dbt's manifest.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.retention_clock import kept
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest
from analytics_platform.defs.retention import reporting_day, sinks_of
from analytics_platform.governance.evidence import BrokenChainError, Evidence, EvidenceChain, remembered
from analytics_platform.governance.retention.holds import Holds
from analytics_platform.governance.retention.sink import Sink, Tally
from analytics_platform.governance.retention.terms import Terms
from analytics_platform.lake.removals import Removals, read_removals
from analytics_platform.settings import Settings
from asset_checks.factory import Facts, Scope, check


def retention_checks(settings: Settings, catalog: Catalog, manifest: Manifest) -> list[dg.AssetChecksDefinition]:
    """All checks of the governance layer."""

    def overdue(scope: Scope) -> Facts:
        today = reporting_day(settings, catalog, datetime.now(UTC))
        terms = Terms(catalog, today, Holds(scope.store).in_force(today), overdue=True)
        return nothing_is_overdue(sinks_of(settings, catalog, scope.store, scope.warehouse), terms)

    def personal(scope: Scope) -> Facts:
        sinks = sinks_of(settings, catalog, scope.store, scope.warehouse)
        return every_personal_column_is_registered(catalog, manifest, sinks)

    return [
        check(
            keys.RETENTION_PLAN,
            "nothing_is_overdue",
            overdue,
            description="No place holds data beyond its class's max_keep, but for what a legal hold keeps.",
            dimension="timeliness",
        ),
        check(
            keys.RETENTION_PLAN,
            "every_personal_column_is_registered",
            personal,
            description="Each column that the catalogue or dbt tags as personal data is one that removal reaches.",
            dimension="completeness",
        ),
        check(
            keys.RETENTION_SWEEP,
            "nothing_was_removed_early",
            lambda scope: nothing_was_removed_early(
                settings, catalog, EvidenceChain(scope.store).entries(), read_removals(scope.store)
            ),
            description="Each removed day was past the term of its class and tenant when its removal was recorded.",
            dimension="validity",
        ),
        check(
            keys.EVIDENCE,
            "chain_is_unbroken",
            lambda scope: chain_is_unbroken(EvidenceChain(scope.store), remembered(scope.warehouse)),
            description="Every entry of the evidence has the hash that its successor and the warehouse remember.",
            dimension="consistency",
        ),
    ]


def nothing_is_overdue(sinks: Sequence[Sink], terms: Terms) -> Facts:
    """No sink has anything left of days that are beyond max_keep."""
    found = [each for sink in sinks for each in sink.tallies(terms)]
    offenders = [
        f"{each.dataset} {each.tenant}: {each.units} from {each.first} to {each.last}"
        + ("" if isinstance(each, Tally) else f" ({each.why})")
        for each in sorted(found, key=lambda each: -each.units)
    ]
    units = sum(each.units for each in found)
    counts = {"datasets": len(terms.dated), "overdue_units": units}
    late = len({each.dataset for each in found})
    summary = f"{units} rows and objects may not be kept any more as of {terms.today}"
    return Facts(not found, summary, counts, offenders, checked=len(terms.dated), failed=late)


def nothing_was_removed_early(
    settings: Settings, catalog: Catalog, evidence: Iterable[Evidence], removals: Removals
) -> Facts:
    """Each removal began after the term of the newest day that it took."""
    begun = {
        each.subject: reporting_day(settings, catalog, each.at) for each in evidence if each.kind == "removal_intended"
    }
    offenders, judged = [], 0
    for removed in (each for every in removals.by_place.values() for each in every):
        judged += 1
        place = f"{removed.dataset} {removed.tenant} up to {removed.through}"
        tenant = catalog.tenants.get(removed.tenant)
        retention = catalog.retention_classes[catalog.datasets[removed.dataset].retention_class]
        terms = kept(removed.through, retention, tenant.financial_year_end if tenant else None)
        if removed.plan not in begun:
            offenders.append(f"{place}: nothing on record says that it was to be removed")
        elif begun[removed.plan] <= max(terms.must_until, terms.until):
            offenders.append(f"{place}: kept until {terms.until}, removed on {begun[removed.plan]:%Y-%m-%d}")
    summary = f"{len(offenders)} of {judged} removals were early or are on no record"
    return Facts(not offenders, summary, {"removals": judged}, offenders, checked=judged, failed=len(offenders))


def every_personal_column_is_registered(catalog: Catalog, manifest: Manifest, sinks: Sequence[Sink]) -> Facts:
    """Each personal column is listed with its dataset, and each dataset with one is held by a sink."""
    reached = {name for sink in sinks for name in sink.datasets()}
    tagged = [
        *((name, column) for name, dataset in catalog.datasets.items() for column in dataset.pii_columns),
        *_tagged_by_dbt(manifest["nodes"].values()),
    ]
    offenders = [
        f"{name}.{column}"
        for name, column in dict.fromkeys(tagged)
        if name not in reached or column not in catalog.datasets[name].pii_columns
    ]
    summary = f"{len(offenders)} of {len(tagged)} personal columns are in no target of removal"
    counts = {"personal_columns": len(tagged), "targets": len(reached)}
    return Facts(not offenders, summary, counts, offenders, checked=len(tagged), failed=len(offenders))


def chain_is_unbroken(chain: EvidenceChain, seen: Mapping[int, str]) -> Facts:
    """The chain verifies from its first entry to the last that anybody has seen."""
    try:
        entries = chain.verify(seen)
    except BrokenChainError as error:
        return Facts(False, str(error), {"remembered": len(seen)})
    return Facts(True, f"{entries} entries, each as its successor remembers it", {"entries": entries}, checked=entries)


def _tagged_by_dbt(nodes: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [
        (f"{node['schema']}.{node['alias']}", name)
        for node in nodes
        if node["resource_type"] in ("model", "seed")
        for name, column in node["columns"].items()
        if {**column.get("meta", {}), **column.get("config", {}).get("meta", {})}.get("pii", "none") != "none"
    ]
