"""The gate: judges one message, by the plan, its tenant, its clock, its size and its encoding. Pure, without I/O.

What it admits, it takes the direct identifiers out of (`identifiers`): they land sealed, beside the references that
have taken their place. And it lets in nobody who was erased: what happened before the erasure is refused, or lands
without its person where the law keeps the record of it.

It is the same for files and for HTTP. What differs is who vouches for the sender: over HTTP the write key of the
request alone names the tenant (`Gate.admit` is given its `key`); the operator of an import, who can write the lake
anyway, may name it, and may bring messages as old as history itself (`Gate.admit` is given none). What is refused says
which field was at fault and how to mend it, and never repeats a value, since that may be personal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Any

from analytics_platform.catalog import Catalog, Stream
from analytics_platform.errors import AnalyticsError
from analytics_platform.identities.keys import IdentityKeys, TenantKeys
from analytics_platform.identities.references import references
from analytics_platform.identities.severing import ids_of, severed
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.identities.table import sealed_identifiers
from analytics_platform.intake import envelope
from analytics_platform.intake.business_days import BusinessDays
from analytics_platform.intake.envelope import Refusal
from analytics_platform.intake.identifiers import Split, Splitter, Taken
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected, WriteKeyContext
from analytics_platform.intake.plan_check import PlanCheck, PlannedEvent, violation
from analytics_platform.intake.write_keys import WriteKeys
from analytics_platform.lake.schema import landing_line
from analytics_platform.tracking.plan import spec_call_stream

HISTORY_START = date(2022, 1, 1)
MAX_AHEAD = timedelta(minutes=5)
MAX_BEHIND = timedelta(days=30)

Removed = Callable[[str, str, date], bool]
"""Whether a stream's day of a tenant was removed."""

MAX_LANDED_BYTES = 900_000
"""A line of the landing; the raw build reads a little more at most."""

_PROJECT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEYS_REMEMBERED = 10_000
_IMPORT = "import"


class UnknownTenantError(AnalyticsError):
    """The tenant that an operator named is not registered."""


