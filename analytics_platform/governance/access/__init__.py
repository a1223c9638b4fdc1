"""Who may see what: one policy from the catalogue's roles, compiled to every place that shows data. Deny by default.

    tables (classes of columns) ──► policy ──► duckdb | snowflake | bigquery | dbt_grants | power_bi | pages | matrix
    rbac (who holds which role) ──► memberships        live (what is granted) ──► drift

The policy and the compilers are pure: text in, text out. ``audience_files`` and ``warehouse_views`` carry it out where
it is ours to carry out (DuckDB), ``live`` reads what other places grant, ``rbac`` the product's own export; ``desk``
joins them. Stays out: Dagster, and how a warehouse or a dashboard is built.

An **audience** is a role, and of a role that sees its own tenants only, a role and one tenant. All targets name it
alike (`finance`, `tenant_viewer@brabant-rental`), so no grant, filter or file has to know a person.
"""
