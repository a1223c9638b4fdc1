"""Promises, KPI figures and refused events, from the tables that hold them, into what is wrong and what is right again.

Belongs here: which rows are findings, which are news, and reading them. Stays out: how the tables are filled, and runs
and checks (`judges`).

Only what is near the last closed day is news. A year that is imported or built again holds hundreds of unusual days
and missed deadlines; they stand in the tables, and nobody is to be woken for last March.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from analytics_platform.alerting.findings import Amount, Failure, Finding, Moment, Observation, Unit
from analytics_platform.alerting.routing import gravest
from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.catalog.quality import ShareLimit
from analytics_platform.insights.alerts import Alert, KpiFigure, evaluate_alert_rules
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.insights.currencies import with_currencies
from analytics_platform.insights.promises import ATTAINMENT_TABLE, LANDED_WITHIN_LAG
from analytics_platform.insights.rules import SETTLING
from analytics_platform.insights.series import HEADLINE
from analytics_platform.warehouse import Warehouse, WarehouseMissingError
from analytics_platform.warehouse.headlines import ALL_TENANTS

NEWS_DAYS = 3
"""Closed days that are news: what Friday brought is still told on Monday, when somebody is there to look."""

LEDGER_TABLE = "ops.ledger"
DEAD_LETTERS_DATASET = "dead_letters"

PROMISE_OPEN_DAYS = 7
"""So long a missed promise may still be made good, by what `ops.sla_attainment` is asked again; then it is history."""

PROMISES = frozenset({Failure.SLA_BREACHED})
FIGURES = frozenset({Failure.KPI_LIMIT, Failure.ANOMALY})
REFUSALS = frozenset({Failure.DEAD_LETTERS})

_UNITS: Mapping[str, Unit] = {
    "money_minor": "minor units",
    "percent": "percent",
    "score": "score",
    "minutes": "minutes",
    "count": "count",
}

Row = Mapping[str, Any]
AssetOf = Callable[[str, str | None], str]
"""The asset of a dataset; where a dataset has two, that of a promise about it."""


@dataclass(frozen=True)
class News:
    """Which days are news.

    Attributes:
        closed: the last closed day.
        time_zone: the reporting time zone, in which days close.
        now: the time.
    """

    closed: date
    time_zone: str
    now: datetime

    @property
    def first(self) -> date:
        """The earliest day that is news."""
        return self.closed - timedelta(days=NEWS_DAYS - 1)

    def is_news(self, day: date, settling_days: int = 0) -> bool:
        """Whether a day is; of a figure that settles later, the day on which it has."""
        return day + timedelta(days=settling_days) >= self.first

    def close_of(self, day: date, settling_days: int = 0) -> datetime:
        """When a day, or its figure, was final; now, where it is not yet."""
        midnight = datetime.combine(day + timedelta(days=1 + settling_days), time.min, ZoneInfo(self.time_zone))
        return min(midnight.astimezone(UTC), self.now)


class FigureJudges:
    """The judges of tables, over one catalogue."""

    def __init__(self, catalog: Catalog, asset_of: AssetOf) -> None:
        self._catalog = catalog
        self._asset_of = asset_of

    def promises(self, rows: Iterable[Row], news: News, known: Sequence[Finding]) -> Observation:
        """Promises about time: broken while what was promised is not there; there too late is history, not an alarm.

        A team's promises about a day are told together, and what is late because of a stream is told with the stream,
        as gravely as the gravest: a night that failed is six messages, not two hundred.

        Args:
            rows: of `ops.sla_attainment`.
            news: which days are.
            known: broken promises that somebody was told of.
        """
        rows = list(rows)
        late = [row for row in rows if row["is_attained"] is False and row["attained_at"] is None]
        places = {(row["dataset"], *_promise(row)) for row in late}
        causes = [row for row in late if row["cause"] is None or (row["cause"], *_promise(row)) not in places]
        own = [self._late(row, _behind(row, late)) for row in causes]
        kept = {self._late(row, ()).fingerprint for row in rows} - {finding.fingerprint for finding in own}
        given_up = news.closed - timedelta(days=PROMISE_OPEN_DAYS)
        kept |= {each.fingerprint for each in known if each.day and each.day < given_up}
        return _observation([each for each in own if each.day and news.is_news(each.day)], kept, known)

    def limits(self, rows: Iterable[Row], news: News, known: Sequence[Finding]) -> Observation:
        """What the business does not want a figure to be, by the newest settled day of each KPI.

        Args:
            rows: of `kpi.kpi_anomalies`, the headlines among them, as far back as the rules look.
            news: which days are.
            known: broken limits that somebody was told of.
        """
        findings, judged = [], set()
        for kpi, day, own in self._newest(rows, news):
            figures = [KpiFigure(kpi.name, row["tenant_id"], row["day"], row["observed"]) for row in _alike(own, day)]
            findings += [self._limit(kpi, alert, news) for alert in evaluate_alert_rules(self._catalog, figures, day)]
            tenants = {_tenant(row) for row in own if row["day"] == day}
            judged |= {each.fingerprint for each in known if _is_of(each, kpi.name) and each.tenant in tenants}
        return _observation(findings, judged, known)

    def anomalies(self, rows: Iterable[Row], news: News, known: Sequence[Finding]) -> Observation:
        """Figures that their own history does not explain: one per KPI and tenant, over as soon as none is news.

        Args:
            rows: of `kpi.kpi_anomalies`: headlines, and whatever else is an anomaly.
            news: which days are.
            known: anomalies that somebody was told of.
        """
        rows = list(rows)
        findings, judged = [], set()
        for kpi, newest, own in self._newest(rows, news):
            first = newest - timedelta(days=NEWS_DAYS - 1)
            unusual: dict[str, list[Row]] = defaultdict(list)
            for row in rows:
                if row["kpi"] == kpi.name and row["is_anomaly"] and row["day"] >= first:
                    unusual[row["tenant_id"]].append(row)
            findings += [self._anomaly(kpi, max(each, key=_telling), news) for each in unusual.values()]
            tenants = {_tenant(row) for row in own if row["day"] == newest}
            judged |= {each.fingerprint for each in known if each.check == kpi.name and each.tenant in tenants}
        return _observation(findings, judged, known)

    def refusals(self, rows: Iterable[Row], news: News, known: Sequence[Finding]) -> Observation:
        """Refused events, where they are more than the stream's tier bears, by count and by share.

        Args:
            rows: of `ops.ledger`.
            news: which days are.
            known: refusals that somebody was told of.
        """
        findings, judged = [], set()
        for row in rows:
            finding, is_spike = self._refused(row, news)
            if not is_spike:
                judged.add(finding.fingerprint)
            elif news.is_news(row["day"]):
                findings.append(finding)
        return _observation(findings, judged, known)

    def _newest(self, rows: Iterable[Row], news: News) -> Iterable[tuple[Kpi, date, list[Row]]]:
        """Each KPI with its newest settled day, where that is news, and the rows of its headline."""
        own: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row["series"] == HEADLINE and row["rule"] != SETTLING and row["kpi"] in self._catalog.kpis:
                own[row["kpi"]].append(row)
        for name, headlines in sorted(own.items()):
            kpi, newest = self._catalog.kpis[name], max(row["day"] for row in headlines)
            if news.is_news(newest, kpi.settling_days):
                yield kpi, newest, headlines

    def _late(self, row: Row, behind: Sequence[Row]) -> Finding:
        """A broken promise, with what is late because of it."""
        boards = {each["dataset"].partition(".")[2] for each in behind if each["dataset"].startswith("dashboard.")}
        return Finding(
            failure=Failure.SLA_BREACHED,
            asset=self._asset_of(row["dataset"], row["promise"]),
            dataset=row["dataset"],
            check=row["promise"],
            tenant=row["tenant_id"],
            day=row["day"],
            since=row["promised_at"],
            promised=Moment(at=row["promised_at"]),
            severity=gravest([row["severity"], *(each["severity"] for each in behind)]),
            owner=row["owner"],
            dashboards=tuple(sorted(boards)),
            together=f"{row['promise']}-{row['day']}-{row['owner']}",
        )

    def _limit(self, kpi: Kpi, alert: Alert, news: News) -> Finding:
        unit = _UNITS[kpi.unit]
        return Finding(
            failure=Failure.KPI_LIMIT,
            asset=self._asset_of(kpi.table, None),
            dataset=kpi.table,
            check=f"{kpi.name}.{alert.rule}",
            tenant=None if alert.tenant_id == ALL_TENANTS else alert.tenant_id,
            day=alert.day,
            since=news.close_of(alert.day, kpi.settling_days),
            observed=Amount(value=alert.observed, unit=unit),
            promised=Amount(value=alert.bound, unit=unit),
            severity=alert.severity,
            owner=alert.owner,
        )

    def _anomaly(self, kpi: Kpi, row: Row, news: News) -> Finding:
        unit, bound = _UNITS[kpi.unit], _crossed(row)
        return Finding(
            failure=Failure.ANOMALY,
            asset=self._asset_of(kpi.table, None),
            dataset=kpi.table,
            check=kpi.name,
            tenant=_tenant(row),
            day=row["day"],
            since=news.close_of(row["day"], kpi.settling_days),
            observed=None if row["observed"] is None else Amount(value=row["observed"], unit=unit),
            promised=None if bound is None else Amount(value=bound, unit=unit),
            severity=kpi.anomalies.severity,
            owner=kpi.anomalies.owner or kpi.owner,
        )

    def _refused(self, row: Row, news: News) -> tuple[Finding, bool]:
        """The finding that a row would be, and whether it is one."""
        stream, limit = self._catalog.streams.get(row["stream"]), self._bears(row["stream"])
        share = 100 * row["dead_lettered"] / row["received"] if row["received"] else 0.0
        dataset = f"raw.{stream.name}" if stream else DEAD_LETTERS_DATASET
        finding = Finding(
            failure=Failure.DEAD_LETTERS,
            asset=self._asset_of(dataset, LANDED_WITHIN_LAG),
            dataset=dataset,
            tenant=row["tenant_id"],
            day=row["day"],
            since=news.close_of(row["day"]),
            observed=Amount(value=round(share, 2), unit="percent"),
            promised=Amount(value=100 * limit.max_share, unit="percent"),
        )
        return finding, limit.is_exceeded(row["dead_lettered"], row["received"])

    def _bears(self, stream: str) -> ShareLimit:
        """The stream's limit of refused messages; of those of no stream that we know, the one that bears least."""
        declared = self._catalog.stream_quality
        if stream in declared:
            return declared[stream].dead_letters
        return min((quality.dead_letters for quality in declared.values()), key=lambda limit: limit.max_share)


