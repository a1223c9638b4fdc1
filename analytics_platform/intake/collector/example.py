"""A first event to send by hand: what `analytics up` shows beside the collector's address."""

from __future__ import annotations

import shlex

import orjson

from analytics_platform.catalog import Catalog

_PLACEHOLDER = "WRITE_KEY"
# Ends the quoted text, lets the shell put in the seconds, and goes on: each time it is pasted it is a new event.
_NOW = "'$(date +%s)'"


def example_curl(url: str, catalog: Catalog) -> str:
    """A command that sends one sound event as a tenant of the demo, or with a key that is still to be filled in."""
    for name in catalog.tenants:
        key = f"demo-{name}-server"
        if catalog.find_write_key(key) is not None:
            return _curl(url, key, name)
    return _curl(url, _PLACEHOLDER, next(iter(catalog.tenants)))


def _curl(url: str, key: str, tenant: str) -> str:
    properties = {
        "schema_version": 1,
        "tenant_id": tenant,
        "flow": "booking",
        "step": "dates",
        "outcome": "completed",
        "flow_run_id": "by-hand",
    }
    message = {"event": "ui.flow_step", "userId": "usr_1", "messageId": "by-hand-NOW", "properties": properties}
    body = shlex.quote(orjson.dumps(message).decode()).replace("NOW", _NOW)
    return f"curl -u {key}: {url}/v1/track -H 'content-type: application/json' -d {body}"
