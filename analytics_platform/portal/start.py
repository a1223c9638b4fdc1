"""What the start page says: what somebody may open, in groups, and what of it is new since the last visit.

Made from the shelf, the newest review's standing and the open incidents; each is asked only where a role may see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from analytics_platform.alerting.incidents import Incident
from analytics_platform.catalog import Audience, Catalog
from analytics_platform.documents import Language, date_text, moment_text, span_text
from analytics_platform.governance.review.archive import ReviewUnreadableError, kept_quarters, read_review
from analytics_platform.governance.review.signing import standing
from analytics_platform.lake.layout import week_of_report
from analytics_platform.lake.store import ObjectStore
from analytics_platform.portal.rights import Principal, Rights
from analytics_platform.portal.shelf import Shelf, Shelved
from analytics_platform.portal.words import SEVERITIES, WORDS

INCIDENTS = "ops.incidents"
"""Who may see this dataset is told of open incidents."""

_INCIDENTS_SHOWN = 5
_REVIEW = "governance.data_quality_review"
_GROUPS = ("dashboard", "report", "governance", "reference")
_TITLES = {
    "report.expectations": "expectations",
    "report.tracking_plan": "plan",
    "governance.processing_records": "records",
}
_GRAVEST_FIRST = ("critical", "warning", "info")


@dataclass(frozen=True)
class Line:
    """Something to open.

    Attributes:
        title: what it is.
        detail: whose view it is, where that is not plain.
        forms: addresses by form, the one to read first.
        published: when it was published, as a sentence.
        published_at: the same.
        mark: that it is new or changed since the last visit.
        is_late: whether today's should be there and is not.
    """

    title: str
    detail: str | None
    forms: tuple[tuple[str, str], ...]
    published: str
    published_at: datetime
    mark: str | None
    is_late: bool


@dataclass(frozen=True)
class Group:
    """Things of one kind."""

    name: str
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class StartPage:
    """All of it."""

    groups: tuple[Group, ...]
    since: str | None
    notices: tuple[str, ...]
    changed: tuple[Line, ...]
    incidents: tuple[str, ...]
    more_incidents: int
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """For whom the page is, and when.

    Attributes:
        principal: who.
        language: in which.
        since: the last visit; None for the first.
        now: on the clock of the reporting time zone.
    """

    principal: Principal
    language: Language
    since: datetime | None
    now: datetime


class StartPages:
    """Start pages of one deployment.

    Args:
        store: the lake.
        shelf: the pages in it.
        open_incidents: those that are not over.
        zone: on whose clock times are told.
    """

    def __init__(
        self, store: ObjectStore, shelf: Shelf, open_incidents: Callable[[], Sequence[Incident]], zone: ZoneInfo
    ) -> None:
        self._store, self._shelf, self._open_incidents, self._zone = store, shelf, open_incidents, zone

    def page(self, rights: Rights, reader: Reader) -> StartPage:
        """The page for one reader."""
        shelved = [
            each
            for audience in reader.principal.audiences
            for each in self._shelf.of(rights.policy, audience, rights.catalog)
            if each.forms
        ]
        lines = {name: self._lines(rights, reader, _of_group(shelved, name)) for name in _GROUPS}
        words = WORDS[reader.language]
        groups = tuple(Group(name, words[name], tuple(found)) for name, found in lines.items() if found)
        incidents = self._incidents(rights, reader)
        changed = sorted((line for group in groups for line in group.lines if line.mark), key=_newest_first)
        return StartPage(
            groups,
            moment_text(reader.since.astimezone(self._zone), reader.language) if reader.since else None,
            tuple(self._notices(rights, reader, shelved)),
            tuple(changed),
            tuple(incidents[:_INCIDENTS_SHOWN]),
            max(0, len(incidents) - _INCIDENTS_SHOWN),
            tuple(_role(rights.catalog, each, reader.language) for each in reader.principal.audiences),
        )

    def _lines(self, rights: Rights, reader: Reader, shelved: Sequence[Shelved]) -> list[Line]:
        """Lines of a group; whose a page is, is said where somebody has several audiences."""
        several = len(reader.principal.audiences) > 1
        once = {(each.stem, each.dataset): each for each in shelved}
        return [self._line(rights, reader, each, several) for each in once.values()]

    def _line(self, rights: Rights, reader: Reader, item: Shelved, several: bool) -> Line:
        words, catalog = WORDS[reader.language], rights.catalog
        published = item.published_at.astimezone(self._zone)
        is_dashboard = item.dataset.startswith("dashboard.")
        return Line(
            _title(catalog, item, reader.language),
            _detail(catalog, item, reader.language, several),
            tuple((form, f"/{item.stem}.{form}") for form in item.forms),
            words["published"].replace("{moment}", moment_text(published, reader.language)),
            item.published_at,
            _mark(item, reader, self._zone),
            is_dashboard and _is_late(catalog, item, published, reader.now),
        )

    def _notices(self, rights: Rights, reader: Reader, shelved: Sequence[Shelved]) -> list[str]:
        """The newest review, where it waits for somebody's signature."""
        quarters = kept_quarters(self._store) if any(each.dataset == _REVIEW for each in shelved) else []
        if not quarters:
            return []
        try:
            review = read_review(self._store, quarters[-1])
        except ReviewUnreadableError:
            return []  # whoever opens it sees what is wrong; nobody can sign it
        roles = rights.catalog.signoff_roles
        stands = standing(self._store, review, roles)
        if not review.content.scope.is_over or not stands.open_roles:
            return []
        said = WORDS[reader.language]["review_waits"].replace("{quarter}", quarters[-1])
        return [said.replace("{roles}", ", ".join(roles[role].title for role in stands.open_roles))]

    def _incidents(self, rights: Rights, reader: Reader) -> list[str]:
        """Open incidents of the tenants whose incidents the reader's roles may see, the gravest first."""
        tenants = _tenants_seen(rights.catalog, reader.principal)
        if tenants is not None and not tenants:
            return []
        seen = [each for each in self._open_incidents() if tenants is None or each.cause.tenant in tenants]
        seen.sort(key=lambda each: (_GRAVEST_FIRST.index(each.severity), each.opened_at))
        return [self._incident(each, rights.catalog, reader) for each in seen]

    def _incident(self, incident: Incident, catalog: Catalog, reader: Reader) -> str:
        told = incident.told
        tenant = _tenant_name(catalog, told.tenant)
        day = date_text(told.day, reader.language) if told.day else None
        what = " · ".join(filter(None, (told.asset, told.check, tenant, day)))
        values = {
            "what": what,
            "severity": SEVERITIES[reader.language][incident.severity],
            "moment": moment_text(incident.opened_at.astimezone(self._zone), reader.language),
        }
        return WORDS[reader.language]["incident"].format_map(values)


