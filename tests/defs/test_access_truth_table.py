"""Role x tenant x dataset x column: what views and files really show against a naive second opinion.

The warehouse has rows of two of the four tenants. Each filter and each mask of the compiled policy is dropped in turn,
and each time the table must differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import duckdb
import pytest
from access_truth import STRAY, TENANTS, Cell, Truth, fill

from analytics_platform.catalog import Audience, load_catalog
from analytics_platform.defs.access import access_desk
from analytics_platform.defs.manifest import build_manifest, load_manifest, manifest_path
from analytics_platform.governance.access.audience_files import AudienceFiles
from analytics_platform.governance.access.desk import AccessDesk
from analytics_platform.governance.access.duckdb import selects, view_schema, whole
from analytics_platform.governance.access.policy import Grant, Policy
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse

TRUTH = Truth()
Seen = tuple[dict[Cell, str], dict[tuple[str, str | None, str], set[str | None]]]


@dataclass(frozen=True)
class Built:
    """A home to which the policy was applied, and everything of that day's tenants."""

    desk: AccessDesk
    settings: Settings
    tenants: dict[str, str]

    @property
    def files(self) -> AudienceFiles:
        return AudienceFiles(self.settings.access_root, self.warehouse)

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(self.settings.warehouse_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    if not manifest_path(settings).exists():
        build_manifest(settings)
    fill(settings.warehouse_path, TRUTH)
    catalog = load_catalog()
    desk = access_desk(settings, catalog, load_manifest(settings))
    desk.target.apply(desk.policy, desk.tables, desk.tenants)
    return Built(desk, settings, {tenant.tenant_id: tenant.name for tenant in catalog.tenants.values()})


def expected(built: Built) -> Seen:
    """Cells of tables with no row for a tenant are there and hold nothing: neither clear nor a leak."""
    return TRUTH.cells(built.tenants), TRUTH.tenants_seen(built.tenants)


def observed(connection: duckdb.DuckDBPyConnection, audience: Audience, relations: dict[str, str]) -> Seen:
    """What an audience reads of some relations, by dataset."""
    cells: dict[Cell, str] = {}
    whose: dict[tuple[str, str | None, str], set[str | None]] = {}
    for dataset, relation in relations.items():
        names = [each[0] for each in connection.execute(f"select * from {relation} limit 0").description or []]
        counts = ", ".join(f"count({name})" for name in names)
        rows, *values = connection.execute(f"select count(*), {counts} from {relation}").fetchall()[0]
        for name, value in zip(names, values, strict=True):
            masked = name in masked_of(audience, dataset) if not rows else not value
            cells[Cell(audience.role, audience.tenant, dataset, name)] = "masked" if masked else "clear"
        owner = TRUTH.tenant_columns[dataset]
        sql = f"select distinct {owner} from {relation}" if owner else f"select null from {relation} limit 1"
        whose[audience.role, audience.tenant, dataset] = {each[0] for each in connection.execute(sql).fetchall()}
    return cells, whose


@cache
def masked_of(audience: Audience, dataset: str) -> frozenset[str]:
    """Of an empty relation nothing shows what is masked: as the truth says."""
    columns = TRUTH.cells({str(audience.tenant): ""}, roles=[audience.role])
    return frozenset(cell.column for cell, state in columns.items() if state == "masked" and cell.dataset == dataset)


def joined(parts: Iterator[Seen]) -> Seen:
    cells: dict[Cell, str] = {}
    whose: dict[tuple[str, str | None, str], set[str | None]] = {}
    for these, those in parts:
        cells |= these
        whose |= those
    return cells, whose


def seen_in_files(built: Built) -> Seen:
    def parts() -> Iterator[Seen]:
        for audience in built.desk.policy.audiences(built.tenants):
            with built.files.opened_for([audience]) as connection:
                found = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
                relations = {
                    f"{schema}.{name.replace('__', '.', 1) if schema == 'extracts' else name}": (
                        f'"{audience.name}".{schema}.{name}'
                    )
                    for schema, name in found
                }
                yield observed(connection, audience, relations)

    return joined(parts())


def seen_in_views(built: Built) -> Seen:
    def parts() -> Iterator[Seen]:
        with built.warehouse.opened() as connection:
            for audience in built.desk.policy.audiences(built.tenants):
                schema = view_schema(audience)
                names = connection.execute(
                    "select view_name from duckdb_views() where schema_name = ?", [schema.strip('"')]
                ).fetchall()
                relations = {
                    name.replace("__", ".", 2 if name.startswith("extracts__") else 1): f"{schema}.{name}"
                    for (name,) in names
                }
                yield observed(connection, audience, relations)

    return joined(parts())


def test_the_truth_table_is_large_and_both_kinds_of_rows_and_cells_are_in_it(built: Built) -> None:
    cells, whose = expected(built)
    assert len(cells) > 2_000
    assert sum(state == "masked" for state in cells.values()) > 15
    assert {tuple(sorted(map(str, tenants))) for tenants in whose.values()} >= {
        ("albion-stage", "brabant-rental"),
        ("albion-stage",),
        (),
        ("None",),
    }
    assert STRAY not in {cell.column for cell in cells}


@pytest.fixture(scope="module")
def in_files(built: Built) -> Seen:
    return seen_in_files(built)


def test_views_show_what_the_truth_table_says(built: Built) -> None:
    assert seen_in_views(built) == expected(built)


def test_files_show_what_the_truth_table_says_and_who_sees_everything_has_none(built: Built, in_files: Seen) -> None:
    cells, whose = expected(built)
    of_others = {cell: state for cell, state in cells.items() if cell.role != "admin"}
    assert in_files == (of_others, {key: value for key, value in whose.items() if key[0] != "admin"})
    assert not built.files.path(Audience("admin")).exists()


def mutations(policy: Policy) -> Iterator[tuple[str, Policy, str, Grant]]:
    """The policy with one filter or one mask less, one at a time."""
    for role in policy.roles:
        for grant in role.grants:
            changed = [(f"mask of {name}", _unmasked(grant, name)) for name in grant.masked]
            if grant.tenant_column is not None:
                changed.append(("filter of rows", replace(grant, tenant_column=None)))
            for what, mutant in changed:
                grants = tuple(mutant if each is grant else each for each in role.grants)
                roles = tuple(replace(each, grants=grants) if each is role else each for each in policy.roles)
                yield f"{role.name} {grant.dataset} {what}", Policy(roles), role.name, mutant


def _unmasked(grant: Grant, name: str) -> Grant:
    masked = tuple(each for each in grant.masked if each != name)
    return replace(grant, columns=(*grant.columns, name), masked=masked)


def test_dropping_any_one_filter_or_mask_makes_the_table_differ(built: Built) -> None:
    cells, whose = expected(built)
    survivors, dropped = [], 0
    live = whole(built.desk.tables)
    with built.warehouse.opened() as connection:
        for name, mutant, role, grant in mutations(built.desk.policy):
            dropped += 1
            own = mutant.by_role[role].rows == "own"
            audience = Audience(role, "albion-stage" if own else None)
            sql = next(
                s.sql for s in selects(mutant, built.desk.tables, audience, live) if s.table.dataset == grant.dataset
            )
            found, tenants = observed(connection, audience, {grant.dataset: f"({sql})"})
            same = all(cells.get(cell) == state for cell, state in found.items())
            if same and all(whose[key] == value for key, value in tenants.items()):
                survivors.append(name)
    assert survivors == []
    assert dropped > 25


def test_a_column_that_nobody_declared_is_nowhere(built: Built, in_files: Seen) -> None:
    cells, _ = in_files
    assert STRAY not in {cell.column for cell in cells}
    for path in built.settings.access_root.joinpath("files").iterdir():
        assert b"stray of" not in path.read_bytes(), path.name


def test_the_bytes_of_a_tenants_file_hold_no_other_tenants_name_or_id(built: Built, tmp_path: Path) -> None:
    """Unpacked, or a search would prove nothing; its own name and a file for staff are the control."""
    desk = built.desk
    files = AudienceFiles(tmp_path, built.warehouse, compression="uncompressed")
    files.apply(desk.policy, desk.tables, desk.tenants)
    everybody = files.path(Audience("executive")).read_bytes()
    assert any(name.encode() in everybody for name in TENANTS)
    for mine in TENANTS:
        (other,) = TENANTS.keys() - {mine}
        data = files.path(Audience("tenant_viewer", mine)).read_bytes()
        assert mine.encode() in data
        assert TENANTS[mine].encode() in data
        assert other.encode() not in data
        assert TENANTS[other].encode() not in data
        assert other.encode() in everybody


def test_an_unknown_principal_reads_nothing_and_a_known_one_its_own(built: Built) -> None:
    desk = built.desk
    assert desk.readable(desk.policy.audiences_of([])) == 0
    assert desk.readable(desk.policy.audiences_of([("ghost", ["albion-stage"])])) == 0
    assert desk.readable(desk.policy.audiences_of([("tenant_viewer", [])])) == 0
    assert desk.readable(desk.policy.audiences_of([("tenant_viewer", ["albion-stage"])])) > 0


def test_a_connection_for_an_audience_reaches_no_other_file(built: Built) -> None:
    path = built.files.path(Audience("executive"))
    with built.files.opened_for([Audience("tenant_viewer", "albion-stage")]) as connection:
        with pytest.raises(duckdb.PermissionException):
            connection.execute(f"attach '{path}' as stolen")
        with pytest.raises(duckdb.Error):
            connection.execute("set enable_external_access = true")
