"""Qualified leads, attribution, conversion and lead cohorts once more, in plain Python.

Belongs here: naive readings of `kpis.md` (each lead with its touches, weights as fractions). Stays out: drawing facts,
assertions.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from fixture import Message
from reference import Registry, in_order, moment, of, rates, whole_minor

WINDOW = timedelta(days=90)
LOOKBACK = timedelta(days=30)
MODELS = ("first_touch", "last_touch", "linear", "position")
MEDIA = {"cpc": "paid_search", "newsletter": "email", "partner": "partner", "organic_social": "organic_social"}
"""Channels of the campaign media that tests draw."""

# --- leads -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """A lead with its first creation, qualification and conversion."""

    registry: Registry
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
    def cohort_at(self) -> datetime:
        """Return the moment of the cohort."""
        assert self.cohort is not None
        return moment(self.cohort)

    @cached_property
    def cohort_on(self) -> date:
        """Return the day of the cohort."""
        assert self.cohort is not None
        return self.registry.on_day(self.cohort)

    @property
    def settled_on(self) -> date:
        """Return the last day whose facts count."""
        return self.cohort_on + WINDOW

    @cached_property
    def is_converted(self) -> bool:
        """Return whether it converted in its window."""
        return self.converted is not None and self.registry.on_day(self.converted) <= self.settled_on

    @property
    def attributed_at(self) -> datetime:
        """Return the moment up to which touches count."""
        return moment(self.converted) if self.converted is not None and self.is_converted else self.cohort_at

    def estimate(self) -> int:
        """Return the estimate of its first qualification in euro cents; 0 when none was told."""
        own = self.qualified.properties if self.qualified is not None else {}
        if self.qualified is None or "est_value_minor" not in own:
            return 0
        currency = own.get("currency", self.registry.tenants[self.tenant].currency)
        return _in_euro(own["est_value_minor"], currency, self.registry.on_day(self.qualified))

    def estimate_in_window(self) -> int:
        """Return the estimate, if the lead was created and the estimate told within its window."""
        if self.created is None or self.qualified is None:
            return 0
        return self.estimate() if self.registry.on_day(self.qualified) <= self.settled_on else 0


def _in_euro(amount: int, currency: str, day: date) -> int:
    """Return an amount in euro cents at the rate of the month."""
    return whole_minor(amount * rates()[currency, day.replace(day=1)])


def leads_of(messages: Sequence[Message], registry: Registry) -> list[Lead]:
    """Return every lead that the facts tell of."""
    firsts: dict[tuple[str, str], dict[str, Message]] = defaultdict(dict)
    for each in in_order(messages):
        if each.event is not None and each.event.startswith("lead."):
            firsts[each.tenant, each.properties["lead_id"]].setdefault(each.event, each)
    return [
        Lead(registry, *key, facts.get("lead.created"), facts.get("lead.qualified"), facts.get("lead.converted"))
        for key, facts in firsts.items()
    ]


QualifiedKey = tuple[date, str, str, str | None]


def qualified_rows(messages: Sequence[Message], registry: Registry) -> dict[QualifiedKey, tuple[int, int, Decimal]]:
    """Return qualified leads, their estimate in euro cents and their scores by day, tenant, channel and campaign."""
    rows: dict[QualifiedKey, list[Lead]] = defaultdict(list)
    for lead in leads_of(messages, registry):
        if lead.qualified is not None:
            day = registry.on_day(lead.qualified)
            known = lead.created if lead.created is not None and registry.on_day(lead.created) <= day else None
            campaign = known.properties.get("campaign") if known is not None else None
            rows[day, lead.tenant, lead.qualified.properties["channel"], campaign].append(lead)
    return {key: (len(row), sum(lead.estimate() for lead in row), _scores(row)) for key, row in rows.items()}


def _scores(leads: Sequence[Lead]) -> Decimal:
    """Return the sum of the scores at the first qualification."""
    return sum((Decimal(str(each.qualified.properties["score"])) for each in leads if each.qualified), Decimal(0))


# --- worth -----------------------------------------------------------------------------------------------------------


def values_of(leads: Sequence[Lead], messages: Sequence[Message]) -> dict[tuple[str, str], int]:
    """Return what the conversion of each lead is worth in euro cents; 0 when nothing tells."""
    deals: dict[tuple[str, str, str], Message] = {}
    for each in of(messages, "booking.confirmed") + of(messages, "subscription.started"):
        name = "booking_id" if each.event == "booking.confirmed" else "subscription_id"
        deals.setdefault((each.tenant, name, each.properties[name]), each)
    return {(lead.tenant, lead.lead_id): _worth(lead, deals) for lead in leads}


def _worth(lead: Lead, deals: dict[tuple[str, str, str], Message]) -> int:
    """Return the value that a conversion states, else that of its booking, else the first month of its subscription."""
    if lead.converted is None:
        return 0
    own, day = lead.converted.properties, lead.registry.on_day(lead.converted)
    if "booking_value_minor" in own:
        currency = own.get("booking_currency", lead.registry.tenants[lead.tenant].currency)
        return _in_euro(own["booking_value_minor"], currency, day)
    for name, amount, unit in (
        ("booking_id", "booking_value_minor", "booking_currency"),
        ("subscription_id", "mrr_minor", "currency"),
    ):
        deal = deals.get((lead.tenant, name, own.get(name, "")))
        if deal is not None and lead.registry.on_day(deal) <= lead.settled_on:
            return _in_euro(deal.properties[amount], deal.properties[unit], day)
    return 0


# --- attribution -----------------------------------------------------------------------------------------------------


def persons_of(lead: Lead, messages: Sequence[Message]) -> set[str]:
    """Return the ids of a lead that are known when its cohort is settled; `messages` are those of its tenant."""
    known = [each for each in messages if lead.registry.on_day(each) <= lead.settled_on]
    own = {lead.lead_id}
    for each in known:
        if each.event == "lead.created" and each.properties["lead_id"] == lead.lead_id:
            own |= {each.anonymous_id or "", each.user_id or ""}
    links = {(each.user_id or "", each.anonymous_id or "") for each in known if each.type == "identify"}
    users = own | {user for user, anonymous in links if anonymous in own}
    return (users | {anonymous for user, anonymous in links if user in users}) - {""}


def touches_of(messages: Sequence[Message], registry: Registry) -> dict[tuple[str, str], list[str]]:
    """Return the channels of each lead's touches in order; a view belongs to the first lead that it can decide."""
    found: dict[tuple[str, str], list[str]] = {}
    for tenant in registry.tenants:
        own = [each for each in messages if each.tenant == tenant]
        found |= _touches_of_tenant(own, registry)
    return found


