"""A home that hostile strings went through end to end: imported in every place that a client writes, and run for a day.

Every secret that a deployment may have is set to a canary, and what would send it somewhere is answered by nobody, so
that the ways that fail are walked too. Belongs here: the messages, the settings and the one run. Stays out: what may
not come of them, which the tests say.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from typing import Any

import planted
import yaml
from click.testing import CliRunner, Result
from hostile_strings import HOSTILE

from analytics_platform.catalog import Catalog, Event, Field, load_catalog
from analytics_platform.catalog.tenants import hash_write_key
from analytics_platform.cli import main
from analytics_platform.intake.envelope import MAX_ID_CHARACTERS

DAY = "2026-03-02"
AT = f"{DAY}T10:00:00+01:00"
TENANT, OTHER, ODD = "brabant-rental", "albion-stage", "odd-names"
ODD_NAME = "</script><script>window.planted=1</script><!channel> =1+1 #panic()"
"""What an operator has called a tenant: it stands on every page, in every message and in the reports."""

NOBODY = "http://127.0.0.1:9"
"""Nobody listens there (the discard service's port), so whatever is sent fails."""

SECRETS: Mapping[str, str] = {
    "slack_token": "xoxb-canaryslack7731",
    "segment_token": "canarysegment7732",
    "rbac_token": "canaryrbac7733",
    "rbac_reference_key": "canaryreference7734x",
    "dagster_postgres_password": "canarypostgres7735",
    "snowflake_private_key_passphrase": "canarysnowflake7736",
    "power_bi_client_secret": "canarypowerbi7737",
    "webhook_secret": "canarywebhook7738",
    "webhook_write_key": "canarywebhookkey7739",
    "write_key": "canarywritekey7740",
    "aws_key": "canaryawssecret7741",
    "aws_session": "canaryawssession7742",
    "rbac_password": "canarydatabase7743",
}
"""A canary for each secret, by what it is; none is a word of anything else."""

ENDS = ("subscription.cancelled", "invoice.voided", "invoice.written_off", "booking.cancelled", "transport.cancelled")
"""Of something else than what the other events are about, or nothing would be left to show."""

_NUMBER = {"integer": 200, "number": 200}


@dataclass(frozen=True)
class HostileHome:
    """The home, and what its commands have said.

    Attributes:
        path: of the home.
        said: everything that was written to standard output and error, and to this process's log.
        imported: the import's account.
        report: the run's.
    """

    path: Path
    said: str
    imported: dict[str, Any]
    report: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.path)

    def called(self, *arguments: str) -> str:
        """What a command writes to standard output and error, and what it raised."""
        done = CliRunner().invoke(main, arguments, env=self.environment)
        raised = done.exception if not isinstance(done.exception, SystemExit) else None
        return done.output + ("".join(format_exception(raised)) if raised else "")

    def rows(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.called("sql", query, "--format", "json"))
        return found


def environment(home: Path) -> dict[str, str]:
    """The variables of a deployment that has every secret."""
    webhook = {"write_key": SECRETS["webhook_write_key"], "secret": SECRETS["webhook_secret"]}
    return {
        "ANALYTICS_HOME": str(home),
        "ANALYTICS_TENANTS_FILE": str(home.parent / "tenants.yaml"),
        "ANALYTICS_SLACK_TOKEN": SECRETS["slack_token"],
        "ANALYTICS_SLACK_API_URL": f"{NOBODY}/",
        "ANALYTICS_SEGMENT_TOKEN": SECRETS["segment_token"],
        "ANALYTICS_SEGMENT_API_URL": NOBODY,
        "ANALYTICS_RBAC_SOURCE": f"http://rbac:{SECRETS['rbac_password']}@127.0.0.1:9/members.json",
        "ANALYTICS_RBAC_TOKEN": SECRETS["rbac_token"],
        "ANALYTICS_RBAC_REFERENCE_KEY": SECRETS["rbac_reference_key"],
        "ANALYTICS_DAGSTER_POSTGRES_PASSWORD": SECRETS["dagster_postgres_password"],
        "ANALYTICS_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": SECRETS["snowflake_private_key_passphrase"],
        "ANALYTICS_COLLECTOR_WEBHOOKS": json.dumps([webhook]),
        "ANALYTICS_POWER_BI_CLIENT_SECRET": SECRETS["power_bi_client_secret"],
        "ANALYTICS_POWER_BI_API_URL": NOBODY,
        "ANALYTICS_POWER_BI_LOGIN_URL": NOBODY,
        **{f"ANALYTICS_POWER_BI_{name}_ID": f"{number:08}-0000-0000-0000-000000000000" for number, name in _POWER_BI},
        "AWS_ACCESS_KEY_ID": "AKIACANARY",
        "AWS_SECRET_ACCESS_KEY": SECRETS["aws_key"],
        "AWS_SESSION_TOKEN": SECRETS["aws_session"],
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }


