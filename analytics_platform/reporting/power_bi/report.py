"""The report as PBIR files: a page per dashboard, with cards, trends, drill-downs and slicers over the model.

A page whose KPIs are at home there has a row for each: its figure and change, its trend against the target, and a bar
chart per drill-down. A page that gathers the KPIs of others has a tile for each, and one table of all by tenant.
Slicers stand on every page and move together; on the page that gathers, those that bear upon several KPIs. The report
opens on the last ninety days, by a filter that readers may change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics_platform.catalog import Dashboard, Kpi
from analytics_platform.reporting.power_bi import names
from analytics_platform.reporting.power_bi.measures import change_of, target_of
from analytics_platform.reporting.power_bi.model import TENANT, TENANT_COLUMN, Model
from analytics_platform.reporting.power_bi.names import DATE, DATE_KEY, KPIS

Json = dict[str, Any]

_SCHEMAS = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition"
REPORT_SCHEMA = f"{_SCHEMAS}/report/3.0.0/schema.json"
PAGE_SCHEMA = f"{_SCHEMAS}/page/2.0.0/schema.json"
PAGES_SCHEMA = f"{_SCHEMAS}/pagesMetadata/1.0.0/schema.json"
VERSION_SCHEMA = f"{_SCHEMAS}/versionMetadata/1.0.0/schema.json"
VISUAL_SCHEMA = f"{_SCHEMAS}/visualContainer/2.4.0/schema.json"

_WIDTH = 1280
_MARGIN = 16
_GAP = 12
_SLICER_HEIGHT = 76
_ROW_HEIGHT = 232
_TILE_HEIGHT = 250
_TILES_A_ROW = 4
_TABLE_HEIGHT = 260
_CARD_WIDTH = 220
_TREND_WIDTH = 420
_DAYS_SHOWN = 90
_A_DAY = 0
"""As a filter writes the unit of a span of time."""

_BARS_SHOWN = 3
"""Bar charts in a KPI's row: its first drill-downs."""


@dataclass(frozen=True)
class Field:
    """A column or measure that a visual shows."""

    table: str
    name: str
    is_measure: bool = False

    def projection(self) -> Json:
        """The field as a visual's query names it."""
        reference = {"Expression": {"SourceRef": {"Entity": self.table}}, "Property": self.name}
        return {
            "field": {"Measure" if self.is_measure else "Column": reference},
            "queryRef": f"{self.table}.{self.name}",
            "nativeQueryRef": self.name,
        }


@dataclass(frozen=True)
class Box:
    """Where a visual stands, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Visual:
    """A visual before it is JSON; `objects` are Power BI's formatting objects, `group` moves slicers together."""

    what: str
    type: str
    box: Box
    title: str
    fields: Mapping[str, Sequence[Field]]
    objects: Mapping[str, Mapping[str, str]] | None = None
    group: str | None = None


def report_files(model: Model) -> dict[str, Json]:
    """The files of the report's `definition` folder."""
    boards = list(model.catalog.dashboards.values())
    order = [page_name(board) for board in boards]
    files: dict[str, Json] = {
        "version.json": {"$schema": VERSION_SCHEMA, "version": "2.0.0"},
        "report.json": {
            "$schema": REPORT_SCHEMA,
            "themeCollection": {},
            "filterConfig": {"filters": [_newest_days()]},
            "settings": _SETTINGS,
        },
        "pages/pages.json": {"$schema": PAGES_SCHEMA, "pageOrder": order, "activePageName": order[0]},
    }
    for board in boards:
        visuals = _visuals(model, board)
        bottom = max(each.box.y + each.box.height for each in visuals) + _MARGIN
        folder = f"pages/{page_name(board)}"
        files[f"{folder}/page.json"] = _page(board, bottom)
        for position, visual in enumerate(visuals):
            name = names.page_or_visual("visual", board.name, visual.what)
            files[f"{folder}/visuals/{name}/visual.json"] = _visual(visual, name, position)
    return files


def page_name(dashboard: Dashboard) -> str:
    """The name of a dashboard's page."""
    return names.page_or_visual("page", dashboard.name)