def _of_group(shelved: Sequence[Shelved], group: str) -> list[Shelved]:
    """In the order of the registry; reports and reviews with the newest first."""
    found = [each for each in shelved if _group(each) == group]
    return sorted(found, key=lambda each: each.stem, reverse=True) if group in ("report", "governance") else found


def _group(item: Shelved) -> str:
    if item.dataset in ("report.expectations", "report.tracking_plan"):
        return "reference"
    return item.dataset.partition(".")[0]


def _title(catalog: Catalog, item: Shelved, language: Language) -> str:
    words = WORDS[language]
    if item.dataset in _TITLES:
        return words[_TITLES[item.dataset]]
    if item.dataset == _REVIEW:
        return words["review"].replace("{quarter}", item.stem.partition("quarter=")[2].partition("/")[0])
    if item.dataset == "report.weekly":
        monday = week_of_report(f"{item.stem}.{item.forms[0]}")
        span = span_text(monday, monday + timedelta(days=6), language)
        return words["week"].replace("{number}", str(monday.isocalendar().week)).replace("{span}", span)
    name = item.dataset.partition(".")[2]
    translated = catalog.translations.get(language[:2])
    return (translated.dashboards if translated else catalog.dashboards)[name].title


def _detail(catalog: Catalog, item: Shelved, language: Language, several: bool) -> str | None:
    """Whose view it is, where that is not plain."""
    is_of_audience = item.dataset.startswith("dashboard.") or item.dataset == "report.weekly"
    if not several or not is_of_audience:
        return None
    return WORDS[language]["as"].replace("{audience}", _role(catalog, item.audience, language))


def _mark(item: Shelved, reader: Reader, zone: ZoneInfo) -> str | None:
    """What was written since the last visit: new where its week has ended since, else written anew."""
    if reader.since is None or item.published_at <= reader.since:
        return None
    words = WORDS[reader.language]
    if item.dataset != "report.weekly":
        return words["changed"]
    ended = week_of_report(f"{item.stem}.{item.forms[0]}") + timedelta(days=7)
    return words["new"] if ended > today_in(zone, reader.since) else words["changed"]


def _role(catalog: Catalog, audience: Audience, language: Language) -> str:
    """An audience as people read it."""
    translated = catalog.translations.get(language[:2])
    title = translated.roles[audience.role] if translated else catalog.access_roles[audience.role].title
    return " · ".join(filter(None, (title, _tenant_name(catalog, audience.tenant))))


def _tenant_name(catalog: Catalog, tenant: str | None) -> str | None:
    return catalog.tenants[tenant].name if tenant is not None and tenant in catalog.tenants else None


def _is_late(catalog: Catalog, item: Shelved, published: datetime, now: datetime) -> bool:
    """Whether the day's page should be there and is not: its tier's deadline is over, and it is of an earlier day."""
    tier = catalog.datasets[item.dataset].sla_tier
    if tier is None or published.date() >= now.date():
        return False
    deadline = time.fromisoformat(str(catalog.sla_tiers[tier].deadline))
    return now.time() > deadline


def _tenants_seen(catalog: Catalog, principal: Principal) -> set[str] | None:
    """Whose incidents somebody may see; None for everybody's."""
    allowed = [each for each in principal.audiences if catalog.access_roles[each.role].may_see(INCIDENTS)]
    if any(each.tenant is None for each in allowed):
        return None
    return {each.tenant for each in allowed if each.tenant is not None}


def _newest_first(line: Line) -> float:
    """By the minute, so that what one build has written stays in its order."""
    return -(line.published_at.timestamp() // 60)


def today_in(zone: ZoneInfo, now: datetime) -> date:
    """The day on a zone's clock."""
    return now.astimezone(zone).date()
