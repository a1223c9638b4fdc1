"""Slack: whether the token is good for what is done with it, and whether every channel can be written to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from analytics_platform.catalog import Catalog
from analytics_platform.doctor.clock import offset
from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, warn
from analytics_platform.settings import Settings

_TIMEOUT_SECONDS = 10
_PAGE = 1000
_WRITES = frozenset({"chat:write"})
_SHOWS = frozenset({"files:write"})
_FINDS = frozenset({"channels:read", "channels:history"})
_TOKEN = "renew the token (OAuth & Permissions of the app) and set ANALYTICS_SLACK_TOKEN"  # noqa: S105
_SCOPES = "add the scopes under OAuth & Permissions of the app, install it again, and set the new token"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Token, clock, scopes, channels."""
    settings = deployment.settings
    if settings.slack_token is None:
        yield skipped("Slack", "slack_token is not set; messages stay in the outbox, for `analytics alerts`")
        return
    client = WebClient(
        settings.slack_token.get_secret_value(), settings.slack_api_url, timeout=_TIMEOUT_SECONDS, retry_handlers=[]
    )
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        yield fail("Slack", f"it does not take the token ({_code(error)})", _TOKEN)
        return
    except OSError as error:
        found = f"{settings.slack_api_url} does not answer ({getattr(error, 'reason', None) or type(error).__name__})"
        yield fail("Slack", found, "look at slack_api_url, the network policy and the proxy")
        return
    yield ok("Slack", f"the token is {answer.get('user')}'s in {answer.get('team')}")
    yield from _clock(answer)
    yield from _scopes(answer)
    yield from _channels(client, wanted_channels(settings, deployment.catalog))


def wanted_channels(settings: Settings, catalog: Catalog) -> dict[str, str]:
    """Channels that are written to, by name, each with whose it is."""
    wanted = {owner.slack_channel: f"owners.yaml: {name}" for name, owner in catalog.owners.items()}
    wanted |= {
        tenant.report_channel: f"report_channel of {tenant.tenant_id}"
        for tenant in catalog.tenants.values()
        if tenant.report_channel
    }
    if settings.executives_channel:
        wanted[settings.executives_channel] = "executives_channel"
    return wanted


def _clock(answer: SlackResponse) -> Iterator[Finding]:
    told = _header(answer, "date")
    if told:
        yield offset("Slack's clock", parsedate_to_datetime(told).astimezone(UTC), datetime.now(UTC))


def _scopes(answer: SlackResponse) -> Iterator[Finding]:
    told = _header(answer, "x-oauth-scopes")
    if not told:
        yield skipped("scopes", "Slack does not say which the token has")
        return
    held = {scope.strip() for scope in told.split(",")}
    if _WRITES - held:
        yield fail("scopes", "without chat:write no message can be posted", _SCOPES)
    missing = [
        f"{', '.join(sorted(scopes - held))} ({what})"
        for scopes, what in ((_SHOWS, "reports come without pictures"), (_FINDS, "a lost answer means a message twice"))
        if scopes - held
    ]
    if missing:
        yield warn("scopes", f"missing are {'; '.join(missing)}", _SCOPES)
    elif not _WRITES - held:
        yield ok("scopes", "all that are used")


def _channels(client: WebClient, wanted: Mapping[str, str]) -> Iterator[Finding]:
    try:
        there = _listed(client)
    except SlackApiError as error:
        yield warn("channels", f"they cannot be listed ({_code(error)})", _SCOPES)
        return
    good = 0
    for channel, whose in sorted(wanted.items()):
        is_member = there.get(channel.removeprefix("#"))
        if is_member is None:
            found = f"{channel} ({whose}) is not there, or private and the bot is not in it"
            yield fail("channels", found, f"make it and `/invite` the bot, or name another: {whose}")
        elif not is_member:
            yield fail("channels", f"the bot is not in {channel} ({whose})", f"write `/invite @the-bot` in {channel}")
        else:
            good += 1
    if good:
        yield ok("channels", f"the bot is in {good} of {len(wanted)}")


def _listed(client: WebClient) -> dict[str, bool]:
    """Whether the bot is in a channel, by its name; private ones only where it may see them."""
    try:
        return _pages(client, "public_channel,private_channel")
    except SlackApiError as error:
        if _code(error) != "missing_scope":
            raise
        return _pages(client, "public_channel")


def _pages(client: WebClient, types: str) -> dict[str, bool]:
    pages = client.conversations_list(types=types, exclude_archived=True, limit=_PAGE)
    return {str(each["name"]): bool(each.get("is_member")) for page in pages for each in page["channels"]}


def _header(answer: SlackResponse, name: str) -> str | None:
    return next((str(value) for key, value in answer.headers.items() if key.lower() == name), None)


def _code(error: SlackApiError) -> str:
    response = error.response
    return (
        str(response["error"])
        if isinstance(response, SlackResponse) and response.get("error")
        else "no answer of Slack"
    )
