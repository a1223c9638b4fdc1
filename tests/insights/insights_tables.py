"""KPI tables of a small warehouse, from day 0 on, for as many tenants as are named."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from analytics_platform.warehouse import Warehouse
from analytics_platform.warehouse.duckdb import DuckDBWarehouse

FIRST = date(2025, 9, 1)


def build_warehouse(path: Path, tenants: list[str], days: int) -> Warehouse:
    """Every table that a headline is read from, with quiet business in it."""
    warehouse = DuckDBWarehouse(path / "warehouse.duckdb")
    rng = np.random.default_rng(17)
    base = pl.DataFrame({"day": [FIRST + timedelta(n) for n in range(days)]}).join(
        pl.DataFrame({"tenant_id": tenants}), how="cross"
    )
    for table, columns in _columns(rng, base.height).items():
        day = "resolved_on" if table == "marts.fct_ticket_resolutions" else "day"
        rows = base.with_columns(**{name: pl.Series(values) for name, values in columns.items()}).rename({"day": day})
        warehouse.replace_table(table, rows.to_arrow())
    return warehouse


def _columns(rng: np.random.Generator, rows: int) -> dict[str, dict[str, object]]:
    def around(level: int) -> object:
        return rng.normal(level, level / 40, rows).round().astype(int)

    none = [None] * rows
    return {
        "kpi.kpi_mrr": {"mrr_reporting_minor": around(900_000), "currency": ["EUR"] * rows, "project_id": none},
        "kpi.kpi_invoice_collection_rate": {
            "collected_minor": around(90_000),
            "net_invoiced_minor": np.full(rows, 100_000),
            "collected_reporting_minor": around(80_000),
            "net_invoiced_reporting_minor": np.full(rows, 100_000),
            "basis": ["due"] * rows,
            "currency": ["EUR"] * rows,
        },
        "kpi.kpi_equipment_utilisation": {
            "on_rent_items": around(500),
            "fleet_items": np.full(rows, 1_000),
            "category": ["light"] * rows,
        },
        "kpi.kpi_on_time_departures": {"on_time": around(80), "planned": np.full(rows, 100)},
        "kpi.kpi_nps": {
            "promoters": around(60),
            "passives": np.full(rows, 20),
            "detractors": around(20),
            "touchpoint": ["app"] * rows,
        },
        "kpi.kpi_ticket_resolution": {"resolved": around(20)},
        "marts.fct_ticket_resolutions": {"final_resolution_minutes": around(600) * 1.0},
        "kpi.kpi_qualified_leads": {"qualified_leads": around(40), "channel": ["referral"] * rows},
        "kpi.kpi_channel_conversion": {
            "converted": around(10),
            "created": np.full(rows, 100),
            "model": ["first_touch"] * rows,
            "channel": ["referral"] * rows,
        },
    }
