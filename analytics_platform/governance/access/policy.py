"""The policy, resolved: each role with every dataset that it may see, its columns, its masks and its rows.

Pure, and one value: its SHA-256 is what people sign, what was applied is compared with, and what evidence names. A
tenant that is added changes no policy; a role, a dataset, a column or a class does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import orjson

from analytics_platform.catalog import AccessRole, Audience, Catalog, Dataset, PiiClass
from analytics_platform.catalog.governance import audiences_of_role
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.access.tables import Table, is_shown

Kind = Literal["table", "extract", "page", "place"]
"""A table of the warehouse, an extract, pages for readers (dashboards, reports), or a place where bytes lie."""

Rows = Literal["all", "own"]

_PAGE_LAYERS = ("dashboard", "report")
_READ_AS_PAGES = frozenset({"governance.data_quality_review", "governance.processing_records"})
"""Governance's own that people read. Names of who signed stand in them for whoever may read what was signed."""


class PolicyError(AnalyticsError):
    """A policy cannot be read or compiled; the text says which and why."""


@dataclass(frozen=True)
class Grant:
    """One dataset as one role sees it.

    Attributes:
        dataset: name in the registry.
        kind: what it is.
        rows: all, or those of the principal's own tenants.
        tenant_column: the column by which rows are filtered; None where all are seen, or paths keep tenants apart.
        columns: those in clear.
        masked: those that are always null.
    """

    dataset: str
    kind: Kind
    rows: Rows
    tenant_column: str | None
    columns: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """A role of ours, and the names by which the product's RBAC means it."""

    name: str
    title: str
    rows: Rows
    max_pii: PiiClass
    rbac_names: tuple[str, ...]
    grants: tuple[Grant, ...]

    @cached_property
    def by_dataset(self) -> Mapping[str, Grant]:
        """What the role sees, by dataset."""
        return {grant.dataset: grant for grant in self.grants}


@dataclass(frozen=True)
class Policy:
    """All roles in the order of their file."""

    roles: tuple[Role, ...]

    @cached_property
    def by_role(self) -> Mapping[str, Role]:
        """The roles by name."""
        return {role.name: role for role in self.roles}

    @cached_property
    def sha256(self) -> str:
        """The hash of everything that the policy says."""
        return hashlib.sha256(self.as_bytes()).hexdigest()

    def as_bytes(self) -> bytes:
        """Canonical JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)

    def audiences(self, tenants: Iterable[str]) -> list[Audience]:
        """Every audience of a deployment with these tenants."""
        tenants = list(tenants)
        return [each for role in self.roles for each in audiences_of_role(role.name, role.rows, tenants)]

    def audiences_of(self, held: Iterable[tuple[str, Sequence[str]]]) -> list[Audience]:
        """The audiences of a principal; none for who holds nothing, or nothing that the policy knows.

        Args:
            held: pairs of a role of ours and the principal's tenants.
        """
        found = [
            each
            for name, tenants in held
            if (role := self.by_role.get(name)) is not None
            for each in audiences_of_role(role.name, role.rows, tenants)
        ]
        return sorted(set(found), key=lambda each: each.name)

    def role_meant_by(self, rbac_name: str) -> str | None:
        """The role that a name of the product's RBAC means, letter for letter; None where it means none of ours."""
        return next((role.name for role in self.roles if rbac_name in role.rbac_names), None)


def policy_of(catalog: Catalog, tables: Mapping[str, Table]) -> Policy:
    """The policy that the catalogue declares over these tables."""
    roles = catalog.access_roles.values()
    return Policy(tuple(role_of(role, catalog.datasets.values(), tables) for role in roles))


def pages_policy(catalog: Catalog) -> Policy:
    """The part of the policy that speaks of pages, which needs to know no table."""
    pages = [each for each in catalog.datasets.values() if _is_page(each)]
    return Policy(tuple(role_of(role, pages, {}) for role in catalog.access_roles.values()))


def role_of(role: AccessRole, datasets: Iterable[Dataset], tables: Mapping[str, Table]) -> Role:
    """A declared role over these datasets; what its patterns do not cover is not in it."""
    granted = [_grant(role, dataset, tables.get(dataset.name)) for dataset in datasets if role.may_see(dataset.name)]
    grants = tuple(grant for grant in granted if grant is not None)
    return Role(role.name, role.title, role.tenants, role.max_pii, role.meant_by, grants)


def parse_policy(told: Mapping[str, Any]) -> Policy:
    """The policy that `Policy.as_bytes` wrote, of what JSON has made of it.

    Raises:
        KeyError, TypeError: it is no policy.
    """
    return Policy(tuple(_parsed_role(role) for role in told["roles"]))


def _grant(role: AccessRole, dataset: Dataset, table: Table | None) -> Grant | None:
    """What a role sees of a dataset that its patterns cover; None where its rows cannot be told apart."""
    if table is None:
        return _grant_of_files(role, dataset)
    if role.tenants == "own" and table.tenant_column is None:
        return None
    shown = {column.name: is_shown(column.pii, role.max_pii) for column in table.columns}
    return Grant(
        dataset.name,
        "extract" if table.is_extract else "table",
        role.tenants,
        table.tenant_column if role.tenants == "own" else None,
        tuple(name for name, is_clear in shown.items() if is_clear),
        tuple(name for name, is_clear in shown.items() if not is_clear),
    )


def _is_page(dataset: Dataset) -> bool:
    return dataset.layer in _PAGE_LAYERS or dataset.name in _READ_AS_PAGES


def _grant_of_files(role: AccessRole, dataset: Dataset) -> Grant | None:
    """Pages are apart by path, so a tenant's own can be told; other places hold all tenants, and no mask reaches in."""
    if _is_page(dataset):
        return Grant(dataset.name, "page", role.tenants, None)
    if role.tenants == "own" or (dataset.pii_columns and role.max_pii != "sensitive"):
        return None
    return Grant(dataset.name, "place", "all", None)


def _parsed_role(told: Mapping[str, Any]) -> Role:
    grants = tuple(
        Grant(**{**grant, "columns": tuple(grant["columns"]), "masked": tuple(grant["masked"])})
        for grant in told["grants"]
    )
    return Role(**{**told, "rbac_names": tuple(told["rbac_names"]), "grants": grants})
