"""Visitors of a tenant's marketing site and users of its app, as Segment's browser client sends them.

One request per call, as text/plain with the write key in the body, which is how the client avoids a preflight.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson

from analytics_platform.catalog import Tenant
from analytics_platform.demo.clock import rfc3339
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.growth import PAGES, REFERRERS, TAGS
from analytics_platform.demo.messages import BROWSER_LIBRARY
from analytics_platform.demo.profiles import TenantProfile

_PATHS = {"page": "/v1/p", "identify": "/v1/i", "track": "/v1/t"}
_STEPS = ("dates", "equipment", "details", "confirm")


class Browser:
    """One person's browser on one site.

    Args:
        client: bound to the collector's address.
        write_key: of the site.
        dice: draws the ids.
        context: what the page says of itself and of the campaign that led to it.
    """

    def __init__(self, client: httpx.Client, write_key: str, dice: Dice, context: dict[str, Any]) -> None:
        self._client, self._write_key, self._dice = client, write_key, dice
        self._context = {"library": BROWSER_LIBRARY, **context}
        self._anonymous_id = self._uuid()
        self.sent = 0

    def call(self, kind: str, *, user_id: str | None = None, ago: float = 0.0, **said: Any) -> None:
        """Send a call that happened `ago` seconds before now; raises httpx.HTTPError when it is not taken."""
        now = datetime.now(UTC)
        at = now - timedelta(seconds=ago)
        message = {
            "timestamp": rfc3339(at),
            "integrations": {},
            "type": kind,
            **said,
            "context": self._context,
            "messageId": f"ajs-next-{int(at.timestamp() * 1000)}-{self._uuid()}",
            "anonymousId": self._anonymous_id,
            "writeKey": self._write_key,
            "sentAt": rfc3339(now),
            "_metadata": {"bundled": ["Segment.io"], "unbundled": [], "bundledIds": []},
        }
        if user_id is not None:
            message["userId"] = user_id
        headers = {"content-type": "text/plain"}
        self._client.post(_PATHS[kind], content=orjson.dumps(message), headers=headers).raise_for_status()
        self.sent += 1

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))


def visit_site(
    client: httpx.Client, tenant: Tenant, profile: TenantProfile, write_key: str, dice: Dice, *, is_stale: bool
) -> tuple[int, str | None]:
    """A visit: some pages, and perhaps a lead; return the calls sent and the lead's id.

    Args:
        client: bound to the collector's address.
        tenant: whose site.
        profile: how its visitors come.
        write_key: of the site.
        dice: draws the visit.
        is_stale: the visitor has a page from before the tracking plan, and sends what the plan does not know.
    """
    channel = dice.pick(profile.channels)
    path = dice.choice(tuple(PAGES))
    browser = Browser(client, write_key, dice, _context(tenant, profile, channel, path, dice))
    for number, page in enumerate([path, *dice.sample(tuple(PAGES), 2)]):
        url = f"https://{profile.site}{page}"
        properties = {"path": page, "url": url, "title": PAGES[page], "name": PAGES[page]}
        browser.call("page", name=PAGES[page], properties=properties, ago=40.0 - 10 * number)
    if is_stale:
        browser.call("track", event="quote.requested", properties={"page": path}, ago=6)
    if not dice.chance(0.5):
        return browser.sent, None
    lead = dice.name("led")
    _become_lead(browser, tenant, lead, channel, path)
    return browser.sent, lead


def _become_lead(browser: Browser, tenant: Tenant, lead: str, channel: str, path: str) -> None:
    created = {
        "schema_version": 1,
        "tenant_id": tenant.tenant_id,
        "lead_id": lead,
        "channel": channel,
        "created_at": rfc3339(datetime.now(UTC)),
        "landing_path": path,
        "company_country": tenant.country,
    }
    browser.call("identify", user_id=lead, traits={"company_country": tenant.country}, ago=4)
    browser.call("track", user_id=lead, event="lead.created", properties=created, ago=3)


def use_app(client: httpx.Client, tenant: Tenant, write_key: str, dice: Dice) -> int:
    """Somebody goes through the booking flow, perhaps not to its end; return the calls sent."""
    browser = Browser(client, write_key, dice, {"timezone": tenant.time_zone})
    user, run = dice.name("usr"), dice.name("run")
    last = dice.randint(1, len(_STEPS))
    for number, step in enumerate(_STEPS[:last]):
        properties = {
            "schema_version": 1,
            "tenant_id": tenant.tenant_id,
            "flow": "booking",
            "step": step,
            "outcome": "completed" if number + 1 < len(_STEPS[:last]) or last == len(_STEPS) else "abandoned",
            "flow_run_id": run,
            "duration_ms": round(dice.skewed(9_000, 0.5), 1),
        }
        browser.call("track", user_id=user, event="ui.flow_step", properties=properties, ago=20.0 - 4 * number)
    return browser.sent


def _context(tenant: Tenant, profile: TenantProfile, channel: str, path: str, dice: Dice) -> dict[str, Any]:
    context: dict[str, Any] = {
        "timezone": tenant.time_zone,
        "page": {"path": path, "url": f"https://{profile.site}{path}", "referrer": REFERRERS.get(channel, "")},
    }
    if channel in TAGS:
        source, medium, names = TAGS[channel]
        context["campaign"] = {"source": source, "medium": medium, "name": dice.choice(names)}
    return context
