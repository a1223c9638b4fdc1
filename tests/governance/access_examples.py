"""A small policy over a few tables, and the golden files of what it is compiled to.

`python tests/governance/access_examples.py` writes the golden files anew; read what has changed before you commit it.
"""

from __future__ import annotations

from pathlib import Path

from analytics_platform.catalog import AccessRole, Dataset
from analytics_platform.governance.access import bigquery, dbt_grants, pages, power_bi, snowflake
from analytics_platform.governance.access.policy import Policy, role_of
from analytics_platform.governance.access.tables import Column, Table

GOLDEN = Path(__file__).parent / "golden_access"
TENANTS = ("alpha", "b-c")
ACCOUNT = snowflake.Account("analytics", "ANALYTICS_WRITER")
PROJECT = bigquery.Project("acme", "acme.example", "loader@acme.iam.gserviceaccount.com")

INVOICES = Table(
    "marts.fct_invoices",
    (
        Column("tenant_id", "none"),
        Column("amount_minor", "none", "bigint"),
        Column("customer_ref", "pseudonymous"),
        Column("contact", "personal"),
        Column("unclassed", None),
    ),
    "tenant_id",
    "marts.fct_invoices",
    ("marts.fct_invoices",),
    ("analytics_platform", "marts", "revenue", "fct_invoices"),
)
TICKETS = Table(
    "marts.fct_tickets",
    (Column("tenant_id", "none"), Column("requester_ref", "pseudonymous")),
    "tenant_id",
    "marts.fct_tickets",
    ("marts.fct_tickets",),
    ("analytics_platform", "marts", "support", "fct_tickets"),
)
RATES = Table(
    "marts.fx_rates",
    (Column("currency", "none"), Column("rate", "none", "double")),
    None,
    "marts.fx_rates",
    ("marts.fx_rates",),
)
EXTRACT = Table(
    "extracts.finance.invoices",
    (Column("tenant_id", "none"), Column("customer_ref", "pseudonymous")),
    "tenant_id",
    "(select cast(tenant_id as varchar) as tenant_id, cast(customer_ref as varchar) as customer_ref "
    "from marts.fct_invoices)",
    ("marts.fct_invoices",),
)
TABLES = {table.dataset: table for table in (INVOICES, TICKETS, RATES, EXTRACT)}
PAGES = {"dashboard.finance": "dashboard", "report.weekly": "report", "report.expectations": "report"}


def role(name: str, tenants: str, max_pii: str, *datasets: str, rbac_names: tuple[str, ...] = ()) -> AccessRole:
    return AccessRole.model_validate(
        {
            "name": name,
            "title": name.capitalize(),
            "description": "An example.",
            "tenants": tenants,
            "max_pii": max_pii,
            "datasets": datasets,
            "rbac_names": rbac_names,
        }
    )


ROLES = (
    role("finance", "all", "personal", "marts.fct_invoices", "marts.fx_rates", "extracts.*", "dashboard.*", "report.*"),
    role("auditor", "all", "none", "marts.*"),
    role("viewer", "own", "none", "marts.*", "extracts.*", "dashboard.*", "report.*", rbac_names=("Customer", "Guest")),
)


def datasets() -> list[Dataset]:
    layers = {**{name: "extract" if table.is_extract else "marts" for name, table in TABLES.items()}, **PAGES}
    return [
        Dataset.model_validate(
            {
                "name": name,
                "layer": layer,
                "description": "An example.",
                "owner": "data_platform",
                "retention_class": "fiscal",
                "sla_tier": None,
                "tenant_column": TABLES[name].tenant_column if name in TABLES else None,
            }
        )
        for name, layer in layers.items()
    ]


def example_policy(*roles: AccessRole) -> Policy:
    return Policy(tuple(role_of(each, datasets(), TABLES) for each in roles or ROLES))


def compiled() -> dict[str, str]:
    """Every text target of the example, by file."""
    policy = example_policy()
    return {
        **snowflake.compile_snowflake(policy, TABLES, TENANTS, ACCOUNT),
        **bigquery.compile_bigquery(policy, TABLES, TENANTS, PROJECT),
        **dbt_grants.compile_dbt(policy, TABLES, TENANTS, ACCOUNT.database, PROJECT),
        **power_bi.compile_power_bi(policy, TABLES, TENANTS),
        **pages.compile_pages(policy, TENANTS),
    }


def write_golden() -> None:
    for name, text in compiled().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_golden()
