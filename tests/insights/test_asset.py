"""The asset through Dagster: a planted outage becomes rows, and a warning that holds nothing up."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from insights_tables import FIRST, build_warehouse

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import keys
from analytics_platform.defs.anomalies import anomalies_asset
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.defs.partitions import partitions_from, range_tags
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from asset_checks.anomalies import anomaly_checks

DAYS = 100
OUTAGE = FIRST + timedelta(DAYS - 2)
LAST = FIRST + timedelta(DAYS - 1)
TENANT = "delta-events"


@pytest.mark.integration
def test_leads_that_stop_become_rows_and_a_warning_that_names_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    if not manifest_path(settings).exists():
        build_manifest(settings)
    catalog = load_catalog()
    warehouse = build_warehouse(tmp_path, [TENANT], DAYS)
    leads = pl.DataFrame(warehouse.query("select * from kpi.kpi_qualified_leads"))
    warehouse.replace_table("kpi.kpi_qualified_leads", leads.filter(pl.col("day") < OUTAGE).to_arrow())

    partitions = partitions_from(FIRST, "Europe/Amsterdam")
    result = dg.materialize(
        [anomalies_asset(catalog, load_manifest(settings), partitions), *anomaly_checks(catalog, partitions)],
        resources={"warehouse": warehouse, "store": LocalStore(tmp_path / "lake")},
        tags=range_tags(OUTAGE.isoformat(), LAST.isoformat()),
    )

    assert result.success
    found = warehouse.query("select * from kpi.kpi_anomalies where is_anomaly and series = 'headline'").to_pylist()
    assert {(row["kpi"], row["tenant_id"]) for row in found} == {
        ("qualified_leads", TENANT),
        ("qualified_leads", "all"),
    }
    assert min(row["day"] for row in found) == OUTAGE
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    failed = [check for check in checks.values() if not check.passed]
    assert [check.check_name for check in failed] == ["no_anomaly_in_qualified_leads"]
    assert failed[0].severity == dg.AssetCheckSeverity.WARN
    assert failed[0].asset_key == keys.ANOMALIES
    assert any(TENANT in offender for offender in failed[0].metadata["offenders_sample"].value)
    warnings = {name for name in checks if name.startswith("no_anomaly_in_")}
    assert warnings == {f"no_anomaly_in_{name}" for name in catalog.kpis}
