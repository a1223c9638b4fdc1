"""A fact as the message that a real producer sends: one form for Segment's Python client, one for its browser client.

Belongs here: envelope, ids and JSON. Stays out: delays, repeats and faults (`delivery`). The forms follow the
recorded requests of segment-analytics-python 2.4.0 and @segment/analytics-next 1.84.3. Ids are name-based UUIDs of
the seed and the content, so equal facts of equal seeds have equal ids, whatever else was simulated.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from analytics_platform.catalog import Tenant, hash_write_key
from analytics_platform.demo.clock import rfc3339
from analytics_platform.demo.journal import Fact, Source, World

Message = dict[str, Any]

_PYTHON_LIBRARY = {"name": "analytics-python", "version": "2.4.0"}
BROWSER_LIBRARY = {"name": "analytics.js", "version": "npm:next-1.84.3"}
_KEY_NAMES = {
    Source.BACKEND: "server",
    Source.TELEMETRY: "server",
    Source.SCANNER: "scanner",
    Source.APP: "browser",
    Source.SITE: "marketing",
}
_LOCALES = {"NL": "nl-NL", "GB": "en-GB"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is sent: `identity` is its UUID, also the source of its luck on the way."""

    at: datetime
    source: Source
    identity: uuid.UUID
    message: Message


class Writer:
    """Writes the messages of one tenant."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._namespace = uuid.uuid5(uuid.NAMESPACE_URL, f"demo/{world.seed}/{world.tenant.tenant_id}")
        self._write_keys = _demo_write_keys(world.tenant)

    def draft(self, fact: Fact) -> Draft:
        """The message of a fact, complete but for `sentAt` and `receivedAt`."""
        properties = self._properties(fact)
        content = orjson.dumps([rfc3339(fact.at), fact.kind, fact.event, fact.user, properties])
        identity = uuid.uuid5(self._namespace, content.decode())
        if fact.source in (Source.APP, Source.SITE):
            message = self._from_browser(fact, properties, identity)
        else:
            message = self._from_python(fact, properties, identity)
        return Draft(fact.at, fact.source, identity, {**message, **self._write_keys[fact.source]})

    def _properties(self, fact: Fact) -> Message:
        common: Message = {"tenant_id": self._world.tenant.tenant_id}
        if fact.kind == "track":
            common = {"schema_version": 1, **common}
        own = {
            name: rfc3339(value) if isinstance(value, datetime) else value for name, value in fact.properties.items()
        }
        return {**common, **own}

    def _from_python(self, fact: Fact, properties: Message, identity: uuid.UUID) -> Message:
        return {
            "integrations": {},
            "anonymousId": None,
            "properties": properties,
            "timestamp": rfc3339(fact.at),
            "context": {"library": _PYTHON_LIBRARY},
            "type": "track",
            "userId": fact.user or f"{self._world.tenant.tenant_id}-{fact.source}",
            "event": fact.event,
            "messageId": str(identity),
        }

    def _from_browser(self, fact: Fact, properties: Message, identity: uuid.UUID) -> Message:
        message: Message = {
            "timestamp": rfc3339(fact.at),
            "integrations": {"Segment.io": True},
            "type": fact.kind,
            **self._browser_body(fact, properties),
            "context": self._browser_context(fact),
            "messageId": f"ajs-next-{int(fact.at.timestamp() * 1000)}-{identity}",
            "anonymousId": fact.visitor,
        }
        if fact.user is not None:
            message["userId"] = fact.user
        return message

    def _browser_body(self, fact: Fact, properties: Message) -> Message:
        if fact.kind == "identify":
            return {"traits": {"company_country": self._world.tenant.country}, "properties": properties}
        if fact.kind == "page":
            return {"name": fact.event, "properties": {**properties, "name": fact.event}}
        return {"event": fact.event, "properties": properties}

    def _browser_context(self, fact: Fact) -> Message:
        context: Message = {
            "locale": _LOCALES.get(self._world.tenant.country, "en-US"),
            "library": BROWSER_LIBRARY,
            "timezone": self._world.tenant.time_zone,
        }
        if fact.kind == "page":
            keys = ("path", "referrer", "search", "title", "url")
            context["page"] = {key: fact.properties[key] for key in keys if key in fact.properties}
        if fact.campaign:
            context["campaign"] = dict(fact.campaign)
        return context


def _demo_write_keys(tenant: Tenant) -> dict[Source, Message]:
    """By source, the `writeKey` that its messages carry: the demo key, unless the tenant's registry lacks it.

    The site's key decides that page calls are marketing's; without it an import would file them under the product.
    """
    registered = {key.sha256 for key in tenant.write_keys}
    keys: dict[Source, Message] = {}
    for source, name in _KEY_NAMES.items():
        key = f"demo-{tenant.tenant_id}-{name}"
        keys[source] = {"writeKey": key} if hash_write_key(key) in registered else {}
    return keys
