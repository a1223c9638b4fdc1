"""governance/identities: what the identities table holds, downstream of the raw build that writes it.

Nothing here writes the table; how it comes about is `identities.table`'s business.
"""

from collections import Counter

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.identities.table import read_identities
from analytics_platform.lake.store import ObjectStore


def identities_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The table of every tenant, counted."""

    @dg.asset(
        key=keys.IDENTITIES,
        deps=[keys.raw(stream) for stream in catalog.streams],
        kinds={"python", "parquet"},
        description="Direct identifiers that clients sent, sealed and by reference: the one place that holds them.",
    )
    def identities(store: dg.ResourceParam[ObjectStore]) -> dg.MaterializeResult[None]:
        counts = {tenant: _by_kind(store, tenant) for tenant in sorted(catalog.tenants)}
        records = [
            dg.TableRecord({"tenant": tenant, "kind": kind, "references": number})
            for tenant, kinds in counts.items()
            for kind, number in sorted(kinds.items())
        ]
        total = sum(kinds.total() for kinds in counts.values())
        return dg.MaterializeResult(
            metadata={"references": total, "by_tenant_and_kind": dg.MetadataValue.table(records, _COLUMNS)}
        )

    return identities


_COLUMNS = dg.TableSchema([dg.TableColumn("tenant"), dg.TableColumn("kind"), dg.TableColumn("references", type="int")])


def _by_kind(store: ObjectStore, tenant: str) -> Counter[str]:
    """How many references of each kind a tenant's table has."""
    table = read_identities(store, tenant)
    known = set(zip(table["reference"].to_pylist(), table["kind"].to_pylist(), strict=True))
    return Counter(kind for _, kind in known)
