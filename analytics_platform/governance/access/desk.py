"""Access of one deployment: compile the policy for all targets, compare what is live with it, apply it.

Joins the parts of this room; who calls it (the command line, the daily asset) adds nothing to what is decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics_platform.catalog import Audience, Catalog
from analytics_platform.documents import render_html, render_pdf
from analytics_platform.governance.access import bigquery, live, power_bi, snowflake
from analytics_platform.governance.access.dbt_grants import compile_dbt
from analytics_platform.governance.access.drift import Access, Drift, compare, extra
from analytics_platform.governance.access.duckdb import create_views, whole
from analytics_platform.governance.access.matrix import matrix
from analytics_platform.governance.access.memberships import MEMBERSHIPS_TABLE
from analytics_platform.governance.access.pages import compile_pages
from analytics_platform.governance.access.policy import Policy, policy_of
from analytics_platform.governance.access.signoff import PolicySignature, PolicyStanding, sign, standing
from analytics_platform.governance.access.tables import DbtTable, Table, tables_of
from analytics_platform.governance.access.targets import Carried, Target
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse, has_table

DRIFT_TABLE = "ops.access_drift"
DRIFT_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        pa.field("checked_at", pa.timestamp("us", tz="UTC")),
        pa.field("policy_sha256", pa.string()),
        pa.field("extra_privileges", pa.int64()),
        pa.field("missing_privileges", pa.int64()),
    ]
)
"""One row per look, so that what was found and mended within a day stays known."""

APPLIED = "access_policy_applied"

_LIVE_READERS = "questions"


@dataclass(frozen=True)
class Names:
    """How targets outside of this platform call what is ours.

    Attributes:
        account: Snowflake's database and writer.
        project: BigQuery's project.
        region: its region.
    """

    account: snowflake.Account
    project: bigquery.Project
    region: str


@dataclass(frozen=True)
class Applied:
    """What came of applying.

    Attributes:
        policy_sha256: the policy.
        found: how the target differed, before, from what was applied last.
        left: how it differs afterwards from this one: nothing, unless something is wrong. Nothing is said where
            nothing was applied, or where it would show only later.
        carried: what was done.
    """

    policy_sha256: str
    found: tuple[Drift, ...]
    left: tuple[Drift, ...]
    carried: Carried


class AccessDesk:
    """Access of one deployment.

    Args:
        catalog: roles, datasets and tenants.
        dbt: models by `schema.name`.
        store: the lake, for the chain of evidence.
        warehouse: the warehouse.
        folder: where the policy and the matrix lie.
        names: of targets outside.
        target: where audiences read tables, made for the tables that are declared.
        power_bi_model: which of its tables the roles of Power BI name beside the extracts.
    """

    def __init__(
        self,
        catalog: Catalog,
        dbt: Mapping[str, DbtTable],
        store: ObjectStore,
        warehouse: Warehouse,
        folder: Path,
        names: Names,
        target: Callable[[Mapping[str, Table]], Target],
        power_bi_model: power_bi.ModelTables = power_bi.ALL_EXTRACTS,
    ) -> None:
        self._catalog = catalog
        self._warehouse = warehouse
        self._folder = folder
        self._names = names
        self._power_bi_model = power_bi_model
        self._chain = EvidenceChain(store)
        self.tables = tables_of(catalog, dbt)
        self.target = target(self.tables)

    @cached_property
    def policy(self) -> Policy:
        """The policy that the catalogue declares."""
        return policy_of(self._catalog, self.tables)

    @property
    def tenants(self) -> list[str]:
        """The tenants of this deployment."""
        return list(self._catalog.tenants)

    def compile(self, folder: Path) -> list[Path]:
        """Write the policy for every target into a folder; returns what was written."""
        policy, tables, tenants = self.policy, self.tables, self.tenants
        names = self._names
        views = [
            statement
            for audience in policy.audiences(tenants)
            for statement in create_views(policy, tables, audience, whole(tables))
        ]
        found = {
            "policy.json": policy.as_bytes().decode() + "\n",
            "duckdb/views.sql": "".join(f"{statement};\n" for statement in views),
            **snowflake.compile_snowflake(policy, tables, tenants, names.account),
            **bigquery.compile_bigquery(policy, tables, tenants, names.project),
            **compile_dbt(policy, tables, tenants, names.account.database, names.project),
            **power_bi.compile_power_bi(policy, tables, tenants, self._power_bi_model),
            **compile_pages(policy, tenants),
            **self._questions(),
        }
        for name, text in found.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [folder / name for name in found] + self.write_matrix(folder, datetime.now(UTC).date())

    def power_bi_roles(self) -> dict[str, str]:
        """The roles of the semantic model by audience, as TMDL."""
        return power_bi.power_bi_roles(self.policy, self.tables, self.tenants, self._power_bi_model)

    def diff(self) -> list[Drift]:
        """How what audiences can read differs from the policy."""
        wanted = self.target.expected(self.policy, self.tables, self.tenants)
        return compare(wanted, self.target.live(self.policy))

    def changed_since_applied(self) -> list[Drift]:
        """How it differs from what it was when the policy was applied last.

        A table that was built since is nobody's yet, and is no difference here.
        """
        return self.target.changed(self.policy, self.tables, self.tenants)

    def after_models(self) -> dict[str, list[str]]:
        """By model of dbt, the statements that protect its table again once it is made anew."""
        return self.target.after_models(self.policy, self.tenants)

    def diff_external(self, target: str, rows: live.Rows) -> list[Drift]:
        """How another target differs, by the rows that it answered with."""
        readers: Mapping[str, Callable[[], tuple[Access, Access]]] = {
            snowflake.TARGET: lambda: (
                snowflake.expected(self.policy, self.tables, self.tenants, self._names.account),
                live.snowflake_access(rows),
            ),
            bigquery.TARGET: lambda: (
                bigquery.expected(self.policy, self.tables, self.tenants, self._names.project),
                live.bigquery_access(rows, self._names.project),
            ),
            power_bi.TARGET: lambda: (
                power_bi.expected(self.policy, self.tables, self.tenants),
                live.power_bi_access(rows),
            ),
        }
        return compare(*readers[target]())

    def apply(self, *, by: str, now: datetime) -> Applied:
        """Look, put it on record, carry the policy out where the platform does, and look again.

        What was live is compared with what was applied last: a policy that has become narrower since is no drift, but
        a grant by hand is, also when applying takes it away.
        """
        target = self.target
        before = target.applied()
        found = self.changed_since_applied()
        self._record(found, now)  # before, so that its table is there to be granted
        if not target.applies:
            return Applied(self.policy.sha256, tuple(found), (), Carried())
        carried = target.apply(self.policy, self.tables, self.tenants)
        left = [] if target.is_late else self.diff()
        if not target.is_late:
            self._record(left, now)
        if before is None or before.policy.sha256 != self.policy.sha256:
            said = {"files": len(carried.files), "previous": before.policy.sha256 if before else None}
            said |= {"target": target.name, "statements": carried.statements} if carried.statements else {}
            self._chain.record(APPLIED, self.policy.sha256, by, said, at=now)
        return Applied(self.policy.sha256, tuple(found), tuple(left), carried)

    def standing(self) -> PolicyStanding:
        """Who has signed the policy."""
        return standing(self._chain, self.policy, self._catalog.signoff_roles)

    def sign(self, role: str, signer: str, shown_sha256: str, now: datetime) -> PolicyStanding:
        """Sign the policy that was shown (`signoff.sign`)."""
        signature = PolicySignature(role, signer, now)
        return sign(self._chain, self.policy, self._catalog.signoff_roles, signature, shown_sha256)

    def write_matrix(self, folder: Path, dated: date) -> list[Path]:
        """Write the matrix as HTML and PDF."""
        document = matrix(self.policy, self._catalog, self.standing(), dated)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / "matrix.html", folder / "matrix.pdf"]
        paths[0].write_bytes(render_html(document))
        paths[1].write_bytes(render_pdf(document))
        return paths

    def held(self) -> list[dict[str, Any]]:
        """The newest day of `ops.role_memberships`; nothing before it is built."""
        if not has_table(self._warehouse, MEMBERSHIPS_TABLE):
            return []
        newest = f"select * from {MEMBERSHIPS_TABLE} where day = (select max(day) from {MEMBERSHIPS_TABLE})"
        rows: list[dict[str, Any]] = self._warehouse.query(newest).to_pylist()
        return rows

    def readable(self, audiences: Sequence[Audience]) -> int:
        """How much a principal of these audiences alone can read (`Target`)."""
        return self.target.readable(self.policy, audiences)

    def drift_today(self, day: date) -> pa.Table:
        """The rows of `ops.access_drift` of a day."""
        if not has_table(self._warehouse, DRIFT_TABLE):
            return DRIFT_SCHEMA.empty_table()
        sql = f"select {', '.join(DRIFT_SCHEMA.names)} from {DRIFT_TABLE} where day = ? order by checked_at"
        return self._warehouse.query(sql, [day]).cast(DRIFT_SCHEMA)

    def _record(self, drifts: list[Drift], now: datetime) -> None:
        day = now.astimezone(UTC).date()
        row = {
            "day": day,
            "checked_at": now,
            "policy_sha256": self.policy.sha256,
            "extra_privileges": extra(drifts),
            "missing_privileges": len(drifts) - extra(drifts),
        }
        rows = pa.concat_tables([self.drift_today(day), pa.Table.from_pylist([row], schema=DRIFT_SCHEMA)])
        self._warehouse.replace_days(DRIFT_TABLE, rows, day, day)

    def _questions(self) -> dict[str, str]:
        schemas = sorted({table.place[0] for table in self.tables.values() if not table.is_extract})
        homes = [bigquery.view_dataset(role.name) for role in self.policy.roles]
        asked = {
            snowflake.TARGET: live.snowflake_questions(self._names.account.database),
            bigquery.TARGET: live.bigquery_questions(self._names.project.name, self._names.region, [*homes, *schemas]),
        }
        return {
            f"{_LIVE_READERS}/{target}_{name}.sql": f"{sql};\n"
            for target, questions in asked.items()
            for name, sql in questions.items()
        }


def reference_key(folder: Path, secret: str | None) -> bytes:
    """The key of references to principals: the one that is set, else one that this home makes for itself, once."""
    if secret is not None:
        return hashlib.sha256(secret.encode()).digest()
    path = folder / "reference.key"
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if not path.exists():
        import secrets

        fresh = path.with_name(f".{path.name}")
        fresh.write_bytes(secrets.token_bytes(32))
        fresh.chmod(0o600)
        fresh.replace(path)
    return path.read_bytes()
