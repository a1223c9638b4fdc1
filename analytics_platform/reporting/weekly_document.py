"""The weekly report as a document: short sentences, most important first.

What is computed stays out (``weekly_figures``, ``weekly_facts``), and so does how a document looks (``documents``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics_platform.catalog import Catalog
from analytics_platform.documents import (
    Block,
    Cell,
    Chart,
    Column,
    Document,
    Language,
    Notice,
    Paragraph,
    Points,
    Quantity,
    Row,
    Section,
    Table,
    date_text,
    span_text,
)
from analytics_platform.documents.charts import Bar, Line, Tone, Written, bar_chart, line_board, sparkline
from analytics_platform.documents.content import Picture
from analytics_platform.documents.writing import arrow
from analytics_platform.reporting.messages import DUTCH_DIMENSIONS, dimension_name
from analytics_platform.reporting.periods import Span
from analytics_platform.reporting.sources import STAFF
from analytics_platform.reporting.weekly_facts import Rows, WeekFacts
from analytics_platform.reporting.weekly_figures import Drill, KpiWeek, Moved, most_telling
from analytics_platform.reporting.weekly_quantities import (
    change_cell,
    changed,
    contributed,
    quantity,
    size_text,
    text,
    verdict_on,
)
from analytics_platform.reporting.weekly_words import WORDS

_MOVES_TOLD = 3
_UNUSUAL = 1.5
"""A change is told among the first sentences when it is this many times the usual one."""
_BARS = 5
_TIME_STEPS = (5, 15, 30, 60, 120, 240, 360, 480, 720, 1440, 2880, 7200, 14400)
_PARTS_A_DRILL = 2
_ANOMALIES = 8
_INCIDENTS = 8


@dataclass(frozen=True)
class WeekContent:
    """Everything that one audience is told of a week."""

    catalog: Catalog
    audience: str
    monday: date
    language: Language
    time_zone: str
    kpis: Sequence[KpiWeek]
    facts: WeekFacts

    @property
    def words(self) -> Mapping[str, str]:
        """The words of the report."""
        return WORDS[self.language]

    @property
    def span(self) -> Span:
        """The days of the week."""
        return Span(self.monday, self.monday + timedelta(6))

    @property
    def audience_name(self) -> str:
        """Whose report it is."""
        return self.words["all_tenants"] if self.is_staff else self.catalog.tenants[self.audience].name

    @property
    def is_staff(self) -> bool:
        """Whether it shows every tenant."""
        return self.audience == STAFF

    @property
    def name(self) -> str:
        """The week in words."""
        number = self.words["week"].format(week=self.monday.isocalendar().week)
        return f"{number} · {span_text(self.span.first, self.span.last, self.language)}"


def weekly_document(content: WeekContent) -> Document:
    """The report's content."""
    words = content.words
    currencies = list(dict.fromkeys(shown.currency for shown in content.kpis if shown.currency))
    meta = [(words["as_of"], date_text(content.span.last, content.language))]
    if currencies:
        meta.append((words["amounts_in"], " / ".join(currencies)))
    return Document(
        title=words["title"],
        subtitle=f"{content.name} · {content.audience_name}",
        language=content.language,
        author=content.catalog.owners[content.catalog.datasets["report.weekly"].owner].title,
        dated=content.span.last,
        meta=meta,
        sections=[
            Section(words["in_short"], list(_in_short(content))),
            Section(words["kpis"], [_kpi_table(content)]),
            Section(words["moved"], _moved_charts(content)),
            Section(words["incidents"], [_incidents(content)]),
            Section(words["promises"], [_promises(content)]),
            Section(words["anomalies"], [_anomalies(content)]),
            Section(words["details"], [_moved_table(content)]),
        ],
    )


def trends_picture(content: WeekContent) -> bytes:
    """Thirteen weeks of every KPI as one PNG, for who shows pictures and no pages."""
    lines = [
        (
            Line(
                labels=[date_text(span.first, content.language) for span in shown.week.trend],
                values=shown.trend,
                title=shown.kpi.title,
                target=shown.target,
                shaded=[len(shown.trend) - 1],
                steps=_TIME_STEPS if shown.kpi.unit == "minutes" else (),
            ),
            _writer(content, shown),
        )
        for shown in content.kpis
    ]
    return line_board(lines)


def trends_alt(content: WeekContent) -> str:
    """What that picture shows, for who does not see it."""
    return content.words["trends_alt"].format(week=content.monday.isocalendar().week)


