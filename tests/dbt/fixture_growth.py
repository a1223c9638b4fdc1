"""The growth definitions once more, in plain Python: what the SQL models are compared with.

Belongs here: naive readings of `kpis.md` (each lead with its touches, weights as fractions), and the strategies that
draw facts for both. Stays out: assertions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from fixture import TENANTS, Message, message
from fixture_operations import identified, moment, on_day
from hypothesis import strategies as st

EPOCH = date(2026, 3, 27)
WINDOW = timedelta(days=90)
LOOKBACK = timedelta(days=30)
MEDIA = {"cpc": "paid_search", "newsletter": "email", "partner": "partner"}
ESTIMATES: tuple[dict[str, Any], ...] = (
    {},
    {"est_value_minor": 1001},
    {"est_value_minor": 50, "currency": "EUR"},
)
VALUES: tuple[dict[str, Any], ...] = ({}, {"booking_value_minor": 10_001, "booking_currency": "EUR"})
CURRENCY = {tenant.tenant_id: tenant.currency for tenant in TENANTS}
MODELS = ("first_touch", "last_touch", "linear", "position")


# --- drawing ---------------------------------------------------------------------------------------------------------


def _moments(first_day: int, last_day: int) -> st.SearchStrategy[str]:
    """Draw RFC 3339 times between two days after the epoch, on a coarse grid."""
    hours = st.sampled_from(("00:00:00", "12:00:00", "22:30:00", "23:30:00"))
    return st.builds(
        lambda day, hour: f"{EPOCH + timedelta(days=day)}T{hour}Z", st.integers(first_day, last_day), hours
    )


@st.composite
def lead_facts(draw: st.DrawFn) -> list[Message]:
    """Draw leads of few people: created or not, qualified twice, converted around the 90th day, with page views."""
    facts: list[Message] = []
    for number in range(draw(st.integers(1, 4))):
        own = {"tenant": draw(st.sampled_from(("t1", "gb"))), "lead_id": f"l{number}"}
        channel = {"channel": draw(st.sampled_from(("email", "referral")))}
        person = {"anonymous_id": draw(st.sampled_from(("a1", "a2"))), "user_id": draw(st.sampled_from((None, "u1")))}
        facts += [
            message("lead.created", at, campaign="spring", **own, **channel, **person)
            for at in draw(st.lists(_moments(0, 3), max_size=2))
        ]
        for at in draw(st.lists(_moments(0, 6), max_size=2)):
            value = draw(st.sampled_from(ESTIMATES))
            facts.append(message("lead.qualified", at, score=1, qualified_by="rule", **own, **channel, **value))
        ends = st.one_of(_moments(0, 40), _moments(88, 95))
        for at in draw(st.lists(ends, max_size=2)):
            value = draw(st.sampled_from(VALUES))
            facts.append(message("lead.converted", at, converted_to="booking", **own, **channel, **value))
    facts += draw(st.lists(_page(), max_size=14))
    facts += draw(st.lists(_identify(), max_size=2))
    return identified(facts)


@st.composite
def _page(draw: st.DrawFn) -> Message:
    """Draw a page view, with campaign tags more often than not."""
    medium = draw(st.sampled_from((None, *MEDIA)))
    campaign = {"campaign": {"source": "s", "medium": medium, "name": "n"}} if medium else {}
    return Message(
        None,
        draw(st.one_of(_moments(-32, 8), _moments(55, 96))),
        tenant=draw(st.sampled_from(("t1", "gb"))),
        type="page",
        anonymous_id=draw(st.sampled_from(("a1", "a2", "a3", "l0"))),
        user_id=draw(st.sampled_from((None, "u1", "l1"))),
        context=campaign,
    )


@st.composite
def _identify(draw: st.DrawFn) -> Message:
    """Draw an identify call that names a visitor."""
    at = draw(st.one_of(_moments(-3, 5), _moments(85, 97)))
    user = draw(st.sampled_from(("l0", "u1")))
    return Message(
        None, at, tenant=draw(st.sampled_from(("t1", "gb"))), type="identify", anonymous_id="a3", user_id=user
    )


# --- leads -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """A lead with its first creation, qualification and conversion."""

    tenant: str
    lead_id: str
    created: Message | None
    qualified: Message | None
    converted: Message | None

    @property
    def cohort(self) -> Message | None:
        """Return the fact that fixes the cohort: the creation, else the conversion."""
        return self.created or self.converted

    @property
    def settled_on(self) -> date:
        """Return the last day whose facts count."""
        assert self.cohort is not None
        return on_day(self.cohort) + WINDOW

    @property
    def is_converted(self) -> bool:
        """Return whether it converted in its window."""
        return self.converted is not None and on_day(self.converted) <= self.settled_on

    @property
    def attributed_at(self) -> datetime:
        """Return the moment up to which touches count."""
        assert self.cohort is not None
        return moment(self.converted) if self.converted is not None and self.is_converted else moment(self.cohort)

    @property
    def value(self) -> int:
        """Return the value of the conversion in euro cents (drawn values are in euro)."""
        return self.converted.properties.get("booking_value_minor", 0) if self.converted and self.is_converted else 0


def leads_of(messages: Sequence[Message]) -> list[Lead]:
    """Return every lead that the facts tell of."""
    firsts: dict[tuple[str, str], dict[str, Message]] = defaultdict(dict)
    for each in sorted(messages, key=lambda each: (moment(each), str(each.message_id))):
        if each.event is not None:
            firsts[each.tenant, each.properties["lead_id"]].setdefault(each.event, each)
    return [
        Lead(tenant, lead, facts.get("lead.created"), facts.get("lead.qualified"), facts.get("lead.converted"))
        for (tenant, lead), facts in firsts.items()
    ]


def qualified_rows(
    messages: Sequence[Message], rates: Mapping[tuple[str, date], Decimal]
) -> dict[tuple[date, str, str, str | None], tuple[int, int]]:
    """Return qualified leads and the euro cents that they are estimated at, by day, tenant, channel and campaign."""
    rows: dict[tuple[date, str, str, str | None], Counter[str]] = defaultdict(Counter)
    for lead in leads_of(messages):
        if lead.qualified is not None:
            day = on_day(lead.qualified)
            known = lead.created if lead.created is not None and on_day(lead.created) <= day else None
            campaign = known.properties["campaign"] if known is not None else None
            row = rows[day, lead.tenant, lead.qualified.properties["channel"], campaign]
            row.update(leads=1, value=_estimate(lead.qualified, rates))
    return {key: (row["leads"], row["value"]) for key, row in rows.items()}


def _estimate(qualified: Message, rates: Mapping[tuple[str, date], Decimal]) -> int:
    """Return an estimate in euro cents; it is in the tenant's own currency unless it names one."""
    currency = qualified.properties.get("currency", CURRENCY[qualified.tenant])
    rate = rates[currency, on_day(qualified).replace(day=1)]
    value = Decimal(qualified.properties.get("est_value_minor", 0)) * rate
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


