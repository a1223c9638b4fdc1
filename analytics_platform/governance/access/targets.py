"""Where the policy is carried out and compared: one port, the embedded DuckDB files and a warehouse that is shared.

    Target ◄── audience_files.AudienceFiles   files per audience and views, made anew with each application
           ◄── SharedTarget                   Snowflake or BigQuery: compiled statements, asked what is really granted
           ◄── BranchTarget                   a branch's schemas in a shared warehouse: nobody is granted anything

Belongs here: what can be applied and compared, and the two of them that are a product's own. Stays out: what the
policy says in a product's words (`snowflake`, `bigquery`), what its answers mean (`live`), and connecting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import orjson

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.drift import Access, Drift, compare, parse_access
from analytics_platform.governance.access.live import Rows
from analytics_platform.governance.access.policy import Grant, Policy, PolicyError, parse_policy
from analytics_platform.governance.access.tables import Table
from analytics_platform.warehouse import SharedWarehouse, table_columns

_BY_HAND = (
    "Run what `analytics access compile` writes, with an account that may grant; or let the platform do it with "
    "ANALYTICS_ACCESS_GRANTS=apply."
)
_TAKE_AWAY = (
    "`analytics access apply --by NAME` brings back what is missing. What is granted beyond the policy is taken away "
    "by hand: `analytics access diff` gives the statements."
)


@dataclass(frozen=True)
class Written:
    """One audience's file as it was written."""

    audience: Audience
    path: Path
    datasets: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class Carried:
    """What an application did.

    Attributes:
        files: what was written for audiences.
        statements: how many were run in the warehouse.
        by_hand: what of the compiled somebody still has to do, as files of `analytics access compile`.
    """

    files: tuple[Written, ...] = ()
    statements: int = 0
    by_hand: tuple[str, ...] = ()


@dataclass(frozen=True)
class Before:
    """What was applied last: the policy, and what it then came to."""

    policy: Policy
    access: Access