def headlines(content: WeekContent) -> list[Cell]:
    """The sentences that an executive reads if nothing else, most important first."""
    return [*_targets(content), *_moves(content), *_troubles(content)]


def figure_line(content: WeekContent, shown: KpiWeek) -> str:
    """A KPI's figure with its change and its target, on one line."""
    parts = [text(quantity(shown.kpi, shown.value, shown.currency), content.language)]
    moved = changed(shown, shown.change)
    if shown.change is not None:
        parts.append(f"{arrow(moved)} {text(moved, content.language)}")
    if shown.target is not None:
        target = text(quantity(shown.kpi, shown.target, shown.currency), content.language)
        parts.append(f"({content.words['target'].lower()} {target})")
    return " ".join(parts)


def _writer(content: WeekContent, shown: KpiWeek) -> Written:
    def write(value: float) -> str:
        return text(quantity(shown.kpi, value, shown.currency), content.language)

    return write


def _in_short(content: WeekContent) -> Iterator[Block]:
    words = content.words
    if not any(shown.days_published for shown in content.kpis):
        yield Notice("warning", words["nothing_published"])
        return
    partly = [shown.kpi.title for shown in content.kpis if not shown.is_whole]
    if partly:
        yield Notice("warning", words["partly_published"].format(titles=", ".join(partly)))
    yield Points(headlines(content))


def _moves(content: WeekContent) -> Iterator[Cell]:
    """The changes that are larger than usual, the most unusual first."""
    moved = sorted(content.kpis, key=lambda shown: -shown.unusualness)
    told = [shown for shown in moved if shown.unusualness >= _UNUSUAL][:_MOVES_TOLD]
    for shown in told:
        yield _move(content, shown)
    if not told and any(shown.previous is not None for shown in content.kpis):
        yield Cell(content.words["steady"], "neutral")


def _move(content: WeekContent, shown: KpiWeek) -> Cell:
    moved = changed(shown, shown.change)
    rose = (shown.value or 0.0) > (shown.previous or 0.0)
    said = content.words["rose" if rose else "fell"].format(
        title=shown.kpi.title,
        change=size_text(moved, content.language),
        value=text(quantity(shown.kpi, shown.value, shown.currency), content.language),
    )
    return Cell(said, verdict_on(shown.kpi, moved), note=_most_of_it(content, shown))


def _most_of_it(content: WeekContent, shown: KpiWeek) -> str:
    """The part that drove a change, where one did."""
    drill = most_telling(shown.drills)
    if drill is None or drill.parts[0].contribution is None or shown.value is None or shown.previous is None:
        return ""
    largest = float(drill.parts[0].contribution.total)
    change = shown.value - shown.previous
    if not change or largest / change < 0.5:
        return ""
    return content.words["most_of_it"].format(
        part=f"{_part_name(content, drill.parts[0])}",
        contribution=text(contributed(shown, largest), content.language),
    )


def _targets(content: WeekContent) -> Iterator[Cell]:
    judged = [shown for shown in content.kpis if shown.meets_target is not None]
    if not judged:
        return
    missed = [shown for shown in judged if not shown.meets_target]
    if not missed:
        yield Cell(content.words["on_target_all"].format(count=len(judged)), "good")
        return
    yield Cell(
        content.words["on_target"].format(
            met=len(judged) - len(missed), count=len(judged), missed=", ".join(shown.kpi.title for shown in missed)
        ),
        "bad",
    )


def _troubles(content: WeekContent) -> Iterator[Cell]:
    """What went wrong around the figures."""
    words, facts = content.words, content.facts
    if facts.incidents:
        critical = sum(row["severity"] == "critical" for row in facts.incidents)
        said = words["incidents_point"].format(count=len(facts.incidents), critical=critical)
        yield Cell(said, "bad" if critical else "warning")
    if facts.promises and (due := sum(row["due"] for row in facts.promises)):
        kept = sum(row["kept"] for row in facts.promises)
        share = text(Quantity(kept / due, "fraction"), content.language)
        yield Cell(words["promises_point"].format(share=share, due=due), "good" if kept == due else "warning")
    if facts.anomalies:
        row = facts.anomalies[0]
        yield Cell(
            words["anomalies_point"].format(
                count=len(facts.anomalies),
                title=content.catalog.kpis[row["kpi"]].title,
                tenant=_tenant(content, row["tenant_id"]),
                day=date_text(row["day"], content.language),
            ),
            "warning",
        )


