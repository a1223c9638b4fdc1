"""A Power BI project of the real catalogue and policy, read once, and ways to break it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.governance.access.policy import Policy, policy_of
from analytics_platform.governance.access.power_bi import ModelTables, power_bi_roles
from analytics_platform.governance.access.tables import tables_of
from analytics_platform.reporting.power_bi.model import Model, model_of
from analytics_platform.reporting.power_bi.project import project_files
from analytics_platform.reporting.power_bi.review import Granted, Wanted
from analytics_platform.reporting.power_bi.sources import Source

MODEL = "Analytics.SemanticModel/definition/"
PAGES = "Analytics.Report/definition/pages/"

Files = dict[str, bytes]


@cache
def catalog() -> Catalog:
    return load_catalog()


@cache
def model(kind: str = "folder") -> Model:
    return model_of(catalog(), Source(kind))  # type: ignore[arg-type]


@cache
def policy() -> Policy:
    return policy_of(catalog(), tables_of(catalog(), {}))


def roles(of: Model) -> dict[str, str]:
    tables = ModelTables(of.shared, frozenset(fact.dataset for fact in of.facts))
    return power_bi_roles(policy(), tables_of(catalog(), {}), list(catalog().tenants), tables)


@cache
def _files(kind: str) -> dict[str, bytes]:
    return project_files(model(kind), roles(model(kind)))


def files(kind: str = "folder") -> Files:
    return dict(_files(kind))


def wanted(kind: str = "folder") -> Wanted:
    """What the policy says, told here without the code that compiles it."""
    of = model(kind)
    granted: dict[str, dict[str, Granted]] = {}
    for role in catalog().access_roles.values():
        for tenant in [None] if role.tenants == "all" else catalog().tenants:
            seen = {
                fact.dataset: Granted(tenant, _masked(fact.extract.columns, role.max_pii))
                for fact in of.facts
                if role.may_see(fact.dataset)
            }
            if seen:
                granted[role.name if tenant is None else f"{role.name}@{tenant}"] = seen
    columns = {
        str(fact.extract.source): frozenset(each.name for each in fact.extract.columns)
        for fact in of.facts
        if fact.extract.source is not None
    }
    return Wanted(of, granted, columns)


def _masked(columns: Any, max_pii: str) -> frozenset[str]:
    order = ["none", "pseudonymous", "personal", "sensitive"]
    return frozenset(each.name for each in columns if order.index(each.pii) > order.index(max_pii))


def replaced(name: str, old: str, new: str) -> Callable[[Files], None]:
    """Change a text in a file; it has to be there."""

    def change(project: Files) -> None:
        text = project[name].decode()
        assert old in text, f"{name} has no {old!r}"
        project[name] = text.replace(old, new, 1).encode()

    return change


def moved(old: str, new: str) -> Callable[[Files], None]:
    def change(project: Files) -> None:
        project[new] = project.pop(old)

    return change


def removed(name: str) -> Callable[[Files], None]:
    def change(project: Files) -> None:
        del project[name]

    return change


def visuals(project: Files, kind: str) -> list[str]:
    """Paths of the visuals of a type."""
    found = [name for name in project if name.endswith("/visual.json")]
    return [name for name in found if json.loads(project[name])["visual"]["visualType"] == kind]
