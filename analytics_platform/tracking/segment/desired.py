"""What the catalogue wants of the Segment workspace: one tracking plan, a source per tenant, site and kind of key.

Scanners and imports send straight to the collector, so their keys have no source. A source has a destination when the
deployment gave the collector its webhook's secret (`collector_webhooks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analytics_platform.catalog import Catalog, Event
from analytics_platform.errors import AnalyticsError
from analytics_platform.tracking.plan import JsonSchema, event_schema

PLAN_NAME = "Analytics platform"
PLAN_DESCRIPTION = "Written by `analytics segment apply` from the catalogue; changes made here are taken back."

#: Segment's own names (catalogue slugs) of what a kind of key sends with.
SOURCE_TYPES: Mapping[str, str] = {"browser": "javascript", "server": "http-api"}

#: Segment's version of a rule; ours is the property `schema_version`, which the rule's schema lists.
RULE_VERSION = 1


class UnknownWebhookKeyError(AnalyticsError):
    """A webhook of the settings names a write key that stands for no source."""


@dataclass(frozen=True)
class WebhookSecret:
    """A write key of ours and the secret that Segment signs with for it."""

    write_key: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Source:
    """A source as it should be; `secret` is None where nothing sends to our collector from it."""

    slug: str
    source_type: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Desired:
    """The workspace as the catalogue wants it; `rules` by event, `webhook_url` is where destinations send."""

    rules: Mapping[str, Mapping[str, Any]]
    sources: Sequence[Source]
    webhook_url: str | None


def desired_workspace(catalog: Catalog, webhook_url: str | None, webhooks: Sequence[WebhookSecret] = ()) -> Desired:
    """Derive the workspace from the catalogue.

    Raises:
        UnknownWebhookKeyError: a webhook's write key is none of a browser or a server in the catalogue.
    """
    secrets = {_slug_of(catalog, webhook, number): webhook.secret for number, webhook in enumerate(webhooks)}
    slugs = {
        _slug(tenant.tenant_id, key.site, key.kind): SOURCE_TYPES[key.kind]
        for tenant in catalog.tenants.values()
        for key in tenant.write_keys
        if key.kind in SOURCE_TYPES
    }
    sources = [Source(slug, source_type, secrets.get(slug)) for slug, source_type in sorted(slugs.items())]
    return Desired({name: rule(event) for name, event in catalog.events.items()}, sources, webhook_url)


def rule(event: Event) -> Mapping[str, Any]:
    """An event as a rule of Segment Protocols: its schema speaks about the whole message."""
    return {"type": "TRACK", "key": event.name, "version": RULE_VERSION, "jsonSchema": _message_schema(event)}


def _message_schema(event: Event) -> JsonSchema:
    schema = event_schema(event)
    properties = {key: schema[key] for key in ("type", "properties", "required", "additionalProperties")}
    return {
        "$schema": schema["$schema"],
        "description": event.description,
        "type": "object",
        "properties": {"context": {}, "traits": {}, "properties": properties},
        "required": ["properties"],
    }


def _slug(tenant_id: str, site: str, kind: str) -> str:
    return f"{tenant_id}-{site}-{kind}"


def _slug_of(catalog: Catalog, webhook: WebhookSecret, number: int) -> str:
    found = catalog.find_write_key(webhook.write_key)
    if found is None or found[1].kind not in SOURCE_TYPES:
        raise UnknownWebhookKeyError(
            f"collector_webhooks.{number}.write_key: no browser's or server's key of the catalogue; give the plain "
            "text of a registered key"
        )
    tenant, key = found
    return _slug(tenant.tenant_id, key.site, key.kind)
