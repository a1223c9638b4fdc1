"""Empties the outbox into Slack: each message once, an incident's messages in their order.

A message is claimed in the outbox before it is sent. When nobody can say whether Slack took it (a 500, a timeout, a
process that died), it is looked for in the channel's history by its key, and posted again only where it is not. Where
the history cannot be read, it is posted all the same: twice is better than never.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from analytics_platform.alerting.block_kit import image
from analytics_platform.alerting.outbox import Attachment, Waiting
from analytics_platform.alerting.slack import (
    BlocksRefused,
    Found,
    Gone,
    NotPosted,
    Outcome,
    Posted,
    Slack,
    Unsure,
    Uploaded,
)
from analytics_platform.alerting.store import AlertStore
from analytics_platform.errors import AnalyticsError

LEASE = timedelta(minutes=5)
"""How long a sender may take over one message before another may suspect that it died."""

SETTLING = timedelta(seconds=30)
"""How long Slack may take to show a message of which it gave no answer."""

CLOCK_SKEW = timedelta(minutes=5)
BACK_OFF = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30))
PICTURE_MISSING = "picture_missing"
USELESS_AFTER = timedelta(days=1)
LOOKS_BEFORE_POSTING_BLIND = 5
REPORTS_USELESS_AFTER = timedelta(days=6)
"""Before the next one is made."""

ATTEMPTS_WITH_PICTURES = 4
"""Slack refuses blocks for a while that show a file which it still looks at; after so many it gets the words alone."""

Clock = Callable[[], datetime]
ReadBytes = Callable[[str], bytes]


@dataclass
class DeliveryReport:
    """What a pass over the outbox did.

    Attributes:
        sent: messages that Slack has now.
        found: those among them that had arrived before, without an answer.
        plain: those that went without blocks.
        errors: why others still wait, or never will be sent, by Slack's code.
    """

    sent: int = 0
    found: int = 0
    plain: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Delivery:
    """Sends what waits."""

    def __init__(
        self,
        store: AlertStore,
        slack: Slack,
        clock: Clock = lambda: datetime.now(UTC),
        *,
        read: ReadBytes | None = None,
    ) -> None:
        """Send from an outbox to Slack.

        Args:
            store: where the outbox is.
            slack: where it goes.
            clock: tells the time.
            read: the bytes of a picture by its key; raises an `AnalyticsError` where there are none.
        """
        self._store = store
        self._slack = slack
        self._clock = clock
        self._read = read

    def deliver(self, within: timedelta | None = None) -> DeliveryReport:
        """Send everything that may be sent now; where a time is given, begin no message after it."""
        ends_at = self._clock() + within if within else None
        report = DeliveryReport()
        with self._store.transaction() as session:
            session.drop_outdated(self._clock() - USELESS_AFTER)
            session.outdate_reports(self._clock() - REPORTS_USELESS_AFTER)
        while (ends_at is None or self._clock() < ends_at) and (waiting := self._claim()):
            sent = self._sent(waiting, report)
            with self._store.transaction() as session:
                session.settle(sent)
        return report

    def _claim(self) -> Waiting | None:
        with self._store.transaction() as session:
            return session.claim(self._clock(), LEASE)

    def _sent(self, waiting: Waiting, report: DeliveryReport) -> Waiting:
        parent = self._parent(waiting)
        if waiting.state != "waiting" and waiting.message.kind != "edit":
            there = self._look(waiting, parent)
            if isinstance(there, Posted):
                report.found += 1
                return self._settled(waiting, there, report)
            if there is not None and waiting.attempts < LOOKS_BEFORE_POSTING_BLIND:
                return self._settled(waiting, there, report)
        shown = waiting if waiting.is_plain else self._with_pictures(waiting)
        if isinstance(shown, NotPosted):
            return self._settled(waiting, shown, report)
        outcome = self._attempt(shown, parent, plain=waiting.is_plain)
        if isinstance(outcome, BlocksRefused) and self._may_be_the_pictures(waiting):
            return self._settled(waiting, NotPosted(outcome.error), report)
        if isinstance(outcome, BlocksRefused) and not waiting.is_plain:
            waiting = waiting.model_copy(update={"is_plain": True, "error": outcome.error})
            report.plain += 1
            report.errors[outcome.error] += 1
            outcome = self._attempt(waiting, parent, plain=True)
        return self._settled(waiting, outcome, report)

    def _with_pictures(self, waiting: Waiting) -> Waiting | NotPosted:
        """The message with its pictures as blocks, each uploaded once for its bytes; as it is where it has none."""
        blocks = list(waiting.message.blocks)
        for picture in waiting.message.pictures:
            uploaded = self._uploaded(picture)
            if isinstance(uploaded, NotPosted):
                if uploaded.error != PICTURE_MISSING and waiting.attempts < ATTEMPTS_WITH_PICTURES:
                    return uploaded
                continue
            blocks.append(image(uploaded.file_id, picture.alt))
        return waiting.model_copy(
            update={"message": waiting.message.model_copy(update={"blocks": tuple(blocks), "pictures": ()})}
        )

    def _uploaded(self, picture: Attachment) -> Uploaded | NotPosted:
        with self._store.transaction() as session:
            known = session.file_id(picture.sha256)
        if known:
            return Uploaded(known)
        body = self._bytes_of(picture)
        uploaded = self._slack.upload(picture, body) if body else NotPosted(PICTURE_MISSING)
        if isinstance(uploaded, Uploaded):
            with self._store.transaction() as session:
                session.keep_file_id(picture.sha256, uploaded.file_id)
        return uploaded

    def _bytes_of(self, picture: Attachment) -> bytes | None:
        """The picture that the message speaks of; one that was replaced since would contradict its words."""
        if self._read is None:
            return None
        try:
            body = self._read(picture.key)
        except AnalyticsError:
            return None
        return body if hashlib.sha256(body).hexdigest() == picture.sha256 else None

    def _may_be_the_pictures(self, waiting: Waiting) -> bool:
        """Whether blocks that were refused are tried again: the files may be gone, or not be ready yet."""
        if waiting.is_plain or not waiting.message.pictures or waiting.attempts >= ATTEMPTS_WITH_PICTURES:
            return False
        if waiting.attempts == ATTEMPTS_WITH_PICTURES - 2:
            with self._store.transaction() as session:
                for picture in waiting.message.pictures:
                    session.keep_file_id(picture.sha256, None)
        return True

    def _parent(self, waiting: Waiting) -> Posted | None:
        if waiting.message.incident is None or waiting.message.kind == "parent":
            return None
        with self._store.transaction() as session:
            parent = session.parent(waiting.message.incident)
        return Posted(parent.ts, parent.channel_id) if parent and parent.ts and parent.channel_id else None

    def _look(self, waiting: Waiting, parent: Posted | None) -> Posted | Unsure | None:
        """Where the message is; None when it is to be posted; unsure when the look has to be repeated."""
        with self._store.transaction() as session:
            channel_id = parent.channel_id if parent else session.channel_id(waiting.message.channel)
        since = (waiting.first_attempt_at or waiting.written_at) - CLOCK_SKEW
        thread = parent.ts if parent else None
        looked = self._slack.find(waiting.message.key, waiting.message.channel, channel_id, thread, since)
        if isinstance(looked, Found):
            return looked.posted
        may_work_later = isinstance(looked, Unsure) or looked.wait_seconds is not None
        return Unsure(looked.error) if may_work_later else None

    def _attempt(self, waiting: Waiting, parent: Posted | None, *, plain: bool) -> Outcome:
        message = waiting.message
        if message.kind in ("reply", "edit") and parent is None:
            return Gone("the parent was never posted")
        if message.kind == "edit":
            assert parent is not None
            return self._slack.edit(message, parent, plain=plain)
        if parent:
            return self._slack.post(message, parent.channel_id, parent.ts, plain=plain)
        return self._slack.post(message, message.channel, None, plain=plain)

    def _settled(self, waiting: Waiting, outcome: Outcome, report: DeliveryReport) -> Waiting:
        now = self._clock()
        if isinstance(outcome, Posted):
            report.sent += 1
            return waiting.model_copy(
                update={"state": "sent", "ts": outcome.ts, "channel_id": outcome.channel_id, "next_at": now}
            )
        report.errors[outcome.error] += 1
        kept = {"error": outcome.error}
        if isinstance(outcome, Gone):
            return waiting.model_copy(update={**kept, "state": "refused", "next_at": now})
        if isinstance(outcome, Unsure):
            return waiting.model_copy(update={**kept, "state": "unsure", "next_at": now + SETTLING})
        told = outcome.wait_seconds if isinstance(outcome, NotPosted) else None
        wait = timedelta(seconds=told) if told is not None else BACK_OFF[min(waiting.attempts, len(BACK_OFF) - 1)]
        return waiting.model_copy(update={**kept, "state": "waiting", "next_at": now + max(wait, BACK_OFF[0])})