_SETTINGS: Json = {
    "useStylableVisualContainerHeader": True,
    "exportDataMode": "AllowSummarized",
    "defaultDrillFilterOtherVisuals": True,
    "allowChangeFilterTypes": True,
    "useEnhancedTooltips": True,
    "useDefaultAggregateDisplayName": True,
}


def _newest_days() -> Json:
    """A filter of the whole report to the last days before today, as the filter pane writes one."""
    day: Json = {"Column": {"Expression": {"SourceRef": {"Source": "d"}}, "Property": DATE_KEY}}
    tomorrow: Json = {"DateAdd": {"Expression": {"Now": {}}, "Amount": 1, "TimeUnit": _A_DAY}}
    first: Json = {"DateAdd": {"Expression": tomorrow, "Amount": -_DAYS_SHOWN, "TimeUnit": _A_DAY}}
    bounds = {
        "LowerBound": {"DateSpan": {"Expression": first, "TimeUnit": _A_DAY}},
        "UpperBound": {"DateSpan": {"Expression": {"Now": {}}, "TimeUnit": _A_DAY}},
    }
    return {
        "name": names.page_or_visual("filter", DATE),
        "field": Field(DATE, DATE_KEY).projection()["field"],
        "type": "RelativeDate",
        "filter": {
            "Version": 2,
            "From": [{"Name": "d", "Entity": DATE, "Type": 0}],
            "Where": [{"Condition": {"Between": {"Expression": day, **bounds}}}],
        },
        "howCreated": "User",
    }


def _page(dashboard: Dashboard, height: int) -> Json:
    return {
        "$schema": PAGE_SCHEMA,
        "name": page_name(dashboard),
        "displayName": dashboard.title,
        "displayOption": "FitToWidth",
        "height": max(height, 720),
        "width": _WIDTH,
    }


def _visuals(model: Model, board: Dashboard) -> list[Visual]:
    kpis = [model.catalog.kpis[name] for name in board.kpis]
    top = _MARGIN + _SLICER_HEIGHT + _GAP
    if any(kpi.dashboard == board.name for kpi in kpis):
        return [*_slicers(model, kpis, at_least=1), *_rows(model, kpis, top)]
    return [*_slicers(model, kpis, at_least=2), *_overview(kpis, top)]


def _slicers(model: Model, kpis: Sequence[Kpi], *, at_least: int) -> list[Visual]:
    """Date and tenant, then every drill-down that bears upon so many of the page's KPIs."""
    found_in = Counter(
        Field(*model.place_of(model.kpis[kpi.name], column)) for kpi in kpis for column in model.drill_downs(kpi)
    )
    always = [Field(DATE, DATE_KEY), Field(TENANT, TENANT)]
    shown = always + [field for field, times in found_in.items() if times >= at_least and field not in always]
    width = (_WIDTH - 2 * _MARGIN - _GAP * (len(shown) - 1)) // len(shown)
    found = []
    for number, field in enumerate(shown):
        box = Box(_MARGIN + number * (width + _GAP), _MARGIN, width, _SLICER_HEIGHT)
        mode = "'Between'" if field.table == DATE else "'Dropdown'"
        what = f"slicer {field.table}.{field.name}"
        title = names.title_of(field.name)
        found.append(Visual(what, "slicer", box, title, {"Values": [field]}, {"data": {"mode": mode}}, what))
    return found


def _rows(model: Model, kpis: Sequence[Kpi], top: int) -> list[Visual]:
    found = []
    for number, kpi in enumerate(kpis):
        y = top + number * (_ROW_HEIGHT + _GAP)
        half = (_ROW_HEIGHT - _GAP) // 2
        found += _cards(kpi, Box(_MARGIN, y, _CARD_WIDTH, half), Box(_MARGIN, y + half + _GAP, _CARD_WIDTH, half))
        left = _MARGIN + _CARD_WIDTH + _GAP
        found.append(_trend(kpi, Box(left, y, _TREND_WIDTH, _ROW_HEIGHT)))
        found += _bars(model, kpi, left + _TREND_WIDTH + _GAP, y)
    return found