# --- attribution -----------------------------------------------------------------------------------------------------


def persons_of(lead: Lead, messages: Sequence[Message]) -> set[str]:
    """Return the ids of a lead that are known when its cohort is settled."""
    known = [each for each in messages if each.tenant == lead.tenant and on_day(each) <= lead.settled_on]
    own = {lead.lead_id}
    for each in known:
        if each.event == "lead.created" and each.properties["lead_id"] == lead.lead_id:
            own |= {each.anonymous_id or "", each.user_id or ""}
    linked = {each.anonymous_id or "" for each in known if each.type == "identify" and each.user_id in own}
    return (own | linked) - {""}


def touches_of(messages: Sequence[Message]) -> dict[tuple[str, str], list[str]]:
    """Return the channels of each lead's touches in order; a view belongs to the first lead that it can decide."""
    leads = [lead for lead in leads_of(messages) if lead.cohort is not None]
    leads.sort(key=lambda lead: (moment(_cohort(lead)), lead.lead_id))
    persons = {(lead.tenant, lead.lead_id): persons_of(lead, messages) for lead in leads}
    found: dict[tuple[str, str], list[str]] = {key: [] for key in persons}
    for page in sorted(_campaign_pages(messages), key=lambda each: (moment(each), str(each.message_id))):
        for lead in leads:
            key = (lead.tenant, lead.lead_id)
            if page.tenant == lead.tenant and persons[key] & {page.anonymous_id, page.user_id} and _decides(page, lead):
                if lead.attributed_at - LOOKBACK <= moment(page) <= lead.attributed_at:
                    found[key].append(MEDIA[page.context["campaign"]["medium"]])
                break
    for lead in leads:
        if not found[lead.tenant, lead.lead_id]:
            channel = lead.created.properties["channel"] if lead.created else "unattributed"
            found[lead.tenant, lead.lead_id] = [channel]
    return found


def _cohort(lead: Lead) -> Message:
    """Return the fact that fixes a lead's cohort."""
    assert lead.cohort is not None
    return lead.cohort


def _campaign_pages(messages: Iterable[Message]) -> list[Message]:
    """Return the page views with campaign tags."""
    return [each for each in messages if each.type == "page" and each.context]


def _decides(page: Message, lead: Lead) -> bool:
    """Return whether a view lies where it may still decide a lead's attribution."""
    return moment(_cohort(lead)) - LOOKBACK <= moment(page) and on_day(page) <= lead.settled_on


def weights(model: str, count: int) -> list[Fraction]:
    """Return the share of each of a lead's touches."""
    if model == "linear" or count == 1:
        return [Fraction(1, count)] * count
    if model in {"first_touch", "last_touch"}:
        ones = [Fraction(1)] + [Fraction(0)] * (count - 1)
        return ones if model == "first_touch" else ones[::-1]
    if count == 2:
        return [Fraction(1, 2)] * 2
    return [Fraction(2, 5), *[Fraction(1, 5) / (count - 2)] * (count - 2), Fraction(2, 5)]


ConversionKey = tuple[date, str, str, str]


def conversion_rows(messages: Sequence[Message]) -> dict[ConversionKey, tuple[Fraction, Fraction, Fraction]]:
    """Return created, converted and the unrounded value by cohort day, tenant, channel and model."""
    touches = touches_of(messages)
    rows: dict[ConversionKey, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 3)
    for lead in leads_of(messages):
        if lead.cohort is None:
            continue
        channels = touches[lead.tenant, lead.lead_id]
        for model in MODELS:
            for channel, share in zip(channels, weights(model, len(channels)), strict=True):
                if share:
                    row = rows[on_day(lead.cohort), lead.tenant, channel, model]
                    row[0] += share * (lead.created is not None)
                    row[1] += share * lead.is_converted
                    row[2] += share * lead.value
    return {key: (row[0], row[1], row[2]) for key, row in rows.items()}
