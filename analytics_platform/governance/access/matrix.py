"""The policy as people read and sign it: who sees what, whose rows, and what is masked. A document, as HTML or PDF."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from analytics_platform.catalog import Catalog
from analytics_platform.documents import Cell, Column, Document, Notice, PageBreak, Section, Table
from analytics_platform.governance.access.policy import Grant, Policy, Role
from analytics_platform.governance.access.signoff import PolicyStanding

NOT_GRANTED = "no"
_LAYERS: Mapping[str, str] = {
    "dashboard": "Dashboards",
    "report": "Reports",
    "bi": "BI tools",
    "extract": "Extracts",
    "kpi": "KPI tables",
    "marts": "Facts and dimensions",
    "staging": "Typed events",
    "raw": "Messages",
    "ops": "Operations of the platform",
    "landing": "Landing",
    "governance": "Governance",
}


def matrix(policy: Policy, catalog: Catalog, standing: PolicyStanding, dated: date) -> Document:
    """The document that is signed."""
    return Document(
        title="Who may see what",
        subtitle=f"Access policy {policy.sha256[:12]} · {standing.status}",
        language="en-GB",
        author="Data platform",
        dated=dated,
        meta=[
            ("Policy (SHA-256)", policy.sha256),
            ("Status", standing.status),
            ("Roles", str(len(policy.roles))),
            ("Datasets", str(len(catalog.datasets))),
        ],
        sections=[
            _signoff(catalog, standing),
            _roles(policy),
            PageBreak(),
            *_layers(policy, catalog),
            PageBreak(),
            _masks(policy),
        ],
    )


def cell_text(grant: Grant | None) -> str:
    """One cell of the matrix."""
    if grant is None:
        return NOT_GRANTED
    return f"{grant.rows} ({len(grant.masked)})" if grant.masked else grant.rows


def _signoff(catalog: Catalog, standing: PolicyStanding) -> Section:
    signed = {each.role: each for each in standing.signatures}
    rows = [
        [
            Cell(role.title),
            Cell(signed[name].signer if name in signed else None),
            Cell(signed[name].signed_at if name in signed else None),
            Cell("signed this policy", "good") if name in signed else Cell("not signed yet", "unknown"),
        ]
        for name, role in catalog.signoff_roles.items()
    ]
    note = "A signature binds to the SHA-256 above. A policy that differs is signed by nobody."
    columns = [Column("Role", width=3), Column("Name", width=3), Column("Signed", width=3), Column("Standing", width=4)]
    void = [Notice("info", f"{standing.void} signatures bind to earlier policies.")] if standing.void else []
    if standing.status == "SIGNED":
        notice = Notice("info", "Every role has signed this policy.")
    else:
        notice = Notice("warning", "DRAFT: not every role has signed this policy.")
    return Section("Sign-off", [notice, *void, Table("Signatures", columns, rows, "No role is declared.", note=note)])


def _roles(policy: Policy) -> Section:
    columns = [
        Column("Role", width=3),
        Column("In the product's RBAC", width=4),
        Column("Rows", width=2),
        Column("In clear up to", width=3),
        Column("Datasets", width=2),
        Column("With masks", width=2),
    ]
    rows = [
        [
            Cell(role.title),
            Cell(", ".join(role.rbac_names)),
            Cell("all tenants" if role.rows == "all" else "own tenants"),
            Cell(role.max_pii),
            Cell(str(len(role.grants))),
            Cell(str(sum(bool(grant.masked) for grant in role.grants))),
        ]
        for role in policy.roles
    ]
    note = "What no role grants is denied. Who holds a role is the product's RBAC's to say, and stands nowhere here."
    return Section("Roles", [Table("Roles", columns, rows, "No role is declared.", note=note)])


def _layers(policy: Policy, catalog: Catalog) -> Iterable[Section]:
    by_layer: dict[str, list[str]] = defaultdict(list)
    for name, dataset in catalog.datasets.items():
        by_layer[dataset.layer].append(name)
    columns = [Column("Dataset", width=7), *(Column(role.title, width=2) for role in policy.roles)]
    for layer, title in _LAYERS.items():
        if names := by_layer.get(layer):
            rows = [[Cell(name), *(_cell(role, name) for role in policy.roles)] for name in names]
            note = (
                f"all: rows of all tenants; own: of one's own tenants; {NOT_GRANTED}: denied; "
                "a number: so many columns are masked."
            )
            yield Section(title, [Table(title, columns, rows, "There is none.", note=note)])


def _cell(role: Role, dataset: str) -> Cell:
    grant = role.by_dataset.get(dataset)
    return Cell(cell_text(grant), "warning" if grant and grant.masked else None)


def _masks(policy: Policy) -> Section:
    rows = [
        [Cell(role.title), Cell(grant.dataset), Cell(", ".join(grant.masked))]
        for role in policy.roles
        for grant in role.grants
        if grant.masked
    ]
    columns = [Column("Role", width=2), Column("Dataset", width=4), Column("Always empty", width=6)]
    note = "A column that nothing classes is masked for everybody."
    return Section("Masked columns", [Table("Masks", columns, rows, "Nothing is masked.", note=note)])