class Gate:
    """Judges messages by one catalogue.

    Args:
        catalog: plan and tenants.
        identities: the keys of references and seals.
        suppressed: who was erased, as it is known at the moment.
        tenant: the tenant that the operator of an import named, if any.
        history_start: the first day that an imported message may belong to.
        keys: the write keys by which imported messages are known; by default the catalogue's.
        removed: whether retention has removed a stream's day of a tenant; such a day takes nothing in any more.

    Raises:
        UnknownTenantError: `tenant` is not registered.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        identities: IdentityKeys,
        suppressed: Callable[[], Suppressions],
        tenant: str | None = None,
        history_start: date = HISTORY_START,
        keys: WriteKeys | None = None,
        removed: Removed = lambda stream, tenant, day: False,
    ) -> None:
        if tenant is not None and tenant not in catalog.tenants:
            known = ", ".join(sorted(catalog.tenants))
            raise UnknownTenantError(f"tenant {tenant!r} is not registered; known tenants: {known}")
        self._write_keys = keys or WriteKeys(catalog, None)
        self._tenant = tenant
        self._removed = removed
        self._identities, self._suppressed = identities, suppressed
        self._splitter = Splitter(catalog)
        self._severs = {name for name, stream in catalog.streams.items() if _severs(catalog, stream)}
        self._plan = PlanCheck(catalog)
        self._days = BusinessDays()
        self._zones = {name: entry.time_zone for name, entry in catalog.tenants.items()}
        self._history_start = history_start
        # A business day begins at most fourteen hours before the UTC day of the same date.
        self._earliest = datetime.combine(history_start, time(), UTC) - timedelta(hours=14)
        self._keys: dict[str, WriteKeyContext | None] = {}

    def admit(
        self,
        raw: bytes,
        *,
        received_at: datetime,
        key: WriteKeyContext | None = None,
        shared: Mapping[str, Any] | envelope.Shared | None = None,
    ) -> Admitted | Rejected:
        """Judge the bytes of one message.

        Args:
            raw: the message as it came, JSON in UTF-8.
            received_at: when it was taken in, in UTC; an imported message keeps the time that it carries, and this
                one only bounds it.
            key: the registered write key that the request came with; None for an import.
            shared: what the request said of all its messages (`envelope.complete`), weighed once for all of them
                where they are many (`envelope.weighed`).

        Raises:
            IdentityKeysError: the tenant's keys cannot be read, or its first ones not be written.
        """
        # What is known by the time that a message is refused says where its dead letter belongs.
        tenant: str | None = None
        day: date | None = None
        stream: str | None = None
        try:
            message = envelope.parsed(raw)
            of_all = envelope.weighed(shared) if shared else envelope.NOTHING_SHARED
            if of_all.kept:
                envelope.complete(message, of_all.kept)
            kind = envelope.call_type(message)
            message_id = envelope.message_id(message)
            properties = envelope.nested(message.get("properties"), "properties")
            sender = key or self._sender(message, properties)
            tenant = sender.tenant
            times = envelope.times(message, received_at, is_import=key is None, corrects=sender.kind == "browser")
            day = self._day(times.event_at, received_at, tenant)
            planned = self._plan.event(message.get("event")) if kind == "track" else None
            stream = planned.stream if planned else spec_call_stream(sender.site)
            envelope.sized(raw, of_all)
            envelope.bounded(raw, message, of_all)
            if planned is not None and not planned.is_valid(properties or {}):
                raise violation(planned, properties or {})
            self._same_tenant(message, properties, sender, is_import=key is None)
            placed = self._on_time(times, received_at, day, is_recent_only=key is not None and key.kind != "import")
            if self._removed(stream, tenant, placed):
                raise _past_retention(stream, placed)
            return self._landed(message, message_id, sender, placed, times, planned, stream)
        except Refusal as refusal:
            detail = self._splitter.search.masked(refusal.detail)  # names of events and properties are the sender's
            return Rejected(refusal.reason, detail, tenant, day, stream)

    def key_context(self, plain: str) -> WriteKeyContext | None:
        """What the registry says of a plain write key, valid or not; None when it is not registered."""
        if plain not in self._keys:
            if len(self._keys) >= _KEYS_REMEMBERED:
                self._keys.clear()
            self._keys[plain] = self._write_keys.registered(plain)
        return self._keys[plain]

    def _landed(
        self,
        message: dict[str, Any],
        message_id: str,
        sender: WriteKeyContext,
        day: date,
        times: envelope.Times,
        planned: PlannedEvent | None,
        stream: str,
    ) -> Admitted:
        keys, get = self._identities.of(sender.tenant), message.get
        call, event = message["type"], planned.name if planned else None
        said: tuple[Any, ...] = (call, get("event"), get("userId"), get("anonymousId"), times.original)
        parts = envelope.taken_apart(message, message_id)
        properties = parts.properties
        split = self._splitter.split(parts, event, keys)
        said += (properties, split.context.said, parts.traits, split.extra.said)
        payload_hash = envelope.payload_hash(said, keys.fingerprint_key)
        row = {
            "day": day,
            "tenant_id": sender.tenant,
            "stream": stream,
            "message_id": split.message_id,
            "type": call,
            "event": event,
            "schema_version": int(properties["schema_version"]) if planned and properties else None,
            "project_id": _project(split.properties),
            "user_id": split.user_id,
            "anonymous_id": split.anonymous_id,
            "event_at": times.event_at,
            "occurred_at": _occurred_at(planned, properties, times),
            "original_timestamp": times.original,
            "sent_at": times.sent_at,
            "received_at": times.received_at,
            "source": sender.source,
            "payload_hash": payload_hash,
            "properties": split.properties,
            "context": split.context.line,
            "traits": split.traits,
            "extra": split.extra.line,
            "identifiers": _sealed(keys, split.identifiers) if split.identifiers else None,
        }
        erased = self._suppressed()
        if sender.tenant in erased.by_tenant:
            row = self._without_the_erased(row, split, keys, erased)
        line = landing_line(row)
        if len(line) > MAX_LANDED_BYTES:
            detail = "traits: too many values to split off one by one; send what is needed only"
            raise Refusal(Reason.TOO_LARGE, detail)
        return Admitted(
            sender.tenant, day, stream, split.message_id, times.received_at, times.sent_at, payload_hash, line
        )

    def _without_the_erased(
        self, row: dict[str, Any], split: Split, keys: TenantKeys, erased: Suppressions
    ) -> dict[str, Any]:
        """The row without whom it speaks of and who was erased since; refused where nothing keeps it then.

        An erased person's ids are known by the references of every version that there was at the erasure, so those
        are what is asked for, whatever version stands in the row.
        """
        row |= {"context": split.context.value, "extra": split.extra.value}
        tenant, happened_at = keys.tenant, row["event_at"]
        stand_ins = erased.stand_ins(self._identities, tenant, ids_of(row), happened_at)
        for found, kind, value in split.identifiers:
            known_as = references(keys, kind, value)
            of_value = erased.stand_ins(self._identities, tenant, known_as, happened_at)
            if of_value:
                stand_ins[found] = next(iter(of_value.values()))
        if not stand_ins:
            return row
        if row["stream"] not in self._severs:
            detail = "the person whom the message speaks of was erased after it happened; do not send it again"
            raise Refusal(Reason.ERASED, detail)
        return severed(row, stand_ins)

    def _sender(self, message: dict[str, Any], properties: dict[str, Any] | None) -> WriteKeyContext:
        """Who sent an imported message: the tenant that the operator named, else its write key's, else its own word."""
        plain = message.get("writeKey")
        key = self.key_context(plain) if isinstance(plain, str) else None
        if key is not None and self._tenant in (None, key.tenant):
            return key
        tenant = self._tenant or (properties or {}).get("tenant_id")
        if not isinstance(tenant, str) or tenant not in self._zones:
            detail = "no registered tenant: name it to the import, or send its writeKey or properties.tenant_id"
            raise Refusal(Reason.UNKNOWN_TENANT, detail)
        return _importing(tenant)

    def _same_tenant(
        self,
        message: dict[str, Any],
        properties: dict[str, Any] | None,
        sender: WriteKeyContext,
        *,
        is_import: bool,
    ) -> None:
        """Refuse a message whose tenant is one thing by its sender and another by its own word or write key."""
        stated = properties.get("tenant_id") if properties else None
        if stated is not None and stated != sender.tenant:
            detail = f"properties.tenant_id: is not {sender.tenant}, whose key it came with; use each tenant's own"
            raise Refusal(Reason.TENANT_MISMATCH, detail)
        plain = message.get("writeKey")
        if not is_import or not isinstance(plain, str):
            return
        key = self.key_context(plain)
        if key is not None and key.tenant != sender.tenant:
            detail = f"writeKey: belongs to another tenant than {sender.tenant}, whom the import names"
            raise Refusal(Reason.TENANT_MISMATCH, detail)

    def _day(self, event_at: datetime, now: datetime, tenant: str) -> date | None:
        """The business day of a message; None where the lake has no partition for it."""
        if not self._earliest <= event_at <= now + MAX_AHEAD:
            return None
        day = self._days.day(event_at, self._zones[tenant])
        return day if day >= self._history_start else None

    def _on_time(self, times: envelope.Times, now: datetime, day: date | None, *, is_recent_only: bool) -> date:
        """The business day of a message whose clock can be believed."""
        latest = now + MAX_AHEAD
        if times.event_at > latest or times.received_at > latest:
            name = "timestamp" if times.event_at > latest else "receivedAt"
            raise Refusal(Reason.TIME_SUSPECT, f"{name}: lies more than 5 minutes ahead; set the sender's clock")
        if day is None or times.received_at < self._earliest:
            name = "timestamp" if day is None else "receivedAt"
            detail = f"{name}: lies before history, which starts on {self._history_start}; set the sender's clock"
            raise Refusal(Reason.TIME_SUSPECT, detail)
        if is_recent_only and times.event_at < now - MAX_BEHIND:
            detail = f"timestamp: lies more than {MAX_BEHIND.days} days back; send old messages with an import key"
            raise Refusal(Reason.TIME_SUSPECT, detail)
        return day


