"""Rows on their way through the gate, and the account of them.

Each rule makes one thing of each row: an event that lands, a duplicate, a dead letter, or nothing because its filter
leaves the row out. A dead letter keeps the row's columns, so that a replay maps it anew: after a mended mapping as well
as after a new tenant or event (`remade`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import orjson

from analytics_platform.catalog import Catalog
from analytics_platform.connectors.loading import AnyConnector
from analytics_platform.connectors.mapping import Mapper, Message, Row, Skipped, Unmapped
from analytics_platform.connectors.state import Account
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import read_suppressions
from analytics_platform.intake.gate import HISTORY_START, Gate
from analytics_platform.intake.importer import ID_CONFLICT
from analytics_platform.intake.landed import LandedMessages
from analytics_platform.intake.landing import Landing
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected, WriteKeyContext
from analytics_platform.intake.replay import Remade
from analytics_platform.intake.seen import Seen
from analytics_platform.lake.dead_letters import DeadLetter
from analytics_platform.lake.layout import UNKNOWN_STREAM, UNKNOWN_TENANT
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import ObjectStore

WRITER = "connector"
_LEFT_OUT = "the rule leaves the row out now; widen its `where`, or leave the letter"


class Lander:
    """Lands one batch of a stream.

    Args:
        connector: whose rows they are.
        mapper: of the stream.
        stream: its name.
        catalog: the plan and the tenants.
        store: the lake.
        identities: the keys of references and seals.
        received_at: when the batch was read, in UTC; the same for each attempt.
        history_start: the first day that a message may belong to.
    """

    def __init__(
        self,
        connector: AnyConnector,
        mapper: Mapper,
        stream: str,
        *,
        catalog: Catalog,
        store: ObjectStore,
        identities: IdentityKeys,
        received_at: datetime,
        history_start: date = HISTORY_START,
    ) -> None:
        self._connector, self._mapper, self._stream = connector, mapper, stream
        self._catalog, self._begun_at, self._received_at = catalog, received_at, received_at
        self._gate = gate_of(catalog, store, identities, history_start)
        self._seals = TenantSeals(identities)
        self._landing, self._landed = Landing(store, WRITER), LandedMessages(store)
        self._reasons: Counter[str] = Counter()
        self.account = Account(rules=len(mapper.rules))

    def take(self, number: int, row: Row) -> None:
        """Take a row through every rule; `number` counts from 1 within its batch or file.

        Each row is received a microsecond after the one before it: of two that contradict each other the first counts.
        """
        self.account.rows += 1
        self._received_at = self._begun_at + timedelta(microseconds=number)
        for name in self._mapper.rules:
            self._apply(name, number, row)

    def refuse_unreadable(self, number: int, raw: bytes, detail: str) -> None:
        """Take what stands where a row should be."""
        self.account.unreadable += 1
        content = {
            "connector": self._connector.name,
            "stream": self._stream,
            "unreadable": raw.decode("utf-8", "replace"),
        }
        self._refuse(Rejected(Reason.UNMAPPED, detail), number, orjson.dumps(content))

    def finish(self) -> Account:
        """Land what waits and close the account."""
        manifest = self._landing.finish([{"name": source_of(self._connector.name, self._stream)}])
        counts = self._landing.counts
        self.account.accepted, self.account.duplicates = counts.accepted, counts.duplicates
        self.account.dead_lettered = counts.dead_lettered
        self.account.reasons = dict(sorted(self._reasons.items()))
        self.account.manifests = [manifest] if manifest else []
        return self.account

    def _apply(self, name: str, number: int, row: Row) -> None:
        made = self._mapper.message(name, row)
        if isinstance(made, Skipped):
            self.account.skipped += 1
            return
        outcome = self._judged(name, made)
        if isinstance(outcome, Admitted):
            seen = self._landed.judge(outcome)
            if seen is not Seen.CONFLICT:
                (self._landing.land if seen is Seen.NEW else self._landing.drop)(outcome)
                return
            outcome = self._conflict(name, row, outcome)
            if isinstance(outcome, Admitted):
                self._landing.drop(outcome)
                return
        content = {
            "connector": self._connector.name,
            "stream": self._stream,
            "rule": name,
            "event": self._mapper.rules[name].event,
            "row": row,
        }
        self._refuse(outcome, number, orjson.dumps(content))

    def _judged(self, name: str, made: Message | Unmapped) -> Admitted | Rejected:
        if isinstance(made, Unmapped):
            tenant = made.tenant if made.tenant in self._catalog.tenants else None
            stream = self._catalog.events[self._mapper.rules[name].event].stream
            return Rejected(Reason.UNMAPPED, made.detail, tenant, None, stream)
        sender = sender_of(self._catalog, self._connector, made.tenant)
        return self._gate.admit(made.raw, received_at=self._received_at, key=sender)

    def _conflict(self, name: str, row: Row, message: Admitted) -> Admitted | Rejected:
        """The message of a row that came before and was another then, or was only written with older keys."""
        if self._was_of_older_keys(name, row, message.tenant):
            return message
        if self._mapper.rules[name].on_change == "keep_first":
            self.account.changed += 1
            return message
        return Rejected(Reason.ID_CONFLICT, ID_CONFLICT, message.tenant, message.day, message.stream)

    def _was_of_older_keys(self, name: str, row: Row, tenant: str) -> bool:
        if not self._mapper.uses_references(name):
            return False
        for keys_back in range(1, self._mapper.versions(tenant)):
            made = self._mapper.message(name, row, keys_back=keys_back)
            assert isinstance(made, Message)
            outcome = self._judged(name, made)
            if isinstance(outcome, Admitted) and self._landed.judge(outcome) is Seen.DUPLICATE:
                return True
        return False

    def _refuse(self, rejected: Rejected, number: int, raw: bytes) -> None:
        self._reasons[str(rejected.reason)] += 1
        is_known = rejected.tenant is not None
        letter = DeadLetter(
            reason=rejected.reason,
            detail=rejected.detail,
            raw=raw,
            day=rejected.day or self._received_at.date(),
            tenant=rejected.tenant or UNKNOWN_TENANT,
            stream=rejected.stream or UNKNOWN_STREAM,
            source=source_of(self._connector.name, self._stream),
            line=number,
            received_at=self._received_at if is_known else None,
            key_name=source_of(self._connector.name) if is_known else None,
            key_kind="import" if is_known else None,
            site="product" if is_known else None,
        )
        self._landing.refuse(letter.sealed(self._seals))


def gate_of(catalog: Catalog, store: ObjectStore, identities: IdentityKeys, history_start: date) -> Gate:
    """The gate, with who was erased and what was removed as it stands now."""
    erased = read_suppressions(store)
    return Gate(
        catalog,
        identities=identities,
        suppressed=lambda: erased,
        history_start=history_start,
        removed=read_removals(store).covers_raw,
    )


def sender_of(catalog: Catalog, connector: AnyConnector, tenant: str) -> WriteKeyContext | None:
    """Who sends a connector's messages; None for a tenant that is not registered, which the gate refuses."""
    if tenant not in catalog.tenants:
        return None
    return WriteKeyContext(tenant, source_of(connector.name), "import", "product")


