"""From the body of a request to its acknowledgement: who sends, what may land, what is a dead letter, what is durable.

Free of any web framework; `app` puts HTTP around it. Every message of a request that is answered with 200 is durable,
admitted or as a dead letter; of a request that is refused nothing was taken in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeysError
from analytics_platform.intake.business_days import BusinessDays
from analytics_platform.intake.collector.limits import Body, Buffers, RateLimits, RequestLimits, Room
from analytics_platform.intake.collector.metrics import Metrics
from analytics_platform.intake.collector.refusals import Code, RequestRefusedError
from analytics_platform.intake.collector.requests import (
    Said,
    agreed_key,
    basic_user,
    first_key,
    message_id_of,
    read_batch,
    read_call,
    read_webhook,
    write_key_of,
)
from analytics_platform.intake.collector.spool import Spool, SpoolUnavailableError
from analytics_platform.intake.collector.webhook import WebhookSource, signing_source
from analytics_platform.intake.envelope import NOTHING_SHARED, Shared
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected, WriteKeyContext
from analytics_platform.intake.write_keys import WriteKeys
from analytics_platform.lake.dead_letters import DeadLetter, SealedLetter, Seals
from analytics_platform.lake.layout import UNKNOWN_STREAM

_UNPARSED = frozenset({Reason.INVALID_JSON, Reason.INVALID_ENCODING, Reason.TOO_COMPLEX, Reason.TOO_LARGE})
"""Reasons that a message may have been given because it was cut wrongly."""

_MESSAGES_AT_ONCE = 100
"""Judged before other requests get their turn."""

_HELD_BYTES = 256 * 1024
"""Of outcomes, until they are counted with what requests hold: to count each would slow all of them."""

_LARGE_BODY = 256 * 1024
"""Above this a body is cut in a thread, so that others need not wait for it."""

_RETRY_SECONDS = 5
"""What a client is told while the file of identity keys cannot be used."""

_OTHER_KEY = "writeKey: is another than that of its request; send the messages of each key in requests of their own"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request: its body, what its headers say, and the moment it was received, in UTC."""

    body: bytes
    received_at: datetime
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """What the sender is told of a message that became a dead letter."""

    message_id: str | None
    code: Reason