def _touches_of_tenant(messages: Sequence[Message], registry: Registry) -> dict[tuple[str, str], list[str]]:
    """Return the channels of each lead's touches, of one tenant."""
    leads = [lead for lead in leads_of(messages, registry) if lead.cohort is not None]
    leads.sort(key=lambda lead: (lead.cohort_at, lead.lead_id))
    identities = [each for each in messages if each.type == "identify" or each.event == "lead.created"]
    persons = {lead.lead_id: persons_of(lead, identities) for lead in leads}
    found: dict[tuple[str, str], list[str]] = {(lead.tenant, lead.lead_id): [] for lead in leads}
    for page in in_order(each for each in messages if each.type == "page" and each.context):
        for lead in leads:
            if persons[lead.lead_id] & {page.anonymous_id, page.user_id} and _decides(page, lead):
                if lead.attributed_at - LOOKBACK <= moment(page) <= lead.attributed_at:
                    found[lead.tenant, lead.lead_id].append(MEDIA[page.context["campaign"]["medium"]])
                break
    for lead in leads:
        if not found[lead.tenant, lead.lead_id]:
            channel = lead.created.properties["channel"] if lead.created else "unattributed"
            found[lead.tenant, lead.lead_id] = [channel]
    return found


def _decides(page: Message, lead: Lead) -> bool:
    """Return whether a view lies where it may still decide a lead's attribution."""
    return lead.cohort_at - LOOKBACK <= moment(page) and lead.registry.on_day(page) <= lead.settled_on


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


