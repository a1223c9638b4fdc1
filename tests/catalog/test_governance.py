"""Owners, tiers, retention, roles and the registry of datasets as they are shipped."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_platform.catalog import Catalog, Duration

DBT = Path(__file__).parents[2] / "dbt"


def test_retention_classes_keep_what_governance_says(catalog: Catalog) -> None:
    kept = {name: (str(c.min_keep), str(c.max_keep), c.clock) for name, c in catalog.retention_classes.items()}

    assert kept == {
        "fiscal": ("7 years", "7 years 3 months", "end_of_financial_year"),
        "operations": ("0 days", "3 years", "business_date"),
        "customer": ("0 days", "25 months", "business_date"),
        "product": ("0 days", "13 months", "business_date"),
        "technical": ("0 days", "90 days", "business_date"),
    }


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [(Duration(days=30), Duration(months=1)), (Duration(months=11), Duration(years=1)), (Duration(), Duration(days=1))],
)
def test_durations_compare_in_average_months(shorter: Duration, longer: Duration) -> None:
    assert shorter.about_days < longer.about_days


def test_nine_roles_and_only_tenant_viewers_see_only_their_own(catalog: Catalog) -> None:
    assert set(catalog.access_roles) == {
        "admin",
        "executive",
        "finance",
        "operations",
        "customer_success",
        "growth",
        "tenant_viewer",
        "auditor",
        "privacy",
    }
    assert [r.name for r in catalog.access_roles.values() if r.tenants == "own"] == ["tenant_viewer"]


def test_a_role_sees_what_its_patterns_cover_and_nothing_else(catalog: Catalog) -> None:
    finance = catalog.access_roles["finance"]

    assert finance.may_see("kpi.kpi_mrr")
    assert finance.may_see("staging.stg_billing__invoice_paid")
    assert not finance.may_see("kpi.kpi_mrr_by_person")
    assert not finance.may_see("staging.stg_crm__nps_submitted")
    assert not any(r.may_see("dead_letters") for r in catalog.access_roles.values() if r.name != "admin")


def test_only_the_administrator_sees_personal_data_unmasked(catalog: Catalog) -> None:
    unmasked = {role.name for role in catalog.access_roles.values() if role.max_pii in ("personal", "sensitive")}
    assert unmasked == {"admin"}


def test_every_raw_stream_kpi_table_and_extract_is_registered(catalog: Catalog) -> None:
    needed = {f"raw.{stream}" for stream in catalog.streams}
    needed |= {kpi.table for kpi in catalog.kpis.values()}
    needed |= {f"extracts.{d.name}.{e.name}" for d in catalog.dashboards.values() for e in d.extracts}
    needed |= {f"dashboard.{name}" for name in catalog.dashboards}
    needed |= {f"staging.stg_{e.stream}__{e.table_name}" for e in catalog.events.values()}
    assert needed <= set(catalog.datasets)


def test_staging_datasets_follow_the_classes_of_the_plan(catalog: Catalog) -> None:
    answers = catalog.datasets["staging.stg_crm__nps_submitted"]

    assert answers.subject_columns == ("respondent_ref",)
    assert answers.pii_columns == ("respondent_ref", "comment")
    assert answers.retention_class == catalog.streams["crm"].retention_class


def dbt_tables() -> list[tuple[str, dict[str, Any]]]:
    """Every model and seed that dbt documents, by the name of its table."""
    found = []
    for path in sorted([*DBT.glob("models/*/**/*.yml"), *DBT.glob("seeds/*.yml")]):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        schema = path.relative_to(DBT / "models").parts[0] if path.is_relative_to(DBT / "models") else "marts"
        tables = [*document.get("models", []), *document.get("seeds", [])]
        found += [(f"{schema}.{table['name']}", table) for table in tables]
    return found


def test_every_table_of_dbt_is_registered_with_its_owner(catalog: Catalog) -> None:
    tables = dbt_tables()
    owners = {name: table.get("config", {}).get("meta", {}).get("owner") for name, table in tables}

    assert len(tables) > 28
    assert [name for name, _ in tables if name not in catalog.datasets] == []
    differing = [name for name, owner in owners.items() if owner and owner != catalog.datasets[name].owner]
    assert differing == []


def test_every_pii_column_of_a_dbt_model_is_in_the_registry(catalog: Catalog) -> None:
    unregistered = [
        f"{name}.{column['name']}"
        for name, table in dbt_tables()
        for column in table.get("columns", [])
        if column.get("config", {}).get("meta", {}).get("pii", "none") != "none"
        and column["name"] not in catalog.datasets[name].pii_columns
    ]
    assert unregistered == []
