"""ops/incidents: every incident with its cause and its times, for reports and reviews.

Rebuilt whole from the alert store, which alone is written to when something happens: a table of the warehouse could
not be, while a build holds it.
"""

import dagster as dg

from analytics_platform.alerting.export import INCIDENTS_SCHEMA, INCIDENTS_TABLE, incidents_table
from analytics_platform.alerting.store import AlertStore
from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.warehouse import Warehouse

_COLUMNS = dg.TableSchema(columns=[dg.TableColumn(field.name, type=str(field.type)) for field in INCIDENTS_SCHEMA])


def incidents_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """Replace the table."""

    @dg.asset(
        key=keys.INCIDENTS,
        pool=WAREHOUSE_POOL,
        description="Incidents: what broke, who answers, when it was seen and repaired, and why it happened.",
        metadata={"dagster/table_name": INCIDENTS_TABLE, "dagster/column_schema": _COLUMNS},
    )
    def incidents(
        alert_store: dg.ResourceParam[AlertStore], warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        with alert_store.transaction() as session:
            known = session.incidents()
        count = warehouse.replace_table(INCIDENTS_TABLE, incidents_table(known, catalog.tenants))
        return dg.MaterializeResult(
            metadata={"dagster/row_count": count, "open": sum(each.recovered_at is None for each in known)}
        )

    return incidents
