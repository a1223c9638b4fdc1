"""What the catalogue declares: events with their properties, and KPIs with their definitions."""

from __future__ import annotations

from analytics_platform.catalog import Catalog, Event, Field, Kpi
from docs_site.markdown import cell, code, page, table

_UNITS = {
    "money_minor": "money, in minor units",
    "minutes": "minutes",
    "percent": "percent",
    "score": "points",
    "count": "a count",
}


def events_page(catalog: Catalog) -> str:
    """The page of all events, stream by stream."""
    lede = (
        "What a producer may send, as the gate takes it. `analytics taxonomy page` makes the same as a page with "
        "examples; [instrumenting](../instrumenting.md) says how to send."
    )
    sections = []
    for stream in catalog.streams:
        sections.append(f"## {stream}\n")
        sections += [_event(each) for each in catalog.events.values() if each.stream == stream]
    return page("Events", lede, *sections)


def _event(event: Event) -> str:
    dated = f"dated by `{event.occurred_at}`" if event.occurred_at else "dated by the message's own time"
    versions = ", ".join(map(str, event.schema_versions))
    facts = (
        f"Sent by {', '.join(event.emitted_by)}; {dated}; schema version {versions}; feeds {', '.join(event.feeds)}."
    )
    rows = (
        (code(each.name), _type(each), "yes" if each.required else "", each.pii, each.description)
        for each in event.all_fields
    )
    properties = table(["property", "type", "required", "personal data", ""], rows)
    return f"### {event.name}\n\n{cell(event.description)}\n\n{facts}\n\n{properties}"


def _type(field: Field) -> str:
    if field.enum:
        return ", ".join(code(each) for each in field.enum)
    bounds = [
        f"from {field.minimum}" if field.minimum is not None else "",
        f"to {field.maximum}" if field.maximum is not None else "",
    ]
    length = f"at most {field.max_length} characters" if field.max_length else ""
    return " ".join(filter(None, [field.type, field.unit or "", *bounds, length]))


def kpis_page(catalog: Catalog) -> str:
    """The page of all KPIs, with the text that finance signs."""
    lede = "What each figure means. The models that compute them, and how hard cases are decided: [tables](tables.md)."
    return page("KPIs", lede, *(_kpi(each) for each in catalog.kpis.values()))


def _kpi(kpi: Kpi) -> str:
    settles = f"{kpi.settling_days} days after its day" if kpi.settling_days else "at the day's close"
    rows = [
        ("unit", _UNITS[kpi.unit]),
        ("better", "higher" if kpi.direction == "up" else "lower"),
        ("target", f"{kpi.target if kpi.target is not None else 'none'}: {kpi.target_reason}"),
        ("stands", settles),
        ("owner", kpi.owner),
        ("table", code(kpi.table)),
        ("dashboard", kpi.dashboard),
        ("by", ", ".join(code(each) for each in kpi.page_drill_downs)),
        ("alerts", ", ".join(code(each.name) for each in kpi.alerts) or "none beside anomalies"),
    ]
    return f"## {kpi.title}\n\n{cell(kpi.definition)}\n\n{table(['', ''], rows)}"
