"""Snowflake and BigQuery as a target is asked and told: which statements, which questions, which names.

Belongs here: joining what one product's compiler (`snowflake`, `bigquery`) and reader of answers (`live`) give to one
`Dialect`. Stays out: when any of it is run (`targets`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from analytics_platform.catalog import Audience
from analytics_platform.governance.access import bigquery, live, snowflake
from analytics_platform.governance.access.drift import Access, Drift
from analytics_platform.governance.access.policy import Policy
from analytics_platform.governance.access.tables import Table
from analytics_platform.warehouse import SharedWarehouse


@dataclass(frozen=True)
class SnowflakeDialect:
    """Snowflake: account usage sees every role, up to two hours late."""

    account: snowflake.Account
    name: str = snowflake.TARGET
    is_late: bool = True
    by_hand: tuple[str, ...] = ()
    everybody: frozenset[str] = frozenset({"PUBLIC"})

    def statements(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[str]:
        """See `Dialect`."""
        steps = snowflake.statements(policy, tables, tenants, self.account)
        return [statement for step in steps.values() for statement in step]

    def after_models(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> dict[str, list[str]]:
        """See `Dialect`."""
        return snowflake.after_models(policy, tables, tenants, self.account)

    def expected(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
        """See `Dialect`."""
        return snowflake.expected(policy, tables, tenants, self.account)

    def ask(self, warehouse: SharedWarehouse, policy: Policy, tables: Mapping[str, Table]) -> live.Rows:
        """See `Dialect`."""
        return live.asked(live.snowflake_questions(self.account.database), _rows_of(warehouse))

    def access(self, rows: live.Rows) -> Access:
        """See `Dialect`."""
        return live.snowflake_access(rows)

    def grantees(self, audience: Audience) -> frozenset[str]:
        """See `Dialect`."""
        return frozenset({snowflake.role_name(audience)})

    def revocation(self, drift: Drift) -> str | None:
        """See `Dialect`."""
        return snowflake.revocation(drift, self.account)


@dataclass(frozen=True)
class BigQueryDialect:
    """BigQuery: row policies are read by its API, all else by SQL.

    Attributes:
        project: the project.
        region: its region.
        request: one request of its API.
    """

    project: bigquery.Project
    region: str
    request: live.Request = field(repr=False)
    name: str = bigquery.TARGET
    is_late: bool = False
    by_hand: tuple[str, ...] = (bigquery.AUTHORIZED,)
    everybody: frozenset[str] = frozenset({"allUsers", "allAuthenticatedUsers"})

    def statements(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[str]:
        """See `Dialect`."""
        steps = bigquery.statements(policy, tables, tenants, self.project)
        return [statement for step in steps.values() for statement in step]

    def after_models(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> dict[str, list[str]]:
        """See `Dialect`."""
        return bigquery.after_models(policy, tables, tenants, self.project)

    def expected(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
        """See `Dialect`."""
        return bigquery.expected(policy, tables, tenants, self.project)

    def ask(self, warehouse: SharedWarehouse, policy: Policy, tables: Mapping[str, Table]) -> live.Rows:
        """See `Dialect`."""
        homes = [bigquery.view_dataset(role.name) for role in policy.roles if role.grants]
        schemas = sorted({table.place[0] for table in tables.values()})
        questions = live.bigquery_questions(self.project.name, self.region, [*homes, *schemas])
        governed = [table.dataset for table in tables.values() if table.tenant_column is not None]
        policies = live.bigquery_row_policies(self.request, self.project.name, governed)
        return {**live.asked(questions, _rows_of(warehouse)), "row_policies": policies}

    def access(self, rows: live.Rows) -> Access:
        """See `Dialect`."""
        return live.bigquery_access(rows, self.project)

    def grantees(self, audience: Audience) -> frozenset[str]:
        """See `Dialect`."""
        return frozenset({bigquery.group(audience, self.project)})

    def revocation(self, drift: Drift) -> str | None:
        """See `Dialect`."""
        return bigquery.revocation(drift, self.project)


def _rows_of(warehouse: SharedWarehouse) -> live.Ask:
    """Rows by names in lower case: Snowflake answers in upper."""

    def ask(sql: str) -> list[dict[str, object]]:
        rows = warehouse.native(sql).to_pylist()
        return [{name.lower(): value for name, value in row.items()} for row in rows]

    return ask