@dataclass
class Conversion:
    """Shares of leads of one cohort, channel and model; amounts in euro cents, not rounded."""

    created: Fraction = Fraction(0)
    converted: Fraction = Fraction(0)
    value: Fraction = Fraction(0)
    estimated: Fraction = Fraction(0)
    converted_estimated: Fraction = Fraction(0)

    def add(self, lead: Lead, share: Fraction, worth: int) -> None:
        """Add a share of a lead."""
        self.created += share * (lead.created is not None)
        self.converted += share * lead.is_converted
        self.value += share * worth * lead.is_converted
        self.estimated += share * lead.estimate_in_window()
        self.converted_estimated += share * lead.estimate_in_window() * lead.is_converted


ConversionKey = tuple[date, str, str, str]


def conversion_rows(messages: Sequence[Message], registry: Registry) -> dict[ConversionKey, Conversion]:
    """Return the rows of `kpi_channel_conversion` by cohort day, tenant, channel and model, amounts unrounded."""
    leads = [lead for lead in leads_of(messages, registry) if lead.cohort is not None]
    touches, worth = touches_of(messages, registry), values_of(leads, messages)
    rows: dict[ConversionKey, Conversion] = defaultdict(Conversion)
    for lead in leads:
        key = (lead.tenant, lead.lead_id)
        for model in MODELS:
            for channel, share in zip(touches[key], weights(model, len(touches[key])), strict=True):
                if share:
                    rows[lead.cohort_on, lead.tenant, channel, model].add(lead, share, worth[key])
    return dict(rows)


# --- cohorts ---------------------------------------------------------------------------------------------------------

CohortKey = tuple[date, str, str, int]


def cohort_rows(
    messages: Sequence[Message], registry: Registry, last: date
) -> dict[CohortKey, tuple[int, int | None, int | None, int | None]]:
    """Return leads, and by the end of month n the qualified, the converted and their worth, built up to a day."""
    leads = [lead for lead in leads_of(messages, registry) if lead.created is not None]
    worth = values_of(leads, messages)
    sizes = Counter((lead.cohort_on.replace(day=1), lead.tenant, _stated_channel(lead)) for lead in leads)
    rows: dict[CohortKey, tuple[int, int | None, int | None, int | None]] = {}
    for (month, tenant, channel), size in sizes.items():
        own = [
            lead
            for lead in leads
            if (lead.cohort_on.replace(day=1), lead.tenant, _stated_channel(lead)) == (month, tenant, channel)
        ]
        for number in range(months_from(month, last) + 1):
            ends = month_end(month, number)
            rows[month, tenant, channel, number] = (
                (size, *_reached(own, ends, worth)) if ends <= last else (size, None, None, None)
            )
    return rows


def _reached(leads: Sequence[Lead], ends: date, worth: dict[tuple[str, str], int]) -> tuple[int, int, int]:
    """Return how many had qualified and converted by a day, and what the conversions are worth."""
    qualified = [lead for lead in leads if lead.qualified and lead.registry.on_day(lead.qualified) <= ends]
    converted = [lead for lead in leads if lead.converted and lead.registry.on_day(lead.converted) <= ends]
    return len(qualified), len(converted), sum(worth[lead.tenant, lead.lead_id] for lead in converted)


def _stated_channel(lead: Lead) -> str:
    """Return the channel that a creation states."""
    assert lead.created is not None
    return str(lead.created.properties["channel"])


def months_from(first: date, last: date) -> int:
    """Return the number of months between the months of two days."""
    return (last.year - first.year) * 12 + last.month - first.month


def month_end(month: date, number: int) -> date:
    """Return the last day of the n-th month after a month."""
    years, months = divmod(month.month + number, 12)
    return date(month.year + years, months + 1, 1) - timedelta(days=1)
