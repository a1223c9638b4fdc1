"""Write keys: list, create, rotate, revoke. A key's text is shown once, when it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import Tenant, as_json, read_catalog, read_settings

if TYPE_CHECKING:
    from analytics_platform.intake.key_registry import KeyRegistry, RegisteredKey

_KINDS = ("server", "browser", "scanner", "import")
_SITES = ("product", "marketing")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}

_PLACES = {
    "server": "the service's secrets; it sends with Client(KEY, host=…) to the collector's URL",
    "browser": "the page's load({writeKey: KEY}); visitors can read it, so it can only send, and only as this tenant",
    "scanner": "the device management's secrets; the scanner's emitter sends with it",
    "import": "the job that sends old events over HTTP: with this key they may be older than 30 days",
}


class Span(click.ParamType):  # type: ignore[type-arg]
    """A span of time written as 7d, 12h or 30m."""

    name = "span"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span, or wrong usage."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,4})([dhm])", value)
        if match is None:
            self.fail(f"{value!r} is not a span of time; write it as 7d, 12h or 30m", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group(cls=Group)
def keys() -> None:
    """Keys that producers send with: whose events they are, and until when they are taken in."""


@keys.command("list")
@click.option("--tenant", type=Tenant(), help="Only this tenant's.")
@click.option("--all", "everything", is_flag=True, help="Also expired and revoked ones.")
@as_json
def list_(tenant: str | None, everything: bool, as_json: bool) -> None:
    """Show keys by tenant and name; their text is kept nowhere.

    Examples:
        analytics keys list
        analytics keys list --tenant delta-events --all
    """
    now = datetime.now(UTC)
    found = [key for key in _registry().all_keys() if tenant in (None, key.tenant)]
    shown = sorted((key for key in found if everything or key.state(now) not in ("expired", "revoked")), key=_order)
    show({"keys": [_told(key, now) for key in shown]}, as_json, [_line(key, now) for key in shown] or ["No keys"])


@keys.command()
@click.argument("tenant", type=Tenant())
@click.argument("name")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What sends: a browser's clock is corrected.")
@click.option("--site", type=click.Choice(_SITES), default="product", show_default=True, help="Whose page views.")
@click.option("--events-per-second", type=click.IntRange(min=1), help="A limit of its own.")
@as_json
def create(tenant: str, name: str, kind: str, site: str, events_per_second: int | None, as_json: bool) -> None:
    """Make a key for a producer and show it, this once.

    Examples:
        analytics keys create delta-events checkout --kind server
        analytics keys create delta-events website --kind browser --site marketing
    """
    now = datetime.now(UTC)
    key, plain = _registry().create(tenant, name, kind, site, now=now, events_per_second=events_per_second)
    show({**_told(key, now), "write_key": plain}, as_json, _handed_over(key, plain))


@keys.command()
@click.argument("tenant", type=Tenant())
@click.argument("name")
@click.option("--overlap", type=Span(), default="7d", show_default=True, help="How long the former key still works.")
@as_json
def rotate(tenant: str, name: str, overlap: timedelta, as_json: bool) -> None:
    """Make a new key of the same name and let the former one expire.

    Examples:
        analytics keys rotate delta-events checkout --overlap 7d
    """
    now = datetime.now(UTC)
    key, plain, former = _registry().rotate(tenant, name, overlap=overlap, now=now)
    ends = [f"The former key {each.fingerprint} works until {each.expires_at:%Y-%m-%d %H:%M} UTC" for each in former]
    answer = {**_told(key, now), "write_key": plain, "former": [_told(each, now) for each in former]}
    show(answer, as_json, [*_handed_over(key, plain), *ends])


@keys.command()
@click.argument("tenant", type=Tenant())
@click.argument("name")
@click.option("--fingerprint", help="Only the key with this fingerprint; else all of the name.")
@as_json
def revoke(tenant: str, name: str, fingerprint: str | None, as_json: bool) -> None:
    """Make a key invalid at once; producers that still send with it are told 401 and lose their events.

    Examples:
        analytics keys revoke delta-events checkout
    """
    now = datetime.now(UTC)
    revoked = _registry().revoke(tenant, name, now=now, fingerprint=fingerprint)
    lines = [f"Revoked {key.tenant} {key.name} ({key.fingerprint}); collectors know within a second" for key in revoked]
    show({"revoked": [_told(key, now) for key in revoked]}, as_json, lines)


def _registry() -> KeyRegistry:
    from analytics_platform.intake.key_registry import KeyRegistry

    return KeyRegistry(read_catalog(), read_settings().write_keys_file)


def _order(key: RegisteredKey) -> tuple[str, str, str]:
    return key.tenant, key.name, key.created_at.isoformat() if key.created_at else ""


def _told(key: RegisteredKey, now: datetime) -> Mapping[str, Any]:
    told = key.model_dump(exclude={"sha256"}, mode="json")
    return {**told, "fingerprint": key.fingerprint, "state": key.state(now)}


def _line(key: RegisteredKey, now: datetime) -> str:
    until = f" until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at and key.state(now) == "expiring" else ""
    limit = f", at most {key.events_per_second:,} events/s" if key.events_per_second else ""
    what = f"{key.kind}, {key.site} site{limit}"
    return f"{key.tenant:<20} {key.name:<20} {key.fingerprint}  {key.state(now)}{until}  ({what})"


def _handed_over(key: RegisteredKey, plain: str) -> list[str]:
    return [
        f"The key of {key.tenant} {key.name} ({key.kind}, {key.site} site); it is shown this once:",
        "",
        f"  {plain}",
        "",
        f"Put it into {_PLACES[key.kind]}.",
    ]