def _bars(model: Model, kpi: Kpi, left: int, y: int) -> list[Visual]:
    columns = model.drill_downs(kpi)[:_BARS_SHOWN]
    width = (_WIDTH - _MARGIN - left - _GAP * (len(columns) - 1)) // max(len(columns), 1)
    return [
        Visual(
            f"{kpi.name} by {column}",
            "barChart",
            Box(left + number * (width + _GAP), y, width, _ROW_HEIGHT),
            f"{kpi.title} by {names.title_of(column).lower()}",
            {"Category": [Field(*model.place_of(model.kpis[kpi.name], column))], "Y": [_figure(kpi)]},
        )
        for number, column in enumerate(columns)
    ]


def _overview(kpis: Sequence[Kpi], top: int) -> list[Visual]:
    width = (_WIDTH - 2 * _MARGIN - _GAP * (_TILES_A_ROW - 1)) // _TILES_A_ROW
    found = []
    for number, kpi in enumerate(kpis):
        row, column = divmod(number, _TILES_A_ROW)
        x, y = _MARGIN + column * (width + _GAP), top + row * (_TILE_HEIGHT + _GAP)
        card = width * 3 // 5
        found += _cards(kpi, Box(x, y, card, 96), Box(x + card, y, width - card, 96))
        found.append(_trend(kpi, Box(x, y + 96, width, _TILE_HEIGHT - 96)))
    rows = -(-len(kpis) // _TILES_A_ROW)
    box = Box(_MARGIN, top + rows * (_TILE_HEIGHT + _GAP), _WIDTH - 2 * _MARGIN, _TABLE_HEIGHT)
    fields = [Field(TENANT, TENANT), *(_figure(kpi) for kpi in kpis)]
    return [*found, Visual(f"all by {TENANT_COLUMN}", "tableEx", box, "All by tenant", {"Values": fields})]


def _cards(kpi: Kpi, figure: Box, change: Box) -> list[Visual]:
    moved = Field(KPIS, change_of(kpi), is_measure=True)
    return [
        Visual(f"{kpi.name} figure", "card", figure, kpi.title, {"Values": [_figure(kpi)]}),
        Visual(f"{kpi.name} change", "card", change, "On the period before", {"Values": [moved]}),
    ]


def _trend(kpi: Kpi, box: Box) -> Visual:
    lines = [_figure(kpi)]
    if kpi.target is not None:
        lines.append(Field(KPIS, target_of(kpi), is_measure=True))
    fields = {"Category": [Field(DATE, DATE_KEY)], "Y": lines}
    return Visual(f"{kpi.name} trend", "lineChart", box, f"{kpi.title}, day by day", fields)


def _figure(kpi: Kpi) -> Field:
    return Field(KPIS, kpi.title, is_measure=True)


def _visual(visual: Visual, name: str, position: int) -> Json:
    box = visual.box
    state = {
        role: {"projections": [_active(each.projection(), role) for each in fields]}
        for role, fields in visual.fields.items()
    }
    content: Json = {"visualType": visual.type, "query": {"queryState": state}}
    if visual.objects:
        content["objects"] = {key: [_properties(of)] for key, of in visual.objects.items()}
    content["visualContainerObjects"] = {
        "title": [_properties({"show": "true", "text": _literal(visual.title)})],
        "general": [_properties({"altText": _literal(visual.title)})],
    }
    if visual.group:
        content["syncGroup"] = {"groupName": visual.group, "fieldChanges": True, "filterChanges": True}
    content["drillFilterOtherVisuals"] = True
    return {
        "$schema": VISUAL_SCHEMA,
        "name": name,
        "position": {
            "x": box.x,
            "y": box.y,
            "z": position,
            "height": box.height,
            "width": box.width,
            "tabOrder": position,
        },
        "visual": content,
    }


def _active(projection: Json, role: str) -> Json:
    """What a chart is laid out by is active; deeper levels of it would not be."""
    return {**projection, "active": True} if role == "Category" else projection


def _properties(values: Mapping[str, str]) -> Json:
    return {"properties": {name: {"expr": {"Literal": {"Value": value}}} for name, value in values.items()}}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
