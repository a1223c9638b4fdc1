"""What went wrong in a week, as tables of its report: incidents, promises that were not kept, unusual days.

Each says of itself when it is not known, which is not the same as nothing. What is found is `weekly_facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from analytics_platform.documents import Block, Cell, Column, Notice, Quantity, Table
from analytics_platform.insights.series import series_part
from analytics_platform.reporting.weekly_content import WeekContent
from analytics_platform.reporting.weekly_facts import Rows
from analytics_platform.reporting.weekly_quantities import quantity, text

_ANOMALIES = 8
_INCIDENTS = 8


def anomalies_table(content: WeekContent) -> Block:
    """The unusual days of KPI series; a notice where nobody has looked."""
    rows, words = content.facts.anomalies, content.words
    if rows is None:
        return Notice("info", words["anomalies_missing"])
    columns = [
        Column(words["figure"], width=26),
        *([Column(words["tenant"], width=18)] if content.is_staff else []),
        Column(words["series"], width=18),
        Column(words["day"], width=14),
        Column(words["observed"], "end", width=13),
        Column(words["expected"], "end", width=13),
        Column(words["rule"], width=15),
    ]
    shown = [_anomaly(content, row) for row in rows[:_ANOMALIES]]
    return Table(
        words["anomalies_caption"],
        columns,
        shown,
        words["anomalies_empty"],
        note=_more(content, "anomalies", rows, _ANOMALIES),
    )


def _anomaly(content: WeekContent, row: Mapping[str, object]) -> list[Cell]:
    kpi = content.catalog.kpis[str(row["kpi"])]
    day, currency = row["day"], row["currency"]
    assert isinstance(day, date)
    assert currency is None or isinstance(currency, str)
    return [
        Cell(kpi.title),
        *([Cell(content.tenant_name(row["tenant_id"]))] if content.is_staff else []),
        Cell(_series(content, str(row["series"]))),
        Cell(day),
        Cell(quantity(kpi, _number(row["observed"]), currency)),
        Cell(quantity(kpi, _number(row["expected"]), currency)),
        Cell(content.words.get(f"rule_{row['rule']}", str(row["rule"]))),
    ]


def _series(content: WeekContent, series: str) -> str:
    part = series_part(series)
    if part is None:
        return content.words["series_headline"]
    column, value = part
    return f"{content.dimension_name(column)}: {content.words['not_assigned'] if value is None else value}"


def promises_table(content: WeekContent) -> Block:
    """Promises by tier, due and kept; a notice where nobody has judged."""
    rows, words = content.facts.promises, content.words
    if rows is None:
        return Notice("info", words["promises_missing"])
    columns = [
        Column(words["tier"], width=20),
        Column(words["promises_due"], "end", width=12),
        Column(words["promises_kept"], "end", width=12),
        Column(words["promises_share"], "end", width=14),
        *([Column(words["promises_worst"], width=40)] if content.is_staff else []),
    ]
    tiers = {tier: [row for row in rows if row["tier"] == tier] for tier in dict.fromkeys(row["tier"] for row in rows)}
    shown = [_promise(content, tier, own) for tier, own in tiers.items() if sum(row["due"] for row in own)]
    return Table(words["promises_caption"], columns, shown, words["promises_empty"])


def _promise(content: WeekContent, tier: str, rows: Rows) -> list[Cell]:
    due, kept = sum(row["due"] for row in rows), sum(row["kept"] for row in rows)
    declared = content.catalog.sla_tiers.get(tier)
    worst = min((row for row in rows if row["due"]), key=lambda row: row["kept"] / row["due"])
    share = text(Quantity(worst["kept"] / worst["due"], "fraction"), content.language)
    return [
        Cell(declared.title if declared else tier),
        Cell(Quantity(due, "count")),
        Cell(Quantity(kept, "count")),
        Cell(Quantity(kept / due, "fraction"), "good" if kept == due else "bad"),
        *([Cell(content.tenant_name(worst["tenant_id"]), note=share)] if content.is_staff else []),
    ]


def incidents_table(content: WeekContent) -> Block:
    """What was wrong in the week, and what is to be done; a notice where nothing is known."""
    rows, words = content.facts.incidents, content.words
    if rows is None:
        return Notice("info", words["incidents_missing"])
    columns = [
        Column(words["severity"], width=13),
        Column(words["what"], width=30),
        *([Column(words["tenant"], width=16)] if content.is_staff else []),
        Column(words["since"], width=17),
        Column(words["owner"], width=14),
        *([Column(words["next_step"], width=26)] if content.is_staff else []),
    ]
    shown = [_incident(content, row) for row in rows[:_INCIDENTS]]
    note = _more(content, "incidents", rows, _INCIDENTS)
    return Table(words["incidents_caption"], columns, shown, words["incidents_empty"], note=note)


def _incident(content: WeekContent, row: Mapping[str, object]) -> list[Cell]:
    words, severity, since = content.words, str(row["severity"]), row["since"]
    assert isinstance(since, datetime)
    owner = content.catalog.owners.get(str(row["owner"]))
    step = Cell(str(row["next_step"])) if row["next_step"] else Cell(words["no_next_step"], "warning")
    return [
        Cell(words.get(f"severity_{severity}", severity), "bad" if severity == "critical" else "warning"),
        Cell(str(row["failure"]).replace("_", " "), note=str(row["asset"])),
        *([Cell(content.tenant_name(row["tenant_id"]))] if content.is_staff else []),
        Cell(since.astimezone(ZoneInfo(content.time_zone))),
        Cell(owner.title if owner else str(row["owner"])),
        *([step] if content.is_staff else []),
    ]


def _more(content: WeekContent, what: str, rows: Rows, shown: int) -> str:
    if len(rows) <= shown:
        return ""
    return content.words[f"{what}_more"].format(shown=shown, count=len(rows))


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
