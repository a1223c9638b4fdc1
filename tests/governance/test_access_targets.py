"""What the policy is compiled to, as golden files, and what it means: DuckDB plays Snowflake and BigQuery.

sqlglot does not parse row-access DDL. So the bodies of policies are taken out of the compiled text and run: with a
macro in place of `is_role_in_session`, and with BigQuery's rule that a reader sees the union of the rows granted to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import yaml
from access_examples import ACCOUNT, EXTRACT, GOLDEN, INVOICES, PROJECT, TABLES, TENANTS, compiled, example_policy

from analytics_platform.catalog import Audience
from analytics_platform.governance.access import power_bi

COMPILED = compiled()
AUDIENCES = [Audience("finance"), Audience("auditor"), Audience("viewer", "alpha"), Audience("viewer", "b-c")]
ROWS = {
    "marts.fct_invoices": [("alpha", 1, "c-alpha", "p-alpha", "u-alpha"), ("b-c", 2, "c-b", "p-b", "u-b")],
    "marts.fct_tickets": [("alpha", "r-alpha"), ("b-c", "r-b")],
    "marts.fx_rates": [("EUR", 1.0)],
}
Seen = dict[str, set[tuple[object, ...]] | None]
"""Rows by table; None where it cannot be read."""


def naive(audiences: list[Audience]) -> Seen:
    """What these audiences together see, written out by hand."""
    roles = {each.role for each in audiences}
    own = {each.tenant for each in audiences if each.tenant}
    invoices = {
        (
            tenant,
            amount,
            customer if "finance" in roles else None,
            contact if "finance" in roles else None,
            None,
        )
        for tenant, amount, customer, contact, _ in ROWS["marts.fct_invoices"]
        if roles & {"finance", "auditor"} or tenant in own
    }
    tickets = {(tenant, None) for tenant, _ in ROWS["marts.fct_tickets"] if "auditor" in roles or tenant in own}
    return {
        "marts.fct_invoices": invoices if roles else None,
        "marts.fct_tickets": tickets if roles & {"auditor", "viewer"} else None,
        "marts.fx_rates": {("EUR", 1.0)} if roles & {"finance", "auditor"} else None,
    }


SETS = [[], *([each] for each in AUDIENCES), AUDIENCES[:2], [AUDIENCES[0], AUDIENCES[2]], AUDIENCES[2:]]


def set_name(audiences: list[Audience]) -> str:
    return "+".join(each.name for each in audiences) or "nobody"


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("create schema marts")
    for name, rows in ROWS.items():
        columns = ", ".join(f"{column.name} {column.type}" for column in TABLES[name].columns)
        connection.execute(f"create table {name} ({columns})")
        connection.executemany(f"insert into {name} values ({', '.join('?' * len(rows[0]))})", rows)
    connection.execute("create macro is_role_in_session(name) as list_contains(getvariable('roles'), name)")
    yield connection
    connection.close()


def seen_in_snowflake(database: duckdb.DuckDBPyConnection, roles: list[str], scripts: dict[str, str]) -> Seen:
    """What a session with these roles reads, by the text of the compiled DDL alone."""
    policies, attach = scripts["snowflake/2_policies.sql"], scripts["snowflake/3_attach.sql"]
    grants = scripts["snowflake/4_grants.sql"]
    bodies = {
        match[1].rpartition(".")[2]: match[2]
        for match in re.finditer(r"^alter (?:row access|masking) policy (\S+) set body -> (.*);$", policies, re.M)
    }
    database.execute(f"set variable roles = {roles!r}::varchar[]")
    seen: Seen = {}
    for name, table in TABLES.items():
        if table.is_extract:
            continue
        granted = re.findall(rf"^grant select on table analytics\.{name} to role (\S+);$", grants, re.M)
        if not set(granted) & set(roles):
            seen[name] = None
            continue
        rows = re.search(
            rf"alter table analytics\.{name} add row access policy analytics\.access\.(\w+) on \((\w+)\)", attach
        )
        where = bodies[rows[1]].replace("tenant_id", rows[2]) if rows else "true"
        masks = dict(
            re.findall(
                rf"alter table analytics\.{name} modify column (\w+) set masking policy analytics\.access\.(\w+) force",
                attach,
            )
        )
        items = [
            re.sub(r"\bval\b", each.name, bodies[masks[each.name]]) if each.name in masks else each.name
            for each in table.columns
        ]
        seen[name] = set(database.execute(f"select {', '.join(items)} from {name} where {where}").fetchall())
    return seen


def seen_in_bigquery(database: duckdb.DuckDBPyConnection, groups: list[str], scripts: dict[str, str]) -> Seen:
    """What a member of these groups reads through the views, by the text of the compiled DDL alone."""
    policies: dict[str, list[tuple[list[str], str]]] = {}
    for table, who, rows in re.findall(
        r"row access policy \w+ on `acme\.([\w.]+)` grant to \((.*)\) filter using \((.*)\);$",
        scripts["bigquery/1_rows.sql"],
        re.M,
    ):
        policies.setdefault(table, []).append((re.findall(r'"([^"]+)"', who), rows))
    readable = {
        home
        for home, who in re.findall(r'on schema `acme\.(\w+)` to "(\S+)";', scripts["bigquery/4_iam.sql"])
        if who in groups
    }
    seen: Seen = {name: None for name, table in TABLES.items() if not table.is_extract}
    for home, columns, name in re.findall(
        r"view `acme\.(\w+)\.\w+` as select (.*) from `acme\.([\w.]+)`;$", scripts["bigquery/2_views.sql"], re.M
    ):
        if home not in readable:
            continue
        mine = [f"({rows})" for who, rows in policies.get(name, []) if set(who) & set(groups)]
        where = " or ".join(mine) or ("false" if name in policies else "true")
        # In the order of the table, for comparison.
        items = {item.rpartition(" as ")[2] or item: item for item in re.split(r", (?![^(]*\))", columns)}
        ordered = ", ".join(items[column.name] for column in TABLES[name].columns)
        rows_seen = set(database.execute(f"select {ordered} from {name} where {where}").fetchall())
        seen[name] = _richest(seen[name], rows_seen)
    return seen


def _richest(before: set[tuple[object, ...]] | None, found: set[tuple[object, ...]]) -> set[tuple[object, ...]]:
    """Of two views of a table, what a reader of both knows: no row twice, a value rather than a mask."""
    every = (before or set()) | found
    return {
        row
        for row in every
        if not any(
            other != row and all(mine in (None, theirs) for mine, theirs in zip(row, other, strict=True))
            for other in every
        )
    }


def snowflake_roles(audiences: list[Audience]) -> list[str]:
    names = {"viewer@alpha": "ANALYTICS_VIEWER$ALPHA", "viewer@b-c": "ANALYTICS_VIEWER$B$C"}
    return [names.get(each.name, f"ANALYTICS_{each.role.upper()}") for each in audiences]


def bigquery_groups(audiences: list[Audience]) -> list[str]:
    return [f"group:analytics.{each.name.replace('@', '.')}@acme.example" for each in audiences]


@pytest.mark.parametrize("audiences", SETS, ids=set_name)
def test_snowflakes_policies_show_each_set_of_roles_what_it_may_see(
    database: duckdb.DuckDBPyConnection, audiences: list[Audience]
) -> None:
    assert seen_in_snowflake(database, snowflake_roles(audiences), COMPILED) == naive(audiences)


@pytest.mark.parametrize("audiences", SETS, ids=set_name)
def test_bigquerys_views_over_its_row_policies_show_each_set_of_groups_what_it_may_see(
    database: duckdb.DuckDBPyConnection, audiences: list[Audience]
) -> None:
    assert seen_in_bigquery(database, bigquery_groups(audiences), COMPILED) == naive(audiences)


def test_a_changed_body_of_either_shows_in_the_simulation(database: duckdb.DuckDBPyConnection) -> None:
    viewer = [AUDIENCES[2]]
    open_rows = COMPILED["snowflake/2_policies.sql"].replace("tenant_id = 'alpha' and ", "")
    assert seen_in_snowflake(
        database, snowflake_roles(viewer), {**COMPILED, "snowflake/2_policies.sql": open_rows}
    ) != naive(viewer)
    unmasked = COMPILED["bigquery/2_views.sql"].replace("if(false, requester_ref, null)", "requester_ref")
    assert seen_in_bigquery(database, bigquery_groups(viewer), {**COMPILED, "bigquery/2_views.sql": unmasked}) != naive(
        viewer
    )


def test_whoever_builds_sees_all_of_it_or_a_build_would_write_filtered_rows_back(
    database: duckdb.DuckDBPyConnection,
) -> None:
    scripts = {
        **COMPILED,
        "snowflake/4_grants.sql": f"grant select on table analytics.{INVOICES.dataset} to role {ACCOUNT.writer};",
    }
    seen = seen_in_snowflake(database, [ACCOUNT.writer], scripts)
    assert seen[INVOICES.dataset] == set(ROWS[INVOICES.dataset])
    for name in ("marts.fct_invoices", "marts.fct_tickets"):
        assert (
            f'policy writer on `acme.{name}` grant to ("serviceAccount:{PROJECT.writer}") filter using (true);'
            in COMPILED["bigquery/1_rows.sql"]
        )


@pytest.mark.parametrize("name", sorted(COMPILED))
def test_every_target_is_what_its_golden_file_says(name: str) -> None:
    assert COMPILED[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_there_is_no_golden_file_of_something_that_is_not_compiled() -> None:
    kept = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    assert kept == set(COMPILED)


@pytest.mark.parametrize("warehouse", ["snowflake", "bigquery"])
def test_dbt_attaches_every_policy_of_a_model_in_the_run_that_made_it_anew(warehouse: str) -> None:
    models = yaml.safe_load(COMPILED[f"dbt/{warehouse}.yml"])["models"]["analytics_platform"]["marts"]
    hooks = models["revenue"]["fct_invoices"]["+post-hook"]
    script = {"snowflake": "snowflake/3_attach.sql", "bigquery": "bigquery/1_rows.sql"}[warehouse]
    of_table = [line.rstrip(";") for line in COMPILED[script].splitlines() if re.search(r"marts\.fct_invoices\b", line)]
    assert [hook.rstrip(";") for hook in hooks] == of_table


def test_dbt_runs_hooks_before_it_grants() -> None:
    """Else a table that was made anew could be read before it is protected."""
    import dbt.include.snowflake as installed

    folder = Path(next(iter(installed.__path__))) / "macros" / "materializations"
    for name in ("table.sql", "incremental.sql"):
        text = (folder / name).read_text()
        assert 0 < text.index("run_hooks(post_hooks)") < text.index("do apply_grants")


def test_no_two_audiences_share_a_name_in_any_target() -> None:
    tenants = ["a-b", "a_b", "a--b", "a_-b", "ab"]
    audiences = example_policy().audiences(tenants)
    from analytics_platform.governance.access.bigquery import group, row_policies
    from analytics_platform.governance.access.snowflake import readers, role_name

    for name in (role_name, lambda each: group(each, PROJECT), lambda each: each.name):
        assert len({name(each) for each in audiences}) == len(audiences)
    for reader in readers(example_policy(), TABLES, tenants):
        if reader.table.tenant_column:
            own = [each for each in row_policies(reader, PROJECT) if each.startswith("own_")]
            assert len(own) == sum(each.tenant is not None for each in reader.audiences)


def test_power_bi_hides_tables_and_columns_and_filters_rows() -> None:
    role = COMPILED["power_bi/roles/viewer@b-c.tmdl"]
    assert "tablePermission finance__invoices = 'finance__invoices'[tenant_id] = \"b-c\"" in role
    assert "columnPermission customer_ref\n\t\t\tmetadataPermission: none" in role
    assert "Viewer and no other" in role
    assert set(TENANTS) == {"alpha", "b-c"}


def test_power_bi_shows_no_row_of_what_is_denied_and_filters_shared_tables_by_what_they_hold() -> None:
    shared: dict[str, tuple[str, tuple[str, ...]]] = {
        "Tenant": ("Tenant", ("extracts.finance.invoices",)),
        "It's shared": ("tenant_id", ("extracts.finance.invoices", "extracts.growth.leads")),
        "Channel": ("tenant_id", ("extracts.growth.leads",)),
    }
    leads = replace(EXTRACT, dataset="extracts.growth.leads")
    policy = example_policy()
    tables = {**TABLES, leads.dataset: leads}
    roles = power_bi.power_bi_roles(policy, tables, TENANTS, power_bi.ModelTables(shared))
    assert "tablePermission Tenant = 'Tenant'[Tenant] = \"b-c\"" in roles["viewer@b-c"]
    assert "tablePermission 'It''s shared' = 'It''s shared'[tenant_id] = \"b-c\"" in roles["viewer@b-c"]
    assert "tablePermission growth__leads = FALSE()" in roles["viewer@b-c"]
    assert "tablePermission Channel = FALSE()" in roles["viewer@b-c"]
    assert "shared" not in roles["finance"]
    left_out = power_bi.ModelTables(shared, frozenset({"extracts.finance.invoices"}))
    assert "growth__leads" not in "".join(power_bi.power_bi_roles(policy, tables, TENANTS, left_out).values())