def _kpi_table(content: WeekContent) -> Table:
    words = content.words
    columns = [
        Column(words["figure"], width=27),
        Column(words["this_week"], "end", width=17),
        Column(words["change"], "end", width=15),
        Column(words["change_in_a_year"], "end", width=15),
        Column(words["target"], "end", width=14),
        Column(words["trend"], "end", width=14),
    ]
    rows = [_kpi_row(content, shown) for shown in content.kpis]
    return Table(words["kpis_caption"], columns, rows, words["nothing_published"])


def _kpi_row(content: WeekContent, shown: KpiWeek) -> list[Cell]:
    words = content.words
    return [
        Cell(shown.kpi.title, note=_caveat(content, shown)),
        Cell(quantity(shown.kpi, shown.value, shown.currency), note=_gap(content, shown)),
        change_cell(shown, shown.change, words["not_comparable"]),
        change_cell(shown, shown.change_in_a_year, words["not_comparable"]),
        _target_cell(content, shown),
        Cell(_spark(content, shown)),
    ]


def _caveat(content: WeekContent, shown: KpiWeek) -> str:
    """What a reader has to know to read the figure right."""
    kpi, words = shown.kpi, content.words
    if kpi.is_cohort:
        span = span_text(shown.week.span.first, shown.week.span.last, content.language)
        return words["cohort"].format(span=span, days=kpi.settling_days)
    if kpi.settling_days:
        settled = shown.week.span.last + timedelta(kpi.settling_days)
        return words["moving"].format(day=date_text(settled, content.language))
    return ""


def _gap(content: WeekContent, shown: KpiWeek) -> str:
    if shown.is_whole:
        return ""
    return content.words["incomplete"].format(present=shown.days_published)


def _target_cell(content: WeekContent, shown: KpiWeek) -> Cell:
    if shown.target is None:
        return Cell(content.words["no_target"])
    target = quantity(shown.kpi, shown.target, shown.currency)
    if shown.meets_target is None:
        return Cell(target)
    return Cell(target, "good" if shown.meets_target else "bad")


def _spark(content: WeekContent, shown: KpiWeek) -> Picture:
    known = [value for value in shown.trend if value is not None]
    write = _writer(content, shown)
    words = content.words["trend_alt"] if known else content.words["trend_alt_none"]
    ends = {"first": write(known[0]), "last": write(known[-1])} if known else {}
    return sparkline(shown.trend, alt=words.format(title=shown.kpi.title, **ends), target=shown.target)


def _compared(content: WeekContent) -> list[KpiWeek]:
    """The KPIs that can be compared with the week before, the most unusual change first."""
    shown = [each for each in content.kpis if each.previous is not None]
    return sorted(shown, key=lambda each: -each.unusualness)


def _moved_charts(content: WeekContent) -> list[Block]:
    """A chart of the most telling breakdown of each KPI."""
    charts = [chart for shown in _compared(content) if (chart := _moved_chart(content, shown))]
    pairs: list[Block] = [Row(charts[start : start + 2]) for start in range(0, len(charts), 2)]
    return pairs or [Paragraph(content.words["moved_empty"])]


def _moved_chart(content: WeekContent, shown: KpiWeek) -> Chart | None:
    drill = most_telling(shown.drills)
    if drill is None:
        return None
    by = content.words["by"].format(dimension=_dimension(content, drill.column))
    moved = text(changed(shown, shown.change), content.language)
    alt = content.words["moved_alt"].format(title=shown.kpi.title, dimension=by)
    note = content.words["medians"] if drill.parts[0].contribution is None else ""
    return Chart(f"{shown.kpi.title} {moved}, {by}", bar_chart(_bars(content, shown, drill), alt=alt), note)


def _bars(content: WeekContent, shown: KpiWeek, drill: Drill) -> list[Bar]:
    parts = drill.parts if len(drill.parts) <= _BARS + 1 else drill.parts[:_BARS]
    bars = [_bar(content, shown, _part_name(content, part), _added(part)) for part in parts]
    rest = drill.parts[len(parts) :]
    if rest and rest[0].contribution is not None:
        name = content.words["others"].format(count=len(rest))
        bars.append(_bar(content, shown, name, sum(_added(part) or 0.0 for part in rest)))
    return bars


