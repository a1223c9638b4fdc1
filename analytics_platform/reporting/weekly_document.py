"""The weekly report as a document: short sentences, most important first.

What is computed stays out (``weekly_figures``, ``weekly_facts``), and so do the tables of what went wrong
(``weekly_troubles``) and how a document looks (``documents``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from analytics_platform.documents import (
    Block,
    Cell,
    Chart,
    Column,
    Document,
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
from analytics_platform.reporting.weekly_content import WeekContent
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
from analytics_platform.reporting.weekly_troubles import anomalies_table, incidents_table, promises_table

_MOVES_TOLD = 3
_UNUSUAL = 1.5
"""A change is told among the first sentences when it is this many times the usual one."""
_BARS = 5
_TIME_STEPS = (5, 15, 30, 60, 120, 240, 360, 480, 720, 1440, 2880, 7200, 14400)
_PARTS_A_DRILL = 2


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
            Section(words["incidents"], [incidents_table(content)]),
            Section(words["promises"], [promises_table(content)]),
            Section(words["anomalies"], [anomalies_table(content)]),
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
    verb = "rose" if (shown.value or 0.0) > (shown.previous or 0.0) else "fell"
    # A change from 0 is no share of it, so it is told by where it came from.
    said = content.words[f"{verb}_from" if shown.change is None else verb].format(
        title=shown.kpi.title,
        change=size_text(moved, content.language),
        previous=text(quantity(shown.kpi, shown.previous, shown.currency), content.language),
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
        part=f"{content.part_name(drill.parts[0])}",
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
                tenant=content.tenant_name(row["tenant_id"]),
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
    by = content.words["by"].format(dimension=content.dimension_name(drill.column))
    moved = text(changed(shown, shown.change), content.language)
    alt = content.words["moved_alt"].format(title=shown.kpi.title, dimension=by)
    note = content.words["medians"] if drill.parts[0].contribution is None else ""
    return Chart(f"{shown.kpi.title} {moved}, {by}", bar_chart(_bars(content, shown, drill), alt=alt), note)


def _bars(content: WeekContent, shown: KpiWeek, drill: Drill) -> list[Bar]:
    parts = drill.parts if len(drill.parts) <= _BARS + 1 else drill.parts[:_BARS]
    bars = [_bar(content, shown, content.part_name(part), _added(part)) for part in parts]
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
        by = content.words["by"].format(dimension=content.dimension_name(drill.column))
        for part in drill.parts[:_PARTS_A_DRILL]:
            yield _moved_row(content, shown, by, part)


def _moved_row(content: WeekContent, shown: KpiWeek, by: str, part: Moved) -> list[Cell]:
    added = contributed(shown, _added(part))
    is_ratio = shown.kpi.headline.kind == "ratio" and part.contribution is not None
    mix = contributed(shown, float(part.contribution.mix)) if is_ratio and part.contribution else None
    return [
        Cell(shown.kpi.title),
        Cell(content.part_name(part), note=by),
        Cell(quantity(shown.kpi, part.before, shown.currency)),
        Cell(quantity(shown.kpi, part.now, shown.currency)),
        Cell(added, verdict_on(shown.kpi, added), is_change=True),
        Cell(mix) if mix else Cell(""),
    ]