def tables_there(warehouse: Warehouse) -> frozenset[str]:
    """The tables that there are; none before anything was built."""
    sql = "select table_schema || '.' || table_name as name from information_schema.tables"
    try:
        return frozenset(warehouse.query(sql)["name"].to_pylist())
    except WarehouseMissingError:
        return frozenset()


def attainment_rows(warehouse: Warehouse, news: News, known: Iterable[Finding]) -> list[Row]:
    """What became of the promises about days that are news, and about those that somebody was told of."""
    sql = (
        "select day, tenant_id, dataset, promise, promised_at, attained_at, is_attained, severity, owner, cause "
        f"from {ATTAINMENT_TABLE} where day >= ? order by all"
    )
    return _rows(warehouse, sql, [_first(news, known)])


def figure_rows(warehouse: Warehouse, catalog: Catalog, news: News) -> list[Row]:
    """The headlines as far back as rules look, and all anomalies of that time, with the currency that each is in."""
    looks_back = max((rule.days for kpi in catalog.kpis.values() for rule in kpi.alerts), default=0)
    settles = max(kpi.settling_days for kpi in catalog.kpis.values())
    sql = (
        "select day, tenant_id, kpi, series, observed, expected, lower, upper, score, rule, is_anomaly "
        f"from {ANOMALIES_TABLE} where day >= ? and (series = ? or is_anomaly) order by all"
    )
    rows = _rows(warehouse, sql, [news.first - timedelta(days=looks_back + settles + NEWS_DAYS), HEADLINE])
    return with_currencies(warehouse, catalog, rows)