_POWER_BI = tuple(enumerate(("WORKSPACE", "DATASET", "TENANT", "CLIENT")))


def tenants() -> list[dict[str, Any]]:
    """A tenant with a hostile name, and a write key that is a canary."""
    key = {"sha256": hash_write_key(SECRETS["write_key"]), "kind": "import", "site": "marketing"}
    tenant = {
        "tenant_id": ODD,
        "name": ODD_NAME,
        "country": "NL",
        "time_zone": "Europe/Amsterdam",
        "currency": "EUR",
        "financial_year_end": "12-31",
        "business_hours": {1: {"opens": "09:00", "closes": "17:30"}},
        "write_keys": {"site": key},
    }
    return [tenant]


def messages(catalog: Catalog) -> Iterator[bytes]:
    """Every planned event and every call with every hostile string wherever the client may write text."""
    for name, text in HOSTILE.items():
        for event in catalog.events.values():
            for tenant in (TENANT, ODD):
                yield _line(_planned(event, name, text, tenant), name, text)
        for kind in ("page", "identify", "group", "alias", "screen"):
            yield _line(_call(kind, name, text), name, text)
        yield from (_line(each, name, text) for each in _refused(name, text))
    yield b'{"type":"track","event":"\\ud800","messageId":"\\udfff"}'
    for person in planted.messages(OTHER):
        key = {} if person["type"] == "track" else {"writeKey": SECRETS["write_key"]}
        yield json.dumps(person | key).replace(planted.AT, AT).encode()


def _line(message: dict[str, Any], name: str, text: str) -> bytes:
    who = text if text.isprintable() else name
    said = {"messageId": f"{who}-{message['type']}-{message.get('event')}"[:MAX_ID_CHARACTERS], "userId": who}
    context = {text: text, "page": {"url": text, "referrer": text}, "campaign": dict.fromkeys(_CAMPAIGN, text)}
    return json.dumps({**said, "anonymousId": who, "timestamp": AT, "context": context, **message}).encode()


_CAMPAIGN = ("name", "source", "medium", "term", "content")


def _planned(event: Event, name: str, text: str, tenant: str) -> dict[str, Any]:
    said = {field.name: _value(field, event, name, text) for field in event.all_fields}
    properties = {**said, "schema_version": event.schema_versions[-1], "tenant_id": tenant}
    return {"type": "track", "event": event.name, "properties": properties}


def _value(field: Field, event: Event, name: str, text: str) -> Any:
    if field.enum is not None:
        return field.enum[0]
    if field.type == "string":
        return text
    if field.type in _NUMBER:
        return max(field.minimum or 0, min(_NUMBER[field.type], field.maximum or 200))
    by_type = {"timestamp": AT, "currency": "EUR", "boolean": True}
    whose = f"{name}-ended" if event.name in ENDS else name
    return by_type.get(field.type, f"{whose}-{field.name}")


def _call(kind: str, name: str, text: str) -> dict[str, Any]:
    """A call that has no entry in the plan, from the marketing site: all of it is the client's own."""
    said = {text: text, "title": text, "path": text, "url": text, "nested": {text: [text, {text: text}]}}
    return {
        "type": kind,
        "writeKey": SECRETS["write_key"],
        "name": text,
        "groupId": name,
        "previousId": text,
        "properties": said,
        "traits": {"plan": text, text: text},
        "integrations": {text: text},
    }


def _refused(name: str, text: str) -> Iterator[dict[str, Any]]:
    """What becomes a dead letter: with the string as event, as type, as tenant, as a property's name, as a key."""
    properties = {"schema_version": 1, "tenant_id": TENANT}
    yield {"type": "track", "event": text, "properties": properties}
    yield {"type": text, "event": name, "properties": properties}
    yield {"type": "track", "event": "ui.flow_step", "properties": {**properties, text: text, "tenant_id": TENANT}}
    yield {"type": "track", "event": "ui.flow_step", "properties": {"tenant_id": text}}
    yield {"type": "page", "writeKey": text, "timestamp": text}


def prepared(folder: Path) -> HostileHome:
    """Import, run the day, and write the week's report; `folder` holds the home and what it was made from."""
    (folder / "tenants.yaml").write_text(yaml.safe_dump(tenants()))
    source = folder / "from a client.ndjson.gz"
    catalog = load_catalog(folder / "tenants.yaml")
    source.write_bytes(gzip.compress(b"\n".join(messages(catalog))))
    home = folder / "home"
    imported = _done(home, "import", str(source), "--json")
    ran = _done(home, "run", "--from", DAY, "--to", DAY, "--json")
    reported = _done(home, "report", "build", DAY, "--json")
    said = "\n".join(each.output for each in (imported, ran, reported))
    return HostileHome(home, said, json.loads(imported.stdout), json.loads(ran.stdout))


def _done(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment(home), catch_exceptions=False)