@dataclass(slots=True)
class Taken:
    """What became of a request that was taken in."""

    key: WriteKeyContext
    events: int
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who sends: the plain write key and what the registry says of it."""

    write_key: str
    key: WriteKeyContext

    @property
    def name(self) -> tuple[str, str]:
        return self.key.tenant, self.key.source


_Outcome = tuple[bytes, Admitted | Rejected]


class Collector:
    """Takes requests in.

    Args:
        catalog: plan and tenants.
        gate: judges messages.
        seals: seals what becomes a dead letter.
        keys: the write keys.
        spool: makes outcomes durable.
        metrics: is told of everything.
        limits: bounds of requests.
        webhooks: Segment sources that send through their webhook destination.
        clock: the time in UTC.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        gate: Gate,
        seals: Seals,
        keys: WriteKeys,
        spool: Spool,
        metrics: Metrics,
        limits: RequestLimits | None = None,
        webhooks: Sequence[WebhookSource] = (),
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._gate, self._seals, self._keys, self._spool, self._webhooks = gate, seals, keys, spool, webhooks
        self.metrics = metrics
        self.limits = limits or RequestLimits()
        self.clock = clock or (lambda: datetime.now(UTC))
        self._buffers = Buffers(self.limits.buffered_bytes)
        self._rates = RateLimits(self.limits, monotonic)
        self._days = BusinessDays()
        self._zones = {name: tenant.time_zone for name, tenant in catalog.tenants.items()}

    def new_body(self) -> Body:
        """What reads the body of one request within the bounds of all."""
        return Body(self.limits, self._buffers)

    def problem(self) -> str | None:
        """Why no event can be acknowledged now; None when one can."""
        return self._spool.state().problem

    async def take_batch(self, arrival: Arrival) -> Taken:
        """Take a batch in; for exceptions see `take_call`."""
        return await self._take(
            arrival, lambda quickly: read_batch(arrival.body, self.limits.messages, quickly=quickly)
        )

    async def take_call(self, arrival: Arrival, call_type: str) -> Taken:
        """Take a single call in, whose path says its type.

        Raises:
            RequestRefusedError: nothing of it was taken in.
        """
        return await self._take(arrival, lambda quickly: read_call(arrival.body, call_type, quickly=quickly))

    async def take_webhook(self, arrival: Arrival, signature: str | None) -> Taken:
        """Take in what Segment's webhook destination sends; for exceptions see `take_call`."""
        messages = read_webhook(arrival.body, self.limits.messages)
        source = signing_source(self._webhooks, signature, messages[0])
        agreed_key(basic_user(arrival.authorization), source.write_key)
        sender = self._sender(source.write_key, arrival.received_at)
        return await self._take_in(Said(messages, NOTHING_SHARED, None), sender, arrival)

    async def _take(self, arrival: Arrival, read: Callable[[bool], Said]) -> Taken:
        header = basic_user(arrival.authorization)
        # An unknown key must not cost the cutting of a body.
        sender = self._sender(header, arrival.received_at) if header else None
        said = await _cut(arrival, read, quickly=True)
        write_key = agreed_key(header, said.write_key if header or said.write_key else first_key(said.messages))
        sender = sender or self._sender(write_key, arrival.received_at)
        return await self._take_in(said, sender, arrival, read)

    def _sender(self, write_key: str, at: datetime) -> _Sender:
        key = self._keys.context(write_key, at)
        if key is None:
            text = "the write key is unknown, expired or revoked; `analytics keys` lists the valid ones"
            raise RequestRefusedError(Code.UNAUTHORIZED, text)
        return _Sender(write_key, key)

    async def _take_in(
        self, said: Said, sender: _Sender, arrival: Arrival, read: Callable[[bool], Said] | None = None
    ) -> Taken:
        """Judge the messages and make the outcomes durable."""
        taken = len(said.messages)
        self._rates.take(sender.name, taken, sender.key.events_per_second)
        try:
            outcomes = await self._settled(said, sender, arrival, read)
        except IdentityKeysError as error:
            self._rates.give_back(sender.name, taken)
            raise RequestRefusedError(Code.UNAVAILABLE, str(error), retry_after_seconds=_RETRY_SECONDS) from error
        except RequestRefusedError as error:
            # Who sends what becomes too large does not send it again; that it was judged has its price.
            if error.code is not Code.TOO_LARGE:
                self._rates.give_back(sender.name, taken)
            raise
        except asyncio.CancelledError:
            self._rates.give_back(sender.name, taken)
            raise
        refused = _refused(outcomes)
        self._count(len(outcomes), refused)
        told = [Refused(message_id_of(raw), outcome.reason) for raw, outcome in refused]
        return Taken(sender.key, len(outcomes), told)

    async def _settled(
        self, said: Said, sender: _Sender, arrival: Arrival, read: Callable[[bool], Said] | None
    ) -> list[_Outcome]:
        """The outcomes, which are durable; where a guess of the cut has shown to be wrong, of the true one."""
        with Room(self.limits, self._buffers) as room:
            outcomes = await self._judged(said, sender, arrival.received_at, room)
            is_cut_well = not said.is_guess or all(each.reason not in _UNPARSED for _, each in _refused(outcomes))
            if is_cut_well or read is None:
                await self._commit(outcomes, said.shared, sender.key, arrival.received_at)
                return outcomes
        return await self._settled(await _cut(arrival, read, quickly=False), sender, arrival, read)

    async def _judged(self, said: Said, sender: _Sender, received_at: datetime, room: Room) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        for start in range(0, len(said.messages), _MESSAGES_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            some = said.messages[start : start + _MESSAGES_AT_ONCE]
            held = 0
            for raw in some:
                outcome = self._judge(raw, said.shared, sender, received_at)
                outcomes.append((raw, outcome))
                held += len(outcome.line) if isinstance(outcome, Admitted) else len(raw) + said.shared.kept_bytes
                if held > _HELD_BYTES:
                    room.take(held)
                    held = 0
            room.take(held)
        return outcomes

    def _judge(self, raw: bytes, shared: Shared, sender: _Sender, received_at: datetime) -> Admitted | Rejected:
        outcome = self._gate.admit(raw, received_at=received_at, key=sender.key, shared=shared)
        if write_key_of(raw) not in (None, sender.write_key):
            return Rejected(Reason.TENANT_MISMATCH, _OTHER_KEY, sender.key.tenant, outcome.day, outcome.stream)
        return outcome

    async def _commit(
        self, outcomes: Sequence[_Outcome], shared: Shared, key: WriteKeyContext, received_at: datetime
    ) -> None:
        durable = [
            outcome if isinstance(outcome, Admitted) else self._letter(raw, outcome, shared, key, received_at)
            for raw, outcome in outcomes
        ]
        try:
            await self._spool.commit(durable)
        except SpoolUnavailableError as error:
            text, seconds = str(error), error.retry_after_seconds
            raise RequestRefusedError(Code.UNAVAILABLE, text, retry_after_seconds=seconds) from error

    def _letter(
        self, raw: bytes, refused: Rejected, shared: Shared, key: WriteKeyContext, received_at: datetime
    ) -> SealedLetter:
        """The dead letter of a message; what has no day of its own belongs to the tenant's day of its receipt.

        It is cut where what its request said for all was too much to be repeated; the message's own bytes are whole.
        """
        return DeadLetter(
            reason=refused.reason,
            detail=refused.detail,
            raw=raw,
            day=refused.day or self._days.day(received_at, self._zones[key.tenant]),
            tenant=key.tenant,
            stream=refused.stream or UNKNOWN_STREAM,
            total_bytes=None if shared.is_whole else len(raw) + shared.size,
            received_at=received_at,
            key_name=key.source,
            key_kind=key.kind,
            site=key.site,
            shared=shared.kept or None,
        ).sealed(self._seals)

    def _count(self, taken: int, refused: Sequence[tuple[bytes, Rejected]]) -> None:
        self.metrics.acknowledged.inc(taken)
        self.metrics.accepted.inc(taken - len(refused))
        for _, outcome in refused:
            self.metrics.dead_lettered.labels(outcome.reason.value).inc()


async def _cut(arrival: Arrival, read: Callable[[bool], Said], *, quickly: bool) -> Said:
    if len(arrival.body) > _LARGE_BODY:
        return await asyncio.to_thread(read, quickly)
    return read(quickly)


def _refused(outcomes: Sequence[_Outcome]) -> list[tuple[bytes, Rejected]]:
    return [(raw, outcome) for raw, outcome in outcomes if isinstance(outcome, Rejected)]
