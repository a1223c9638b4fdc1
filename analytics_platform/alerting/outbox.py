"""What is to be said, as it waits to be said.

A message is written down under an idempotency key, in the transaction that changes what it speaks about, before anybody
sends it. So nothing is said that is not kept, nothing kept goes unsaid, and a second writing of a key has no effect.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime

from analytics_platform.alerting.findings import Fact

MessageKind = Literal["parent", "reply", "edit", "digest", "heartbeat", "report"]
"""A parent opens an incident's thread, a reply follows in it, an edit replaces the parent's words, a report tells of
a document that was built."""

State = Literal["waiting", "sending", "unsure", "sent", "superseded", "outdated", "refused"]
"""Unsure: Slack may have it. Superseded: a newer edit says more. Outdated: too late to be of use. Refused: for good."""

UNSENT: tuple[State, ...] = ("waiting", "sending", "unsure")
"""What is still to be sent."""

Block = dict[str, Any]


class Attachment(Fact):
    """A picture that a message shows.

    Attributes:
        key: where its bytes are in the lake.
        sha256: of those bytes, in hexadecimal digits: what was uploaded of it is known by this.
        filename: what readers save it as.
        alt: what it shows, for who does not see it.
    """

    key: str
    sha256: str
    filename: str
    alt: str


class Message(Fact):
    """A message as it will be sent.

    Attributes:
        key: the same message has the same key.
        incident: id of the incident it is about; None for digests and heartbeats.
        kind: where it goes.
        channel: name of the channel.
        text: the whole of it where blocks cannot be shown: notifications, screen readers, and Slack's refusal.
        blocks: Block Kit.
        pictures: shown below the blocks, in order.
    """

    key: str
    incident: str | None
    kind: MessageKind
    channel: str
    text: str
    blocks: tuple[Block, ...]
    pictures: tuple[Attachment, ...] = ()


class Waiting(Fact):
    """A message in the outbox, and what came of it.

    Attributes:
        number: order of writing.
        message: the message.
        state: see `State`.
        written_at: when it was written down.
        attempts: how often it was taken to be sent.
        first_attempt_at: when that was first.
        next_at: not to be tried before.
        error: Slack's word, or the kind of failure, of the last attempt.
        ts: Slack's id of the message in its channel.
        channel_id: Slack's id of the channel.
        is_plain: whether it was sent without blocks.
    """

    number: int
    message: Message
    state: State
    written_at: AwareDatetime
    attempts: int
    first_attempt_at: AwareDatetime | None
    next_at: AwareDatetime
    error: str | None
    ts: str | None
    channel_id: str | None
    is_plain: bool
