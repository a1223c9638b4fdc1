"""What is there: the parts of a Segment workspace that the catalogue speaks about, read and nothing else.

The calls are documented at https://docs.segmentapis.com under `tag/Tracking-Plans`, `tag/Sources`, `tag/Destinations`
and `tag/Catalog`. Subscriptions of a destination are of the API's alpha version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analytics_platform.errors import AnalyticsError
from analytics_platform.tracking.segment.api import Json, PublicApi
from analytics_platform.tracking.segment.desired import PLAN_NAME, Desired

#: Webhooks (Actions) in Segment's catalogue of destinations, and the one action that it has.
WEBHOOK_TYPE = "614a3c7d791c91c41bae7599"
WEBHOOK_ACTION = "send"

DESTINATION_NAME = "Analytics collector"
SUBSCRIPTION_NAME = "Everything to the collector"


class AmbiguousWorkspaceError(AnalyticsError):
    """The workspace holds two things under a name that must be one."""


class UnknownCatalogEntryError(AnalyticsError):
    """Segment's catalogue has no such type of source or action."""


@dataclass(frozen=True)
class Actual:
    """The workspace as it is. Destinations and subscriptions are ours only, by the source's slug."""

    plan: Json | None
    rules: Mapping[str, Json]
    connected: frozenset[str]
    sources: Mapping[str, Json]
    destinations: Mapping[str, Json]
    subscriptions: Mapping[str, Json]
    source_types: Mapping[str, str] = field(default_factory=dict)
    webhook_action: str | None = None


def read_workspace(api: PublicApi, desired: Desired) -> Actual:
    """Read all that the desired workspace speaks about.

    Raises:
        SegmentApiError: Segment refused or could not be reached.
        AmbiguousWorkspaceError: two tracking plans bear our name.
        UnknownCatalogEntryError: a source type or the webhook's action is unknown to Segment.
    """
    plan = _our_plan(api)
    wanted = {source.slug for source in desired.sources}
    sources = {found["slug"]: found for found in api.pages("/sources", "sources") if found["slug"] in wanted}
    destinations = {slug: ours for slug, source in sources.items() if (ours := _our_destination(api, source["id"]))}
    subscriptions = {
        slug: ours for slug, found in destinations.items() if (ours := _our_subscription(api, found["id"]))
    }
    return Actual(
        plan=plan,
        rules=_rules(api, plan),
        connected=_connected(api, plan),
        sources=sources,
        destinations=destinations,
        subscriptions=subscriptions,
        source_types=_source_types(
            api, {source.source_type for source in desired.sources if source.slug not in sources}
        ),
        webhook_action=_webhook_action(api) if any(source.secret for source in desired.sources) else None,
    )


def _our_plan(api: PublicApi) -> Json | None:
    plans = [
        plan for plan in api.pages("/tracking-plans", "trackingPlans", type="LIVE") if plan.get("name") == PLAN_NAME
    ]
    if len(plans) > 1:
        ids = ", ".join(plan["id"] for plan in plans)
        raise AmbiguousWorkspaceError(
            f"{len(plans)} tracking plans are named {PLAN_NAME!r} ({ids}); delete or rename one"
        )
    return plans[0] if plans else None


def _rules(api: PublicApi, plan: Json | None) -> Mapping[str, Json]:
    """The plan's rules of track calls by event; a rule of another kind or version is named by both."""
    if plan is None:
        return {}
    return {rule_name(rule): rule for rule in api.pages(f"/tracking-plans/{plan['id']}/rules", "rules")}


def rule_name(rule: Mapping[str, Any]) -> str:
    """What a rule is known by: its event; with its type and version where those are not the usual ones."""
    usual = rule["type"] == "TRACK" and rule["version"] == 1
    return str(rule.get("key")) if usual else f"{rule['type']} {rule.get('key') or ''} v{rule['version']}"


def _connected(api: PublicApi, plan: Json | None) -> frozenset[str]:
    if plan is None:
        return frozenset()
    return frozenset(source["id"] for source in api.pages(f"/tracking-plans/{plan['id']}/sources", "sources"))


def _our_destination(api: PublicApi, source_id: str) -> Json | None:
    found = api.pages(f"/sources/{source_id}/connected-destinations", "destinations")
    return next((each for each in found if each.get("name") == DESTINATION_NAME), None)


def _our_subscription(api: PublicApi, destination_id: str) -> Json | None:
    found = api.pages(f"/destinations/{destination_id}/subscriptions", "subscriptions")
    return next((each for each in found if each["name"] == SUBSCRIPTION_NAME), None)


def _source_types(api: PublicApi, wanted: set[str]) -> Mapping[str, str]:
    if not wanted:
        return {}
    known = {each["slug"]: each["id"] for each in api.pages("/catalog/sources", "sourcesCatalog")}
    missing = sorted(wanted - known.keys())
    if missing:
        raise UnknownCatalogEntryError(f"Segment's catalogue has no source {', '.join(missing)}; mend SOURCE_TYPES")
    return {slug: known[slug] for slug in wanted}


def _webhook_action(api: PublicApi) -> str:
    metadata = api.get(f"/catalog/destinations/{WEBHOOK_TYPE}")["destinationMetadata"]
    action = next((each for each in metadata["actions"] if each["slug"] == WEBHOOK_ACTION), None)
    if action is None:
        raise UnknownCatalogEntryError(f"Segment's webhook destination has no action {WEBHOOK_ACTION!r} any more")
    return str(action["id"])