@cache
def _importing(tenant: str) -> WriteKeyContext:
    """The sender of messages that came without a registered write key; tenants are those of the catalogue."""
    return WriteKeyContext(tenant, _IMPORT, "import", "product")


@lru_cache(maxsize=4_096)
def _sealed(keys: TenantKeys, identifiers: tuple[Taken, ...]) -> str | None:
    """The same person's device and address come with message after message."""
    return sealed_identifiers(keys, identifiers)


def _severs(catalog: Catalog, stream: Stream) -> bool:
    """Whether rows of a stream stay without their person when that person is erased."""
    return catalog.retention_classes[stream.retention_class].on_erasure == "sever"


def _past_retention(stream: str, day: date) -> Refusal:
    """What retention would have to remove again is refused; older days that it never reached are taken in."""
    detail = f"timestamp: {stream} of {day} was removed at the end of its term; do not send it again"
    return Refusal(Reason.PAST_RETENTION, detail)


def _project(properties: dict[str, Any] | None) -> str | None:
    """The project of a planned event, and of a spec call that happens to name one as the plan would have it."""
    found = properties.get("project_id") if properties else None
    return found if isinstance(found, str) and _PROJECT.fullmatch(found) else None


def _occurred_at(planned: PlannedEvent | None, properties: dict[str, Any] | None, times: envelope.Times) -> datetime:
    if planned is None or planned.occurred_at is None or properties is None:
        return times.event_at
    try:
        return envelope.utc(properties[planned.occurred_at])
    except (ValueError, OverflowError) as error:
        detail = f"properties.{planned.occurred_at}: is no moment of the calendar; write an RFC 3339 time with offset"
        raise Refusal(Reason.SCHEMA_VIOLATION, detail) from error
