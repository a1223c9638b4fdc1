"""A project read back and judged: every name that one file uses has to be in another, and mean the same there.

No public tool checks that a report's fields are in its model or that a measure's DAX names columns that exist: Power BI
Desktop says so when somebody opens the project. These rules say it before. What is left to Desktop is whether DAX and M
are valid, and how a page looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import ValidationError

from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.reporting.power_bi import dax
from analytics_platform.reporting.power_bi.contracts import (
    PageDocument,
    PagesDocument,
    ReportDefinition,
    ReportDocument,
    ShortcutDocument,
    UnknownFileError,
    VisualDocument,
    complaints,
    read_document,
)
from analytics_platform.reporting.power_bi.measures import change_of
from analytics_platform.reporting.power_bi.model import TENANT_COLUMN, Fact, Model
from analytics_platform.reporting.power_bi.names import KPIS
from analytics_platform.reporting.power_bi.project import POINTER_KEY, PREFIX, REPORT, SEMANTIC_MODEL
from analytics_platform.reporting.power_bi.report import page_name
from analytics_platform.reporting.power_bi.semantic_model import DATA_TYPES
from analytics_platform.reporting.power_bi.tmdl import Node, TmdlError, parse, parse_column_reference

Rule = Literal[
    "files_are_as_published",
    "fields_are_in_the_model",
    "columns_are_of_the_extracts",
    "relationships_join",
    "roles_follow_the_policy",
    "measures_name_what_exists",
    "pages_mirror_the_dashboards",
]
RULES: tuple[Rule, ...] = get_args(Rule)

NO_ROWS = "FALSE()"
"""The filter of a table that a role may not see."""

_DEFINITION = f"{SEMANTIC_MODEL}/definition/"
_PAGES = f"{REPORT}/definition/pages/"


@dataclass(frozen=True)
class Granted:
    """What a role may see of an extract: whose rows (None: everybody's), and without which columns."""

    tenant: str | None
    masked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """What a project is held to.

    Attributes:
        model: what it was made from.
        roles: by role, what it may see by dataset; a dataset that is not there shows no row.
        columns: names of columns by table of the warehouse, as dbt's manifest has them, or the dataset registry of a
            table that dbt does not build.
    """

    model: Model
    roles: Mapping[str, Mapping[str, Granted]]
    columns: Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Finding:
    """How a rule stands: how many things were looked at, and what is wrong, each naming its file or object."""

    checked: int
    problems: tuple[str, ...]


@dataclass
class _Project:
    """The project, read."""

    files: Mapping[str, bytes]
    documents: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, list[Node]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @cached_property
    def tables(self) -> dict[str, Node]:
        return {node.name: node for nodes in self.nodes.values() for node in nodes if node.type == "table"}

    @cached_property
    def columns(self) -> dict[tuple[str, str], Node]:
        return {(table, each.name): each for table, node in self.tables.items() for each in node.of("column")}

    @cached_property
    def measures(self) -> dict[tuple[str, str], Node]:
        return {(table, each.name): each for table, node in self.tables.items() for each in node.of("measure")}

    @cached_property
    def roles(self) -> dict[str, Node]:
        return {node.name: node for nodes in self.nodes.values() for node in nodes if node.type == "role"}

    def of(self, kind: type[Any]) -> Iterator[tuple[str, Any]]:
        return ((name, document) for name, document in self.documents.items() if isinstance(document, kind))


def review(files: Mapping[str, bytes], wanted: Wanted) -> dict[Rule, Finding]:
    """Judge a project by every rule."""
    project = _read(files)
    return {
        "files_are_as_published": Finding(len(files), (*project.unreadable, *_dangling(project))),
        "fields_are_in_the_model": _fields(project),
        "columns_are_of_the_extracts": _columns(project, wanted),
        "relationships_join": _relationships(project, wanted.model),
        "roles_follow_the_policy": _roles(project, wanted),
        "measures_name_what_exists": _measures(project, wanted.model.catalog),
        "pages_mirror_the_dashboards": _pages(project, wanted.model.catalog),
    }


def _read(files: Mapping[str, bytes]) -> _Project:
    project = _Project(files)
    for name, body in files.items():
        try:
            if name.endswith(".tmdl"):
                project.nodes[name] = parse(body.decode())
            elif not name.endswith(".sql"):
                project.documents[name] = read_document(name, body)
        except ValidationError as error:
            project.unreadable += [f"{name}: {each}" for each in complaints(error)]
        except (AnalyticsError, UnknownFileError, UnicodeDecodeError) as error:
            project.unreadable.append(f"{name}: {error}")
    return project


def _dangling(project: _Project) -> Iterator[str]:
    """Files that others point to and that are not there, and objects that the model lists and has not."""
    pointer = POINTER_KEY.removeprefix(PREFIX)
    required = {pointer, f"{REPORT}/definition.pbir", f"{SEMANTIC_MODEL}/definition.pbism", f"{_DEFINITION}model.tmdl"}
    yield from (f"{name} is missing" for name in sorted(required - project.files.keys()))
    for name, shortcut in project.of(ShortcutDocument):
        for each in shortcut.artifacts:
            if f"{each.report.path}/definition.pbir" not in project.files:
                yield f"{name}: there is no report {each.report.path}"
    for name, report in project.of(ReportDefinition):
        if report.dataset.by_path.path != f"../{SEMANTIC_MODEL}":
            yield f"{name}: there is no model {report.dataset.by_path.path}"
    listed = project.nodes.get(f"{_DEFINITION}model.tmdl", [])
    for kind, there in (("table", project.tables), ("role", project.roles)):
        named = {node.name for node in listed if node.type == f"ref {kind}"}
        yield from (f"model.tmdl: {kind} {each} is listed or defined, not both" for each in sorted(named ^ set(there)))


def _fields(project: _Project) -> Finding:
    problems, checked = [], 0
    for name, document in (*project.of(VisualDocument), *project.of(ReportDocument)):
        for each in document.fields:
            checked += 1
            there = project.measures if each.measure else project.columns
            if (each.table, each.name) not in there:
                kind = "measure" if each.measure else "column"
                problems.append(f"{name}: the model has no {kind} {each.name} in {each.table}")
    return Finding(checked, tuple(problems))


def _columns(project: _Project, wanted: Wanted) -> Finding:
    problems, checked = [], 0
    for fact in wanted.model.facts:
        found = {name: node for (table, name), node in project.columns.items() if table == fact.name}
        types = _declared_types(wanted.model, fact)
        checked += len(found)
        problems += [f"{fact.name}.{name} is not in the extract" for name in sorted(found.keys() - types.keys())]
        problems += [f"{fact.name} lacks the extract's {name}" for name in sorted(types.keys() - found.keys())]
        problems += [
            f"{fact.name}.{name} is {node.text('dataType')} and reads {node.text('sourceColumn')}, "
            f"but the extract's {name} is {types[name]}"
            for name, node in found.items()
            if name in types and (node.text("dataType"), node.text("sourceColumn")) != (types[name], name)
        ]
        problems += _not_in_source(fact, wanted.columns)
    return Finding(checked, tuple(problems))


def _declared_types(model: Model, fact: Fact) -> dict[str, str]:
    """Data types of the columns that a table should have: the extract's, and a text per shared dimension."""
    types = {column.name: DATA_TYPES[column.type] for column in fact.extract.columns}
    return types | {dimension.key: "string" for dimension in model.dimensions_of(fact)}


def _not_in_source(fact: Fact, columns: Mapping[str, Collection[str]]) -> list[str]:
    source = fact.extract.source
    if source is None:
        return []
    if source not in columns:
        return [f"{fact.name}: neither dbt nor the registry describes {source}"]
    lacking = [each.name for each in fact.extract.columns if each.name not in columns[source]]
    return [f"{fact.name}.{name}: {source} has no such column" for name in lacking]


def _relationships(project: _Project, model: Model) -> Finding:
    found = [node for node in project.nodes.get(f"{_DEFINITION}relationships.tmdl", []) if node.type == "relationship"]
    problems: list[str] = []
    joined: set[tuple[str, str]] = set()
    for node in found:
        ends = [_end(project, node, name, problems) for name in ("fromColumn", "toColumn")]
        start, end = ends
        if start is None or end is None:
            continue
        (here, one), (there, other) = start, end
        if one.text("dataType") != other.text("dataType"):
            types = f"{one.text('dataType')} to {other.text('dataType')}"
            problems.append(f"{here}.{one.name} to {there}.{other.name} joins {types}")
        if (here, there) in joined:
            problems.append(f"{here} and {there} are joined twice")
        joined.add((here, there))
    problems += [
        f"{fact.name} is not joined to {table}"
        for fact in model.facts
        for table in ("Date", "Tenant", *(each.name for each in model.dimensions_of(fact)))
        if (fact.name, table) not in joined
    ]
    return Finding(len(found), tuple(problems))


def _end(project: _Project, node: Node, name: str, problems: list[str]) -> tuple[str, Node] | None:
    try:
        place = parse_column_reference(node.text(name) or "")
    except TmdlError as error:
        problems.append(f"relationship {node.name}: {error}")
        return None
    column = project.columns.get(place)
    if column is None:
        problems.append(f"relationship {node.name}: there is no column {place[0]}.{place[1]}")
        return None
    return place[0], column


def _roles(project: _Project, wanted: Wanted) -> Finding:
    problems = [f"role {name} is not in the policy" for name in project.roles if name not in wanted.roles]
    problems += [f"role {name} of the policy is missing" for name in wanted.roles if name not in project.roles]
    checked = 0
    for name, role in project.roles.items():
        permissions = {each.name: each for each in role.of("tablePermission")}
        problems += [f"role {name}: there is no table {each}" for each in permissions if each not in project.tables]
        for table, granted in _granted_by_table(wanted, name).items():
            checked += 1
            problems += [f"role {name}: {each}" for each in _permission(table, permissions.get(table), granted)]
    return Finding(checked, tuple(problems))


def _granted_by_table(wanted: Wanted, role: str) -> dict[str, tuple[str, Granted | None]]:
    """Per table of the model the column that tells tenants apart, and what the role may see of it.

    A shared table shows as many rows as the extracts whose values it holds, and no more than the role's tenant.
    """
    granted = wanted.roles.get(role, {})
    found: dict[str, tuple[str, Granted | None]] = {
        fact.name: (TENANT_COLUMN, granted.get(fact.dataset)) for fact in wanted.model.facts
    }
    for table, (column, datasets) in wanted.model.shared.items():
        seen = [granted[each] for each in datasets if each in granted]
        found[table] = (column, Granted(seen[0].tenant) if seen else None)
    return found


def _permission(table: str, permission: Node | None, told: tuple[str, Granted | None]) -> Iterator[str]:
    column, granted = told
    filter_ = permission.value if permission is not None else None
    expected = _expected_filter(table, column, granted)
    if _flat(filter_) != _flat(expected):
        yield f"{table} is filtered by {filter_ or 'nothing'} instead of {expected or 'nothing'}"
    hidden = {each.name for each in permission.of("columnPermission")} if permission is not None else set()
    masked = granted.masked if granted is not None else frozenset()
    for name in sorted(hidden ^ masked):
        yield f"{table}.{name} is hidden or masked by the policy, not both"
    for each in permission.of("columnPermission") if permission is not None else []:
        if each.text("metadataPermission") != "none":
            yield f"{table}.{each.name} says {each.text('metadataPermission')} instead of none"


def _expected_filter(table: str, column: str, granted: Granted | None) -> str | None:
    if granted is None:
        return NO_ROWS
    return None if granted.tenant is None else f"{dax.column(table, column)} = {dax.text(granted.tenant)}"


def _flat(expression: str | None) -> Sequence[str] | None:
    """An expression without spaces, and with its tables quoted."""
    if expression is None:
        return None
    return [token.text.strip("'") if token.kind == "table" else token.text for token in dax.tokens(expression)]


def _measures(project: _Project, catalog: Catalog) -> Finding:
    problems, checked = [], 0
    for where, expression, own in _expressions(project):
        checked += 1
        try:
            named = dax.names(expression)
        except dax.DaxError as error:
            problems.append(f"{where}: {error}")
            continue
        known = {name for _, name in project.measures} | own | {column for _, column in named.columns}
        problems += [f"{where} names no table {each}" for each in sorted(named.tables - project.tables.keys())]
        problems += [f"{where} names no column {t}[{c}]" for t, c in sorted(named.columns - project.columns.keys())]
        problems += [f"{where} names nothing by [{each}]" for each in sorted(named.measures - known)]
    for kpi in catalog.kpis.values():
        lacking = [each for each in (kpi.title, change_of(kpi)) if (KPIS, each) not in project.measures]
        problems += [f"KPI {kpi.name} has no measure {each}" for each in lacking]
    return Finding(checked, tuple(problems))


def _expressions(project: _Project) -> Iterator[tuple[str, str, set[str]]]:
    """Every piece of DAX: where it is, its text, and what it may name by brackets alone beside measures."""
    for (_, name), node in project.measures.items():
        yield f"measure {name}", node.value or "", set()
    for (table, name), node in project.columns.items():
        if node.value is not None:
            yield f"column {table}.{name}", node.value, {each for of, each in project.columns if of == table}
    for table, node in project.tables.items():
        for partition in node.of("partition"):
            if partition.value == "calculated":
                yield f"table {table}", partition.expressions.get("source", ""), {"Value"}
    for name, role in project.roles.items():
        for permission in role.of("tablePermission"):
            if permission.value is not None:
                yield f"role {name} on {permission.name}", permission.value, set()


def _pages(project: _Project, catalog: Catalog) -> Finding:
    pages = dict(project.of(PageDocument))
    by_name = {document.name: document for document in pages.values()}
    problems = [
        f"{name}: the page is called {document.name}"
        for name, document in pages.items()
        if name != f"{_PAGES}{document.name}/page.json"
    ]
    order = next((document.order for _, document in project.of(PagesDocument)), ())
    problems += [f"page {name} is in the order or in a folder, not both" for name in sorted(set(order) ^ set(by_name))]
    boards = {page_name(board): board for board in catalog.dashboards.values()}
    problems += [f"page {name} mirrors no dashboard" for name in sorted(by_name.keys() - boards.keys())]
    for name, board in boards.items():
        problems += [f"dashboard {board.name}: {each}" for each in _mirrored(project, by_name, name, board.title)]
        problems += [
            f"dashboard {board.name}: no visual shows {catalog.kpis[kpi].title}"
            for kpi in board.kpis
            if (KPIS, catalog.kpis[kpi].title) not in _shown(project, name)
        ]
    return Finding(len(pages), (*problems, *_misplaced(project, by_name)))


def _mirrored(project: _Project, pages: Mapping[str, PageDocument], name: str, title: str) -> Iterator[str]:
    if name not in pages:
        yield "has no page"
    elif pages[name].display_name != title:
        yield f"its page is titled {pages[name].display_name}"
    elif not _shown(project, name):
        yield "its page is empty"


def _shown(project: _Project, page: str) -> set[tuple[str, str]]:
    visuals = [document for name, document in project.of(VisualDocument) if name.startswith(f"{_PAGES}{page}/")]
    return {(each.table, each.name) for visual in visuals for each in visual.fields}


def _misplaced(project: _Project, pages: Mapping[str, PageDocument]) -> Iterator[str]:
    """Visuals whose page is not there, whose folder is another's, or that reach over the edge of their page."""
    for name, visual in project.of(VisualDocument):
        page = name.removeprefix(_PAGES).split("/")[0]
        if page not in pages:
            yield f"{name}: there is no page {page}"
        elif name != f"{_PAGES}{page}/visuals/{visual.name}/visual.json":
            yield f"{name}: the visual is called {visual.name}"
        else:
            at, size = visual.position, pages[page]
            if at.x + at.width > size.width or at.y + at.height > size.height:
                yield f"{name}: reaches over the edge of the page"