class Target(Protocol):
    """A place where audiences read tables."""

    name: str
    """As the setting `warehouse` calls it."""

    applies: bool
    """Whether `apply` changes anything: else somebody runs what was compiled, and the platform compares alone."""

    is_late: bool
    """Whether a change shows only later, so that looking again at once proves nothing."""

    next_step: str
    """What to do where the policy and what is granted differ."""

    def expected(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
        """What is granted and hidden when the policy is in force over the tables that are built."""

    def live(self, policy: Policy) -> Access:
        """What really is."""

    def applied(self) -> Before | None:
        """What was applied last; None before the first time.

        Raises:
            PolicyError: it cannot be read any more.
        """

    def changed(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[Drift]:
        """How what is live differs from what it was when the policy was applied last."""

    def apply(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Carried:
        """Carry the policy out; to do it again changes nothing."""

    def readable(self, policy: Policy, audiences: Sequence[Audience]) -> int:
        """How much a principal of these audiences alone can read: rows in files, or tables granted to it."""

    def after_models(self, policy: Policy, tenants: Iterable[str]) -> dict[str, list[str]]:
        """By model of dbt, statements for the end of its build: what its table loses when it is made anew."""

    def mend(self, drifts: Iterable[Drift]) -> list[str]:
        """Statements that take away what is granted beyond the policy; the platform never runs them by itself."""


class Dialect(Protocol):
    """The policy in the words of one product."""

    @property
    def name(self) -> str:
        """As the setting `warehouse` calls it."""

    @property
    def is_late(self) -> bool:
        """Whether its answers are older than what was run last."""

    @property
    def by_hand(self) -> tuple[str, ...]:
        """What of the compiled no statement does."""

    @property
    def everybody(self) -> frozenset[str]:
        """The names that every principal has there, whoever it is."""

    def statements(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[str]:
        """All that puts the policy in force, in order; each does nothing where it stands already."""

    def after_models(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> dict[str, list[str]]:
        """By model of dbt, what its table loses when it is made anew: policies first, then grants."""

    def expected(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
        """What is granted and hidden when all of it is in force."""

    def ask(self, warehouse: SharedWarehouse, policy: Policy, tables: Mapping[str, Table]) -> Rows:
        """The answers to the compiled questions."""

    def access(self, rows: Rows) -> Access:
        """What the answers mean."""

    def grantees(self, audience: Audience) -> frozenset[str]:
        """The names that a principal of an audience has there."""

    def revocation(self, drift: Drift) -> str | None:
        """The statement that takes a privilege away; None where there is none."""


class SharedTarget:
    """A warehouse with users and grants of its own.

    Args:
        warehouse: the connection; its user has to see what is granted, and to grant where `applies`.
        dialect: the product.
        tables: every declared table.
        record: file that remembers what was applied last.
        applies: whether the platform runs the compiled statements.
    """

    def __init__(
        self,
        warehouse: SharedWarehouse,
        dialect: Dialect,
        tables: Mapping[str, Table],
        record: Path,
        *,
        applies: bool,
    ) -> None:
        self.name, self.is_late, self.applies = dialect.name, dialect.is_late, applies
        self.next_step = _TAKE_AWAY if applies else _BY_HAND
        self._warehouse, self._dialect, self._tables, self._record = warehouse, dialect, tables, record

    def expected(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
        """See `Target`."""
        built = self._built(policy, tables)
        return self._dialect.expected(*built, tenants)

    def live(self, policy: Policy) -> Access:
        """See `Target`."""
        built = self._built(policy, self._tables)
        return self._dialect.access(self._dialect.ask(self._warehouse, *built))

    def applied(self) -> Before | None:
        """See `Target`."""
        return read_applied(self._record) if self.applies else None

    def changed(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[Drift]:
        """See `Target`.

        Builds bring today's policy into force table by table, so what is as today's says is no difference. Where the
        platform applies nothing, nobody told it what was applied, and today's is all that there is to compare with.
        """
        wanted, live, before = self.expected(policy, tables, tenants), self.live(policy), self.applied()
        if before is None:
            return compare(wanted, live)
        come = {place: text for place, text in wanted.restrictions.items() if live.restrictions.get(place) == text}
        privileges = before.access.privileges | (wanted.privileges & live.privileges)
        return compare(Access(privileges, {**before.access.restrictions, **come}), live)

    def apply(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Carried:
        """See `Target`."""
        if not self.applies:
            return Carried()
        tenants = list(tenants)
        statements = self._dialect.statements(*self._built(policy, tables), tenants)
        self._run(statements)
        write_applied(self._record, Before(policy, self.expected(policy, tables, tenants)))
        return Carried(statements=len(statements), by_hand=self._dialect.by_hand)

    def readable(self, policy: Policy, audiences: Sequence[Audience]) -> int:
        """See `Target`."""
        names = self._dialect.everybody.union(*(self._dialect.grantees(each) for each in audiences))
        return len({each.object for each in self.live(policy).privileges if each.audience in names})

    def after_models(self, policy: Policy, tenants: Iterable[str]) -> dict[str, list[str]]:
        """See `Target`; of all columns that are declared, since a contract makes a model have just those."""
        return self._dialect.after_models(policy, self._tables, tenants) if self.applies else {}

    def mend(self, drifts: Iterable[Drift]) -> list[str]:
        """See `Target`."""
        wanted = (self._dialect.revocation(each) for each in drifts if each.severity == "critical")
        return [statement for statement in wanted if statement is not None]

    def _run(self, statements: Iterable[str]) -> None:
        with self._warehouse.reading():  # one connection: to log in costs more than most of them
            for statement in statements:
                self._warehouse.native(statement)

    def _built(self, policy: Policy, tables: Mapping[str, Table]) -> tuple[Policy, Mapping[str, Table]]:
        found = {name.lower(): {column.lower() for column in of} for name, of in table_columns(self._warehouse).items()}
        return built(policy, tables, found)


class BranchTarget:
    """A branch's schemas: nobody is granted anything there, and production's grants are none of its business."""

    applies = False
    is_late = False
    next_step = "Nothing: a branch environment has no audiences. Read it with the account that builds it."

    def __init__(self, name: str) -> None:
        self.name = name

    def expected(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
        """See `Target`."""
        return Access()

    def live(self, policy: Policy) -> Access:
        """See `Target`."""
        return Access()

    def applied(self) -> Before | None:
        """See `Target`."""
        return None

    def changed(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[Drift]:
        """See `Target`."""
        return []

    def apply(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Carried:
        """See `Target`."""
        return Carried()

    def readable(self, policy: Policy, audiences: Sequence[Audience]) -> int:
        """See `Target`."""
        return 0

    def after_models(self, policy: Policy, tenants: Iterable[str]) -> dict[str, list[str]]:
        """See `Target`."""
        return {}

    def mend(self, drifts: Iterable[Drift]) -> list[str]:
        """See `Target`."""
        return []


def built(
    policy: Policy, tables: Mapping[str, Table], columns: Mapping[str, set[str]]
) -> tuple[Policy, dict[str, Table]]:
    """The policy over what is there: of a table that is not built there is nothing to grant.

    A table without the column that says whose a row is, is left out: its rows cannot be told apart.

    Args:
        policy: as declared.
        tables: as declared.
        columns: by table, as the warehouse has them.
    """
    there = {
        name: replace(table, columns=tuple(each for each in table.columns if each.name in columns[name]))
        for name, table in tables.items()
        if not table.is_extract and name in columns and table.tenant_column in {None, *columns[name]}
    }
    roles = (
        replace(
            role, grants=tuple(_within(each, columns[each.dataset]) for each in role.grants if each.dataset in there)
        )
        for role in policy.roles
    )
    return Policy(tuple(roles)), there


def read_applied(path: Path) -> Before | None:
    """What a file remembers of the last application; None where there is no file.

    Raises:
        PolicyError: it cannot be read any more.
    """
    if not path.exists():
        return None
    try:
        told = orjson.loads(path.read_bytes())
        return Before(parse_policy(told["policy"]), parse_access(told["access"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"{path} cannot be read; see who changed it, remove it and apply again") from error


def write_applied(path: Path, before: Before) -> None:
    """Remember an application, in one step."""
    told = {"policy": orjson.loads(before.policy.as_bytes()), "access": before.access.as_json()}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(orjson.dumps(told))
    fresh.replace(path)


def _within(grant: Grant, columns: set[str]) -> Grant:
    return replace(
        grant,
        columns=tuple(name for name in grant.columns if name in columns),
        masked=tuple(name for name in grant.masked if name in columns),
    )
