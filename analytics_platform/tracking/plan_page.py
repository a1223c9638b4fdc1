"""The tracking plan as a page for people: one HTML file that opens without a network.

Everything comes from the catalogue; the content-security policy allows the page's one script and one style sheet, by
their hashes, and nothing else. The markup lies in `templates/`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from analytics_platform.catalog import Catalog, Event, Field
from analytics_platform.tracking.plan import DEFAULT_MAX_LENGTH

_ROOM = "analytics_platform.tracking"
_MOMENT = "2026-03-27T14:05:00+01:00"

#: Values that read better in an example than the field's own name.
_WORDS = {"company_country": "NL", "method": "GET", "route": "/bookings/{booking_id}", "landing_path": "/pricing"}
_NUMBERS = {"status": 200, "score": 9, "schema_version": 1, "reopen_count": 1}
_DEFAULT_NUMBER = 12
_DEFAULT_MONEY = 125_000


def render_plan_page(catalog: Catalog) -> str:
    """Return the page; the same catalogue gives the same text."""
    script, style = (_template_text(f"plan_page.{kind}") for kind in ("js", "css"))
    environment = Environment(
        loader=PackageLoader(_ROOM),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("plan_page.html.j2").render(
        streams=[_stream(catalog, name) for name in catalog.streams],
        event_count=len(catalog.events),
        script=Markup(script),  # noqa: S704 -- our own file
        style=Markup(style),  # noqa: S704
        policy=_policy(script, style),
    )


def example_message(event: Event) -> dict[str, Any]:
    """A track call that the plan accepts, with every field that the event may carry."""
    return {
        "type": "track",
        "event": event.name,
        "messageId": f"example-{event.table_name}",
        "anonymousId": "visitor-1042",
        "timestamp": _MOMENT,
        "properties": {field.name: _example(field) for field in event.all_fields},
    }


def _stream(catalog: Catalog, name: str) -> dict[str, Any]:
    stream = catalog.streams[name]
    owner = catalog.owners[stream.owner]
    return {
        "name": name,
        "title": stream.title,
        "description": stream.description,
        "owner": f"{owner.title} ({owner.slack_channel})",
        "sla_tier": stream.sla_tier,
        "retention_class": stream.retention_class,
        "events": [_event(event) for event in stream.events],
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "name": event.name,
        "anchor": event.table_name,
        "title": event.title,
        "description": event.description,
        "emitted_by": [emitter.replace("_", " ") for emitter in event.emitted_by],
        "feeds": [measure.replace("_", " ") for measure in event.feeds],
        "versions": ", ".join(str(version) for version in event.schema_versions),
        "occurred_at": event.occurred_at,
        "fields": sorted((_field(field, event) for field in event.all_fields), key=lambda field: bool(field["common"])),
        "example": json.dumps(example_message(event), indent=2),
        "words": " ".join([event.name, event.title, event.description, *(field.name for field in event.all_fields)]),
    }


def _field(field: Field, event: Event) -> dict[str, Any]:
    own = any(each.name == field.name for each in event.fields)
    return {
        "name": field.name,
        "type": field.type + (" or date" if field.date_allowed else ""),
        "required": field.required,
        "pii": field.pii,
        "description": field.description,
        "allowed": field.enum or (),
        "limits": _limits(field),
        "common": not own,
    }


def _limits(field: Field) -> str:
    """What narrows a field's values, in words."""
    if field.enum is not None:
        return ""
    said = {"unit": field.unit, "at least": field.minimum, "at most": field.maximum}
    lines = [f"{word} {value}" for word, value in said.items() if value is not None]
    if field.type == "string":
        lines.append(f"up to {field.max_length or DEFAULT_MAX_LENGTH} characters")
    return ", ".join(lines)


def _example(field: Field) -> str | int | bool:
    if field.enum is not None:
        return field.enum[0]
    if field.type in ("integer", "number"):
        return _number(field)
    by_type: dict[str, str | bool] = {
        "id": f"{field.name.removesuffix('_id')}-1042",
        "ref": f"{field.name.removesuffix('_ref')}-7f3a",
        "boolean": True,
        "timestamp": _MOMENT,
        "currency": "EUR",
    }
    return by_type.get(field.type, _WORDS.get(field.name, field.name.replace("_", " ")))


def _number(field: Field) -> int:
    usual = _NUMBERS.get(field.name, _DEFAULT_MONEY if field.unit == "minor" else _DEFAULT_NUMBER)
    low = usual if field.minimum is None else max(usual, field.minimum)
    return low if field.maximum is None else min(low, field.maximum)


def _template_text(name: str) -> str:
    return (files(_ROOM) / "templates" / name).read_text(encoding="utf-8")


def _policy(script: str, style: str) -> str:
    return f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
