"""The page that says how KPI tables and extracts keep what their suites expect of them.

A reviewer reads it away from the graph: which datasets hold, each expectation in words, why it must hold, what was
observed, and on which days it does not. Numbers and column names alone: no value of a row is in the results, so none
can be on the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from analytics_platform.catalog import Catalog, Dataset
from analytics_platform.documents import (
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Figures,
    Language,
    Notice,
    Paragraph,
    Points,
    Quantity,
    Section,
    Table,
    Verdict,
    date_text,
    moment_text,
    span_text,
)
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.expectation_results import (
    ExpectationResult,
    Standing,
    SuiteResult,
    standing_results,
)

PAGE_KEY = "reports/expectations.html"

DAYS_SHOWN = 31
"""A month with its day of a month ago: a reviewer compares closings."""

_LANGUAGE: Language = "en-GB"
_DAYS_NAMED = 3
_MARKS: dict[Standing, Verdict] = {"holds": "good", "fails": "bad", "not_judged": "unknown", "could_not_run": "warning"}
_WORDS: dict[Standing, str] = {
    "holds": "holds",
    "fails": "does not hold",
    "not_judged": "not judged",
    "could_not_run": "could not run",
}


@dataclass(frozen=True)
class Line:
    """How an expectation stands over the days that are shown.

    Attributes:
        expectation: as last evaluated.
        unexpected: rows that do not hold, over all days shown.
        days: the days on which some do not, ascending; empty for a table whose rows are of no day.
    """

    expectation: ExpectationResult
    unexpected: int
    days: tuple[date, ...]

    @property
    def standing(self) -> Standing:
        """Bad rows of any day shown, or what the last evaluation says."""
        return "fails" if self.unexpected else self.expectation.standing


@dataclass(frozen=True)
class DatasetStanding:
    """How a dataset stands; without results nothing is known of it.

    Attributes:
        dataset: as registered.
        newest: its last evaluation, None where there is none.
        rows: rows of the days shown.
        lines: its expectations.
    """

    dataset: Dataset
    newest: SuiteResult | None
    rows: int
    lines: tuple[Line, ...]

    @property
    def standing(self) -> Standing | None:
        """The worst of its expectations."""
        if self.newest is None:
            return None
        found = {line.standing for line in self.lines}
        order: tuple[Standing, ...] = ("fails", "could_not_run", "not_judged")
        return next((standing for standing in order if standing in found), "holds")


def datasets_judged(catalog: Catalog) -> list[Dataset]:
    """The datasets that have suites: KPI tables and extracts."""
    return [dataset for dataset in catalog.datasets.values() if dataset.layer in {"kpi", "extract"}]


def standings(store: ObjectStore, catalog: Catalog, day: date) -> list[DatasetStanding]:
    """How each dataset stands over the days shown, which end with `day`."""
    first = day - timedelta(DAYS_SHOWN - 1)
    return [
        _standing(dataset, standing_results(store, dataset.name, first, day)) for dataset in datasets_judged(catalog)
    ]


def expectation_report(found: Sequence[DatasetStanding], catalog: Catalog, day: date, time_zone: str) -> Document:
    """The page's content.

    Args:
        found: how the datasets stand.
        catalog: names the owners.
        day: the last day shown.
        time_zone: of the reader, for moments.
    """
    zone = ZoneInfo(time_zone)
    evaluated = [each.newest.evaluated_at.astimezone(zone) for each in found if each.newest]
    engines = sorted({each.newest.engine for each in found if each.newest})
    return Document(
        title="Expectations of KPI tables and extracts",
        subtitle=f"How {span_text(day - timedelta(DAYS_SHOWN - 1), day, _LANGUAGE)} stand",
        language=_LANGUAGE,
        author="Data platform",
        dated=day,
        meta=[
            ("Last evaluated", moment_text(max(evaluated), _LANGUAGE) if evaluated else "never"),
            ("Judged by", ", ".join(engines) or "nobody yet"),
            ("Suites", "asset_checks/expectations/suites, one file per dataset"),
        ],
        sections=[
            Section("In short", _summary(found)),
            Section("Datasets", [_overview(found, catalog)]),
            *(_section(each) for each in found if each.newest),
        ],
    )


def _standing(dataset: Dataset, found: Sequence[tuple[SuiteResult, Sequence[date]]]) -> DatasetStanding:
    if not found:
        return DatasetStanding(dataset, None, 0, ())
    newest = found[0][0]
    days: dict[str, Counter[date]] = {}
    rows = 0
    for result, covered in found:
        rows += sum(result.rows.get(day, 0) for day in covered) if result.has_days else sum(result.rows.values())
        for each in result.expectations:
            days.setdefault(each.id, Counter()).update({day: each.days[day] for day in covered if day in each.days})
    lines = tuple(_line(each, days[each.id]) for each in newest.expectations)
    return DatasetStanding(dataset, newest, rows, lines)


def _line(expectation: ExpectationResult, days: Counter[date]) -> Line:
    """What is of no day counts as it stands; what is of days counts on those that are shown."""
    if expectation.unexpected and not expectation.days:
        return Line(expectation, expectation.unexpected, ())
    return Line(expectation.model_copy(update={"unexpected": 0}), days.total(), tuple(sorted(days)))


def _summary(found: Sequence[DatasetStanding]) -> list[Block]:
    lines = [line for each in found for line in each.lines]
    counted = Counter(each.standing for each in found)
    broken = sum(line.standing == "fails" for line in lines)
    cards = [
        _card("Datasets that hold", counted["holds"], f"of {len(found)}", bad=counted["holds"] < len(found)),
        _card("Expectations that do not hold", broken, f"of {len(lines)}", bad=broken > 0),
        _card("Rows judged", sum(each.rows for each in found), f"of {DAYS_SHOWN} days", bad=None),
        _card("Could not run", counted["could_not_run"], "an engine error is not bad data", bad=None),
    ]
    return [Figures(cards), *_notices(found), _worst(found)]


def _card(label: str, count: int, note: str, *, bad: bool | None) -> Figure:
    verdict: Verdict | None = None if bad is None else "bad" if bad else "good"
    return Figure(label, Cell(Quantity(count, "count"), verdict), note=note)


def _notices(found: Sequence[DatasetStanding]) -> list[Block]:
    said: list[Block] = []
    for each in found:
        errors = [line.expectation for line in each.lines if line.standing == "could_not_run"]
        said += [
            Notice("warning", f"{each.dataset.name}: {error.sentence}: the engine broke off: {error.not_judged}")
            for error in errors
        ]
    unjudged = [each.dataset.name for each in found if each.newest is None]
    if unjudged:
        said.append(Notice("warning", f"Not judged within these days: {', '.join(unjudged)}"))
    return said


def _worst(found: Sequence[DatasetStanding]) -> Block:
    broken = [(each, line) for each in found for line in each.lines if line.standing == "fails"]
    if not broken:
        return Paragraph("Everything that was judged holds.")
    broken.sort(key=lambda pair: -pair[1].unexpected)
    return Points([Cell(f"{each.dataset.name}: {_told(line)}", "bad") for each, line in broken])


def _told(line: Line) -> str:
    on = f" on {_days(line.days)}" if line.days else ""
    rows = (
        f" in {line.unexpected} {'row' if line.unexpected == 1 else 'rows'}" if line.expectation.is_about_rows else ""
    )
    return f"{line.expectation.sentence}: not so{rows}{on}"


def _overview(found: Sequence[DatasetStanding], catalog: Catalog) -> Table:
    rows = []
    for each in found:
        broken = sum(line.standing == "fails" for line in each.lines)
        days = {day for line in each.lines for day in line.days}
        rows.append(
            [
                Cell(each.dataset.name),
                Cell(catalog.owners[each.dataset.owner].title),
                Cell(each.newest.last if each.newest else None),
                Cell(Quantity(each.rows if each.newest else None, "count")),
                Cell(Quantity(len(each.lines) if each.newest else None, "count")),
                Cell(Quantity(broken if each.newest else None, "count")),
                Cell(_days(sorted(days)) if days else "none"),
                _verdict(each.standing),
            ]
        )
    titles = ("Dataset", "Owner", "Judged up to", "Rows", "Expectations", "Do not hold", "Days that do not hold")
    columns = [Column(title, "end" if n in {3, 4, 5} else "start") for n, title in enumerate(titles)]
    return Table("How each dataset stands", [*columns, Column("Verdict")], rows, "No dataset has a suite.")


def _verdict(standing: Standing | None) -> Cell:
    return Cell(_WORDS[standing], _MARKS[standing]) if standing else Cell(None, "unknown")


def _section(each: DatasetStanding) -> Section:
    """The suite's own expectations one by one; what a declaration promises in one row, unless it does not hold."""
    shown = [line for line in each.lines if not line.expectation.is_declared or line.standing != "holds"]
    kept = [line for line in each.lines if line.expectation.is_declared and line.standing == "holds"]
    rows = [_row(line) for line in shown]
    if kept:
        what = f"Columns, types, values that must be given and keys are as declared ({len(kept)} expectations)"
        rows.append([Cell(what), Cell("as declared"), Cell(Quantity(0, "count")), _verdict("holds")])
    columns = [
        Column("What is expected, and why", width=4),
        Column("Last observed", width=2),
        Column("Not so", "end", "rows", width=2),
        Column("Verdict", width=2),
    ]
    table = Table(f"Expectations of {each.dataset.name}", columns, rows, "Nothing is expected.")
    notes = each.newest.notes if each.newest else ""
    return Section(each.dataset.name, [Paragraph(notes), table])


def _row(line: Line) -> list[Cell]:
    expectation = line.expectation
    on = f"on {_days(line.days)}" if line.days else ""
    return [
        Cell(expectation.sentence, note=expectation.why),
        Cell(expectation.observed or expectation.not_judged or f"{expectation.checked:,} rows judged"),
        Cell(Quantity(None if expectation.not_judged and not line.unexpected else line.unexpected, "count"), note=on),
        _verdict(line.standing),
    ]


def _days(days: Sequence[date]) -> str:
    """The newest days by name, and how many more there are."""
    named = [date_text(day, _LANGUAGE) for day in sorted(days, reverse=True)[:_DAYS_NAMED]]
    more = len(days) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
