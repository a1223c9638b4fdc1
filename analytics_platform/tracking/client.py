"""Sends typed events to the collector through Segment's client, in the background.

A wrong event raises where it is emitted; a fault of transport never does, it is counted, logged and told to a
callback. What may not be lost with the process goes through the outbox instead (`session=`,
:mod:`analytics_platform.tracking.outbox`).
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from segment.analytics.client import Client

from analytics_platform.errors import AnalyticsError
from analytics_platform.tracking.complaints import Complaints
from analytics_platform.tracking.delivery import Message, envelope_time, track_message
from analytics_platform.tracking.event_model import EventModel, WrongEventError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

_LOG = logging.getLogger(__name__)

_MAX_ID = 256


class UnknownTenantError(AnalyticsError):
    """No write key was given for the tenant of an event."""


@dataclass(frozen=True)
class Failure:
    """Events that will not arrive: why, and the ids of their messages."""

    reason: str
    message_ids: tuple[str, ...]


@dataclass
class Counters:
    """What became of the events since the tracker was made."""

    emitted: int = 0
    stored: int = 0
    dropped: int = 0
    failed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str, number: int = 1) -> None:
        """Count, from any thread."""
        with self._lock:
            setattr(self, name, getattr(self, name) + number)


class Tracker:
    """Emits events for the tenants whose write keys it holds.

    Args:
        host: the collector's address, such as ``https://collect.example.org``.
        write_keys: the plain write key of each tenant; looked up at each event, so that tenants and keys may come and
            change while the service runs. Each key that is used gets its own client with one thread.
        source: the name of the service, which stands on messages without a user.
        on_failure: told of events that will not arrive, from a background thread.
        max_waiting: events that wait per tenant; what comes beyond is dropped and counted.
        gzip: whether requests are compressed.
        upload_interval: seconds that a batch waits for more events.
    """

    def __init__(
        self,
        host: str,
        write_keys: Mapping[str, str],
        *,
        source: str = "backend",
        on_failure: Callable[[Failure], None] | None = None,
        max_waiting: int = 10_000,
        gzip: bool = False,
        upload_interval: float = 0.5,
    ) -> None:
        self.host = host
        self.counters = Counters()
        self._write_keys = write_keys
        self._source = source
        self._on_failure = on_failure
        self._options = {"max_queue_size": max_waiting, "gzip": gzip, "upload_interval": upload_interval}
        self._clients: dict[str, Client] = {}
        self._complaints = Complaints(_LOG)
        self._closed = False
        self._lock = threading.Lock()
        self._process = os.getpid()

    def emit(
        self,
        event: EventModel,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        tenant: str | None = None,
        project: str | None = None,
        message_id: str | None = None,
        at: datetime | None = None,
        session: "Session | AsyncSession | None" = None,
    ) -> str:
        """Send an event and return the id of its message, which stays the same however often it is sent.

        Args:
            event: one of :mod:`analytics_platform.tracking.models`.
            user_id: the user's pseudonym, where there is one.
            anonymous_id: the device's id; by default the name of the service.
            tenant: for an event that does not name its tenant; with a single write key its tenant is the default.
            project: for an event that does not name its project.
            message_id: give one that the business decides (a payment's id) where the same fact may be emitted twice.
            at: when it happened, for an event whose plan names no business time; by default now.
            session: a SQLAlchemy session: the event becomes a row of the outbox in its transaction.

        Raises:
            WrongEventError: the event has no tenant, or an id that the wire cannot carry.
            UnknownTenantError: there is no write key for its tenant.
        """
        properties = event.properties(tenant or self._only_tenant(), project)
        named = properties["tenant_id"]
        self._require_key(named)
        message = track_message(
            event.event_name,
            properties,
            message_id=_sound(event, "message_id", message_id or str(uuid4())),
            timestamp=_own_time(event, properties, at).isoformat(timespec="milliseconds"),
            user_id=user_id and _sound(event, "user_id", user_id),
            anonymous_id=_sound(event, "anonymous_id", anonymous_id or self._source),
        )
        if session is None:
            self._enqueue(named, message)
        else:
            _store(session, named, message)
            self.counters.add("stored")
        return str(message["messageId"])

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every event was sent or given up, for at most so many seconds; True when none is left."""
        deadline = time.monotonic() + timeout
        return all(_drained(client, deadline) for client in self._running())

    def close(self, timeout: float = 10.0) -> None:
        """Send what waits, for at most so many seconds, and stop; what is left then is told as failed."""
        deadline = time.monotonic() + timeout
        clients, self._clients, self._closed = self._running(), {}, True
        for client in clients:
            _drained(client, deadline)
            for consumer in client.consumers:
                consumer.pause()
        for client in clients:
            for consumer in client.consumers:
                consumer.join(max(0.0, deadline - time.monotonic()))
            self._failed("the process ended before the collector answered", _left_in(client))

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_key(self, tenant: str) -> str:
        """The plain write key of a tenant. Raises UnknownTenantError."""
        self._require_key(tenant)
        return self._write_keys[tenant]

    def _only_tenant(self) -> str | None:
        return next(iter(self._write_keys)) if len(self._write_keys) == 1 else None

    def _require_key(self, tenant: str) -> None:
        if tenant not in self._write_keys:
            raise UnknownTenantError(f"tenant_id: no write key for {tenant!r}; give it to Tracker(write_keys=…)")

    def _running(self) -> list[Client]:
        with self._lock:
            return list(self._clients.values()) if self._process == os.getpid() else []

    def _client(self, write_key: str) -> Client:
        with self._lock:
            if self._process != os.getpid():  # threads do not survive a fork
                self._process, self._clients = os.getpid(), {}
            if write_key not in self._clients:
                self._clients[write_key] = Client(write_key, host=self.host, on_error=self._not_sent, **self._options)
            return self._clients[write_key]

    def _enqueue(self, tenant: str, message: Message) -> None:
        if self._closed:
            self._failed("the tracker is closed", [message], counted="dropped")
            return
        client = self._client(self._write_keys[tenant])
        try:
            taken, _ = client.track(
                user_id=message["userId"],
                anonymous_id=message["anonymousId"],
                event=message["event"],
                properties=message["properties"],
                timestamp=datetime.fromisoformat(message["timestamp"]),
                message_id=message["messageId"],
            )
        except RuntimeError as error:  # Segment's client refuses more than 32 KB so
            raise WrongEventError(f"{message['event']}: is too large; send what is measured only") from error
        if taken:
            self.counters.add("emitted")
        else:
            self._failed("too many events wait for the collector", [message], counted="dropped")

    def _not_sent(self, error: Exception, batch: Sequence[Message]) -> None:
        self._failed(str(error), batch)

    def _failed(self, reason: str, messages: Sequence[Message], counted: str = "failed") -> None:
        if not messages:
            return
        failure = Failure(reason, tuple(str(message["messageId"]) for message in messages))
        self._complaints.tell(f"events were not sent: {reason}")
        self.counters.add(counted, len(messages))
        if self._on_failure is not None:
            try:
                self._on_failure(failure)
            except Exception:  # noqa: BLE001 - the application's callback must not stop the sending
                self._complaints.tell("on_failure failed", with_traceback=True)


def _sound(event: EventModel, name: str, value: str) -> str:
    """An id of the envelope, which the collector bounds as well."""
    if len(value) > _MAX_ID or not value.isprintable():
        raise WrongEventError(f"{event.event_name}: {name}: give at most {_MAX_ID} printable characters")
    return value


def _own_time(event: EventModel, properties: Mapping[str, Any], at: datetime | None) -> datetime:
    """When the message happened: the event's business time where the collector takes it, else now."""
    now = datetime.now(UTC)
    named = event.occurred_at_field
    occurred_at = (at or now) if named is None else datetime.fromisoformat(properties[named])
    return envelope_time(occurred_at, now)


def _store(session: "Session | AsyncSession", tenant: str, message: Message) -> None:
    from analytics_platform.tracking.outbox import store  # needs the outbox extra

    store(session, tenant, message)


def _drained(client: Client, deadline: float) -> bool:
    """Wait until the client's queue is empty and its batch answered; `Client.flush` would wait without end."""
    queue = client.queue
    with queue.all_tasks_done:
        while queue.unfinished_tasks:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            queue.all_tasks_done.wait(remaining)
    return True


def _left_in(client: Client) -> list[Message]:
    with client.queue.mutex:
        return list(client.queue.queue)
