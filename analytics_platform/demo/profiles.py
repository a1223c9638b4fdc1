"""Who the four demo tenants are: size, health, and the stories that a dashboard should show.

Belongs here: every number that makes one tenant different from another. Stays out: how a domain behaves.
Days of a story count from the first simulated day, so a demo of any year tells the same stories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Plot(StrEnum):
    """What a story changes; its `effect` says by how much."""

    LATE_DEPARTURES = "late_departures"  # times as many late departures from one warehouse
    UNHAPPY_CUSTOMERS = "unhappy_customers"  # share of promoters who turn into detractors
    SLOW_SUPPORT = "slow_support"  # times as long until a ticket is resolved
    CAMPAIGN = "campaign"  # times as many leads, all of them from one campaign
    CHURN_WAVE = "churn_wave"  # times as many cancellations
    SLOW_PAYERS = "slow_payers"  # more days until an invoice is paid
    REPAIRS = "repairs"  # times as many failed inspections
    SCANNER_RELEASE = "scanner_release"  # share of scans that a faulty release also sends in a broken form


@dataclass(frozen=True)
class Story:
    """Something that happens to a tenant from one day to another (both counted from the first, inclusive).

    `where` limits it to a warehouse or a category of equipment; `campaign` names the campaign that leads come from.
    """

    plot: Plot
    from_day: int
    to_day: int
    effect: float
    where: str = ""
    campaign: str = ""


@dataclass(frozen=True)
class TenantProfile:
    """One tenant's business in numbers; shares and weights are relative, amounts are minor units."""

    tenant_id: str
    fleet_size: int
    warehouses: Mapping[str, float]
    categories: Mapping[str, float]
    utilisation: float
    delivered_share: float
    on_time_share: float
    opening_customers: int
    projects: int
    price_level: float
    churn_a_month: float
    leads_a_month: float
    qualified_share: float
    converted_share: float
    channels: Mapping[str, float]
    payers: Mapping[str, float]
    tax_rate: float
    tickets_a_month: float
    resolution_level: float
    promoters: float
    detractors: float
    site: str
    stories: tuple[Story, ...] = field(default=())

    def story(self, plot: Plot, day_number: int, where: str = "") -> Story | None:
        """The story of that kind that runs on that day (at that place), or None on ordinary days."""
        for story in self.stories:
            if story.plot is plot and story.from_day <= day_number <= story.to_day and story.where in ("", where):
                return story
        return None


_DUTCH_CHANNELS = {
    "organic_search": 26.0, "paid_search": 20.0, "referral": 12.0, "direct": 12.0, "email": 8.0,
    "paid_social": 7.0, "partner": 6.0, "organic_social": 4.0, "event": 3.0, "outbound": 2.0,
}  # fmt: skip

BRABANT_RENTAL = TenantProfile(
    tenant_id="brabant-rental",
    fleet_size=120,
    warehouses={"wh-eindhoven": 0.6, "wh-tilburg": 0.4},
    categories={"audio": 3, "lighting": 3, "video": 2, "staging": 2, "power": 1},
    utilisation=0.62,
    delivered_share=0.7,
    on_time_share=0.93,
    opening_customers=64,
    projects=20,
    price_level=1.0,
    churn_a_month=0.017,
    leads_a_month=66,
    qualified_share=0.46,
    converted_share=0.27,
    channels=_DUTCH_CHANNELS,
    payers={"prompt": 55, "slow": 32, "laggard": 11, "delinquent": 2},
    tax_rate=0.21,
    tickets_a_month=38,
    resolution_level=1.0,
    promoters=0.55,
    detractors=0.13,
    site="www.brabant-rental.example",
    stories=(
        Story(Plot.CAMPAIGN, 128, 152, 2.3, campaign="open_warehouse_days"),
        Story(Plot.SCANNER_RELEASE, 251, 252, 0.5),
    ),
)

DELTA_EVENTS = TenantProfile(
    tenant_id="delta-events",
    fleet_size=85,
    warehouses={"wh-rotterdam": 1.0},
    categories={"audio": 4, "lighting": 3, "video": 3, "staging": 1},
    utilisation=0.55,
    delivered_share=0.75,
    on_time_share=0.9,
    opening_customers=38,
    projects=14,
    price_level=0.8,
    churn_a_month=0.034,
    leads_a_month=42,
    qualified_share=0.4,
    converted_share=0.22,
    channels={**_DUTCH_CHANNELS, "paid_social": 20.0, "organic_social": 12.0},
    payers={"prompt": 42, "slow": 36, "laggard": 17, "delinquent": 5},
    tax_rate=0.21,
    tickets_a_month=30,
    resolution_level=1.5,
    promoters=0.48,
    detractors=0.16,
    site="www.delta-events.example",
    stories=(
        Story(Plot.UNHAPPY_CUSTOMERS, 150, 205, 0.45),
        Story(Plot.SLOW_SUPPORT, 140, 200, 2.4),
    ),
)

NOORD_RIGGING = TenantProfile(
    tenant_id="noord-rigging",
    fleet_size=70,
    warehouses={"wh-groningen": 0.55, "wh-zwolle": 0.45},
    categories={"rigging": 6, "power": 2, "staging": 2},
    utilisation=0.64,
    delivered_share=0.8,
    on_time_share=0.95,
    opening_customers=27,
    projects=10,
    price_level=1.5,
    churn_a_month=0.011,
    leads_a_month=24,
    qualified_share=0.52,
    converted_share=0.34,
    channels={**_DUTCH_CHANNELS, "referral": 28.0, "outbound": 10.0, "paid_social": 1.0},
    payers={"prompt": 60, "slow": 29, "laggard": 8, "delinquent": 3},
    tax_rate=0.21,
    tickets_a_month=15,
    resolution_level=0.7,
    promoters=0.64,
    detractors=0.09,
    site="www.noord-rigging.example",
    stories=(Story(Plot.LATE_DEPARTURES, 205, 236, 9.0, "wh-groningen"),),
)

ALBION_STAGE = TenantProfile(
    tenant_id="albion-stage",
    fleet_size=90,
    warehouses={"wh-london": 0.65, "wh-manchester": 0.35},
    categories={"staging": 4, "lighting": 3, "audio": 2, "video": 2},
    utilisation=0.58,
    delivered_share=0.65,
    on_time_share=0.91,
    opening_customers=46,
    projects=16,
    price_level=1.15,
    churn_a_month=0.02,
    leads_a_month=48,
    qualified_share=0.44,
    converted_share=0.25,
    channels={**_DUTCH_CHANNELS, "event": 12.0, "partner": 12.0},
    payers={"prompt": 48, "slow": 36, "laggard": 13, "delinquent": 3},
    tax_rate=0.2,
    tickets_a_month=27,
    resolution_level=1.1,
    promoters=0.52,
    detractors=0.14,
    site="www.albion-stage.example",
    stories=(
        Story(Plot.REPAIRS, 84, 118, 6.0, "lighting"),
        Story(Plot.CHURN_WAVE, 236, 275, 13.0),
        Story(Plot.SLOW_PAYERS, 225, 285, 14.0),
    ),
)

PROFILES = (BRABANT_RENTAL, DELTA_EVENTS, NOORD_RIGGING, ALBION_STAGE)