def ledger_rows(warehouse: Warehouse, news: News, known: Iterable[Finding]) -> list[Row]:
    """What was received and refused on days that are news, and on those that somebody was told of."""
    sql = f"select stream, day, tenant_id, received, dead_lettered from {LEDGER_TABLE} where day >= ? order by all"
    return _rows(warehouse, sql, [_first(news, known)])


def _rows(warehouse: Warehouse, sql: str, parameters: Sequence[object]) -> list[Row]:
    rows: list[Row] = warehouse.query(sql, parameters).to_pylist()
    return rows


def _first(news: News, known: Iterable[Finding]) -> date:
    return min([news.first, *(finding.day for finding in known if finding.day)])


def _observation(findings: Sequence[Finding], judged: Iterable[Any], known: Iterable[Finding]) -> Observation:
    """Of what was judged, only what is known to be wrong can be right again."""
    wrong = {finding.fingerprint for finding in findings}
    right = {finding.fingerprint for finding in known} & set(judged)
    return Observation(tuple(findings), frozenset(right - wrong))


def _promise(row: Row) -> tuple[Any, ...]:
    """What a stream's row and those made from it have in common."""
    return row["day"], row["tenant_id"], row["promise"]


def _behind(row: Row, late: Iterable[Row]) -> tuple[Row, ...]:
    """What else is late because of a stream."""
    return tuple(each for each in late if each["cause"] == row["dataset"] and _promise(each) == _promise(row))


def _is_of(finding: Finding, kpi: str) -> bool:
    return (finding.check or "").partition(".")[0] == kpi


def _tenant(row: Row) -> str | None:
    return None if row["tenant_id"] == ALL_TENANTS else str(row["tenant_id"])


def _alike(rows: Sequence[Row], day: date) -> list[Row]:
    """The rows of tenants that are in the same currency as on ``day``: from pounds to euros is no movement."""
    currencies = {row["tenant_id"]: row["currency"] for row in rows if row["day"] == day}
    return [row for row in rows if row["currency"] == currencies.get(row["tenant_id"])]


def _telling(row: Row) -> tuple[date, bool, float]:
    """The newest day speaks, of it the figure itself before its parts, and of these the one that is furthest off."""
    return row["day"], row["series"] == HEADLINE, abs(row["score"] or 0.0)


def _crossed(row: Row) -> float | None:
    """The bound that the figure is beyond; where none was, what was expected."""
    observed, lower, upper = row["observed"], row["lower"], row["upper"]
    bound = None
    if observed is not None and lower is not None and observed < lower:
        bound = lower
    elif observed is not None and upper is not None and observed > upper:
        bound = upper
    bound = row["expected"] if bound is None else bound
    return None if bound is None else float(bound)
