"""How customers come: visits of the marketing site, leads by channel, qualification, conversion.

Belongs here: everything up to the moment of conversion. Stays out: what the new customer does next (`revenue` starts
its subscription, `rentals` its first booking), though their ids are fixed here because the conversion names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from analytics_platform.demo.clock import LONGEST_NOTICE_DAYS, office_demand
from analytics_platform.demo.customers import Customer, CustomerRegister, Lead
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.journal import Fact, Source, Value, World
from analytics_platform.demo.prices import Offer, draw_offer
from analytics_platform.demo.profiles import Plot

_RUN_UP_DAYS = 80
_SUBSCRIBES_SHARE = 0.35
_OF_CAMPAIGN_SHARE = 0.58
_DAYS_A_MONTH = 365 / 12

# How likely a lead of a channel goes on, compared with the tenant's average.
_CHANNEL_QUALITY = {
    "referral": 1.5, "partner": 1.35, "event": 1.1, "organic_search": 1.1, "direct": 1.05, "email": 1.0,
    "paid_search": 0.9, "outbound": 0.7, "organic_social": 0.65, "paid_social": 0.55,
}  # fmt: skip

# Through what a visitor comes back.
_LATER_CHANNELS = {"email": 3.0, "direct": 2.5, "paid_search": 2.5, "organic_search": 1.5, "paid_social": 0.7}

# What the address of a visit tells about its channel: utm_source, utm_medium, utm_campaign, or the referring site.
TAGS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "paid_search": ("google", "cpc", ("brand_search", "generic_hire", "competitor_terms")),
    "paid_social": ("linkedin", "paid_social", ("event_managers", "lookalike_venues")),
    "email": ("newsletter", "email", ("monthly_news", "season_offer")),
    "partner": ("venue_network", "partner", ("venue_partners",)),
    "event": ("trade_fair", "event", ("trade_fair_stand",)),
    "outbound": ("sales_team", "outbound", ("cold_outreach",)),
}
REFERRERS = {
    "organic_search": "https://www.google.com/",
    "organic_social": "https://www.linkedin.com/",
    "referral": "https://blog.eventbuilders.example/",
}
PAGES = {
    "/": "Home", "/equipment/audio": "Audio", "/equipment/lighting": "Lighting", "/equipment/staging": "Staging",
    "/pricing": "Pricing", "/plans": "Plans", "/cases/summer-festival": "Case: summer festival",
}  # fmt: skip


@dataclass(frozen=True)
class Conversion:
    """A lead that became a customer: with a subscription or with a first booking, whose id it names."""

    customer: Customer
    converted_at: datetime
    value_minor: int
    subscription_id: str | None = None
    offer: Offer | None = None
    booking_id: str | None = None


@dataclass(frozen=True)
class _Touch:
    at: datetime
    channel: str
    campaign: str | None


def simulate_growth(world: World, register: CustomerRegister) -> list[Conversion]:
    """Tells all visits and leads; answers the conversions in the order in which their leads were created."""
    conversions = []
    for day in world.days(before=_RUN_UP_DAYS, after=LONGEST_NOTICE_DAYS):
        _tell_passing_visitors(world, day)
        for number in range(_leads_on(world, day)):
            conversion = _tell_lead(world, register, day, world.dice("lead", day, number))
            if conversion is not None:
                conversions.append(conversion)
    return conversions


def _leads_on(world: World, day: date) -> int:
    push = world.effect(Plot.CAMPAIGN, day) or 1.0
    mean = world.profile.leads_a_month / _DAYS_A_MONTH * office_demand(day) * push
    return world.dice("leads", day).poisson(mean)


def _tell_lead(world: World, register: CustomerRegister, day: date, dice: Dice) -> Conversion | None:
    created_at = world.clock.at(day, dice.triangular(480, 1320, 690))
    touches = _touches(world, day, created_at, dice)
    first = touches[0]
    lead = Lead(dice.name("led"), first.channel)
    visitor = _visitor(dice)
    landing_path = dice.choice(tuple(PAGES))
    visits = [fact for touch in touches for fact in _visit(world, touch, visitor, dice)]
    created = _lead_created(world, lead, created_at, first.campaign, landing_path, visitor)
    facts, conversion = _what_becomes(world, register, lead, created_at, dice)
    world.tell([created, *facts], is_running=True)  # all leads: only the lucky ones would flatter the first cohorts
    if created_at >= world.opening:
        known = Fact(created_at + timedelta(seconds=1), "", {}, Source.SITE, lead.lead_id, visitor, "identify")
        world.tell([*(visit for visit in visits if visit.at >= world.opening), known])
    return conversion


def _touches(world: World, day: date, created_at: datetime, dice: Dice) -> list[_Touch]:
    """One to five visits, the last of which creates the lead; the first decides the lead's channel."""
    story = world.story(Plot.CAMPAIGN, day)
    is_of_story = story is not None and dice.chance(_OF_CAMPAIGN_SHARE)
    channel = "paid_social" if is_of_story else dice.pick(world.profile.channels)
    count = 1 + min(4, int(dice.expovariate(0.75)))
    days_before = sorted((dice.random() ** 2 * 32 for _ in range(count - 1)), reverse=True)
    touches = []
    for number, days in enumerate([*days_before, 0.0]):
        if number:
            channel = dice.pick(_LATER_CHANNELS)
        at = created_at - timedelta(days=days, minutes=dice.randrange(4, 25))
        name = story.campaign if story and is_of_story and channel == "paid_social" else _campaign(channel, dice)
        touches.append(_Touch(at, channel, name))
    return touches