def _bar(content: WeekContent, shown: KpiWeek, name: str, added: float | None) -> Bar:
    of = contributed(shown, added)
    verdict = verdict_on(shown.kpi, of)
    tone: Tone = verdict if verdict == "good" or verdict == "bad" else "neutral"
    return Bar(name, added or 0.0, text(of, content.language), tone)


def _added(part: Moved) -> float | None:
    """What a part adds to the whole's change, or for a median how it moved itself."""
    if part.contribution is not None:
        return float(part.contribution.total)
    return None if part.now is None or part.before is None else part.now - part.before


def _moved_table(content: WeekContent) -> Table:
    """The largest movers of every KPI by every breakdown that no chart shows."""
    words = content.words
    rows = [row for shown in _compared(content) for row in _moved_rows(content, shown)]
    columns = [
        Column(words["figure"], width=24),
        Column(words["part"], width=26),
        Column(words["last_week"], "end", width=13),
        Column(words["this_week"], "end", width=13),
        Column(words["contribution"], "end", width=14),
        Column(words["mix"], "end", width=10),
    ]
    return Table(words["moved_caption"], columns, rows, words["moved_empty"], note=words["moved_note"])


def _moved_rows(content: WeekContent, shown: KpiWeek) -> Iterator[list[Cell]]:
    told = most_telling(shown.drills)
    for drill in shown.drills:
        if drill is told or len(drill.parts) < 2:
            continue
        by = content.words["by"].format(dimension=_dimension(content, drill.column))
        for part in drill.parts[:_PARTS_A_DRILL]:
            yield _moved_row(content, shown, by, part)


def _moved_row(content: WeekContent, shown: KpiWeek, by: str, part: Moved) -> list[Cell]:
    added = contributed(shown, _added(part))
    is_ratio = shown.kpi.headline.kind == "ratio" and part.contribution is not None
    mix = contributed(shown, float(part.contribution.mix)) if is_ratio and part.contribution else None
    return [
        Cell(shown.kpi.title),
        Cell(_part_name(content, part), note=by),
        Cell(quantity(shown.kpi, part.before, shown.currency)),
        Cell(quantity(shown.kpi, part.now, shown.currency)),
        Cell(added, verdict_on(shown.kpi, added), is_change=True),
        Cell(mix) if mix else Cell(""),
    ]


def _anomalies(content: WeekContent) -> Block:
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
    column, _, part = str(row["series"]).partition("=")
    series = (
        f"{_dimension(content, column)}: {part or content.words['not_assigned']}"
        if part or "=" in str(row["series"])
        else content.words["series_headline"]
    )
    day = row["day"]
    assert isinstance(day, date)
    return [
        Cell(kpi.title),
        *([Cell(_tenant(content, row["tenant_id"]))] if content.is_staff else []),
        Cell(series),
        Cell(day),
        Cell(quantity(kpi, _number(row["observed"]), None)),
        Cell(quantity(kpi, _number(row["expected"]), None)),
        Cell(content.words.get(f"rule_{row['rule']}", str(row["rule"]))),
    ]


def _promises(content: WeekContent) -> Block:
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
        *([Cell(_tenant(content, worst["tenant_id"]), note=share)] if content.is_staff else []),
    ]


def _incidents(content: WeekContent) -> Block:
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
        *([Cell(_tenant(content, row["tenant_id"]))] if content.is_staff else []),
        Cell(since.astimezone(ZoneInfo(content.time_zone))),
        Cell(owner.title if owner else str(row["owner"])),
        *([step] if content.is_staff else []),
    ]


def _more(content: WeekContent, what: str, rows: Rows, shown: int) -> str:
    if len(rows) <= shown:
        return ""
    return content.words[f"{what}_more"].format(shown=shown, count=len(rows))


def _tenant(content: WeekContent, tenant: object) -> str:
    """A tenant's name; only in what staff reads can it be another than the reader's own."""
    if tenant in (None, STAFF):
        return content.words["all_tenants"]
    known = content.catalog.tenants.get(str(tenant))
    return known.name if known else str(tenant)


def _part_name(content: WeekContent, part: Moved) -> str:
    return part.name if part.name is not None else content.words["not_assigned"]


def _dimension(content: WeekContent, column: str) -> str:
    if content.language == "nl-NL":
        return DUTCH_DIMENSIONS.get(column, column.replace("_", " "))
    return dimension_name(column)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