def source_of(connector: str, stream: str | None = None) -> str:
    """What rows of a connector, or of one of its streams, name as their source; no write key has a dot in its name."""
    return f"connector.{connector}" + (f".{stream}" if stream else "")


def remade(connectors: Mapping[str, AnyConnector], catalog: Catalog, identities: IdentityKeys) -> Remade:
    """What a replay makes of letters: those of rows are mapped anew, by the rules as they are now."""
    mappers = {
        (connector.name, stream): Mapper(connector, stream, catalog, identities)
        for connector in connectors.values()
        for stream in connector.streams
    }

    def of(letter: DeadLetter) -> bytes | Rejected:
        for (connector, stream), mapper in mappers.items():
            if letter.source == source_of(connector, stream):
                return _mapped_anew(letter, mapper)
        return letter.raw

    return of


def _mapped_anew(letter: DeadLetter, mapper: Mapper) -> bytes | Rejected:
    said = orjson.loads(letter.raw)
    if said.get("rule") not in mapper.rules or "row" not in said:
        return Rejected(Reason.UNMAPPED, letter.detail)
    made = mapper.message(said["rule"], said["row"])
    if isinstance(made, Message):
        return made.raw
    return Rejected(Reason.UNMAPPED, made.detail if isinstance(made, Unmapped) else _LEFT_OUT)