def _campaign(channel: str, dice: Dice) -> str | None:
    return dice.choice(TAGS[channel][2]) if channel in TAGS else None


def _lead_created(
    world: World, lead: Lead, at: datetime, campaign: str | None, landing_path: str, visitor: str
) -> Fact:
    properties: dict[str, Value] = {"lead_id": lead.lead_id, "channel": lead.channel, "created_at": at}
    if campaign:
        properties["campaign"] = campaign
    properties |= {"landing_path": landing_path, "company_country": world.tenant.country}
    return Fact(at, "lead.created", properties, Source.SITE, user=lead.lead_id, visitor=visitor)


def _what_becomes(
    world: World, register: CustomerRegister, lead: Lead, created_at: datetime, dice: Dice
) -> tuple[list[Fact], Conversion | None]:
    quality = _CHANNEL_QUALITY[lead.channel]
    if not dice.chance(min(0.9, world.profile.qualified_share * quality**0.6)):
        return [], None
    waits = dice.skewed(620, 0.9)
    qualified_at = world.clock.after_business_minutes(created_at, waits)
    facts = [_lead_qualified(world, lead, qualified_at, quality, dice)]
    if not dice.chance(min(0.9, world.profile.converted_share * quality**0.6)):
        return facts, None
    negotiated = timedelta(days=min(70.0, dice.skewed(14, 0.7)))
    converted_at = world.clock.after_business_minutes(qualified_at + negotiated, dice.uniform(5, 200))
    conversion = _convert(world, register, lead, converted_at, dice)
    return [*facts, _lead_converted(world, lead, conversion)], conversion


def _lead_qualified(world: World, lead: Lead, at: datetime, quality: float, dice: Dice) -> Fact:
    score = round(min(99.0, max(31.0, dice.gauss(52 + 16 * quality, 11))))
    value = round(dice.skewed(420_000, 0.8) * world.profile.price_level, -3)
    properties: dict[str, Value] = {
        "lead_id": lead.lead_id,
        "channel": lead.channel,
        "qualified_at": at,
        "score": score,
        "qualified_by": "score" if score > 65 else "sales",
        "est_value_minor": int(value),
        "currency": world.tenant.currency,
    }
    return Fact(at, "lead.qualified", properties, user=lead.lead_id)


def _convert(world: World, register: CustomerRegister, lead: Lead, at: datetime, dice: Dice) -> Conversion:
    """What the lead agrees to: a subscription, worth its first year, or a first booking at a price."""
    customer, level = register.enrol(at, dice, lead), world.profile.price_level
    if dice.chance(_SUBSCRIBES_SHARE):
        offer = draw_offer(dice)
        return Conversion(customer, at, 12 * offer.mrr_minor(level), dice.name("sub"), offer)
    agreed = int(round(dice.skewed(190_000, 0.7) * level, -2))
    return Conversion(customer, at, agreed, booking_id=dice.name("bkg"))


def _lead_converted(world: World, lead: Lead, conversion: Conversion) -> Fact:
    properties: dict[str, Value] = {
        "lead_id": lead.lead_id,
        "channel": lead.channel,
        "converted_at": conversion.converted_at,
        "converted_to": "subscription" if conversion.subscription_id else "booking",
        "project_id": conversion.customer.project_id,
        "booking_value_minor": conversion.value_minor,
        "booking_currency": world.tenant.currency,
    }
    if conversion.subscription_id:
        properties["subscription_id"] = conversion.subscription_id
    if conversion.booking_id:
        properties["booking_id"] = conversion.booking_id
    return Fact(conversion.converted_at, "lead.converted", properties, user=lead.lead_id)


def _tell_passing_visitors(world: World, day: date) -> None:
    """Visitors who look and leave: most of a site's traffic, of which the demo keeps a little."""
    if day < world.first_day:
        return
    dice = world.dice("visitors", day)
    for _ in range(dice.poisson(world.profile.leads_a_month / 60 * office_demand(day))):
        channel = dice.pick(world.profile.channels)
        touch = _Touch(world.clock.at(day, dice.triangular(420, 1400, 780)), channel, _campaign(channel, dice))
        world.tell(_visit(world, touch, _visitor(dice), dice))


def _visit(world: World, touch: _Touch, visitor: str, dice: Dice) -> Iterator[Fact]:
    """One to three pages; only the first carries the campaign and the referring site, as real visits do."""
    tags = _tags(touch)
    referrer = REFERRERS.get(touch.channel, "")
    at = touch.at
    for number in range(1 + min(2, int(dice.expovariate(1.4)))):
        path, title = dice.choice(tuple(PAGES.items()))
        search = "?" + "&".join(f"utm_{key}={text}" for key, text in tags.items()) if tags and not number else ""
        url = f"https://{world.profile.site}{path}"
        properties: dict[str, Value] = {
            "path": path,
            "referrer": referrer,
            "search": search.replace("utm_name", "utm_campaign"),
            "title": title,
            "url": url + search.replace("utm_name", "utm_campaign"),
        }
        yield Fact(at, title, properties, Source.SITE, None, visitor, "page", None if number else tags)
        referrer = url
        at += timedelta(seconds=dice.randrange(9, 70))


def _tags(touch: _Touch) -> dict[str, str] | None:
    if touch.channel not in TAGS:
        return None
    source, medium, _ = TAGS[touch.channel]
    return {"source": source, "medium": medium, "name": touch.campaign or "always_on"}


def _visitor(dice: Dice) -> str:
    bits = f"{dice.getrandbits(128):032x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"
