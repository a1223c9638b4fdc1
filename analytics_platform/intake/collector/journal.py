"""The shipper's journal: what has reached the lake and is not yet in an hour's manifest.

Two kinds of small files beside the segments, each replaced in one durable step:

    <number>.shipped    the receipt of a segment: the objects that hold its lines; written before the segment is deleted
    account             how far the manifests go, and the manifest that is being put, byte for byte

A receipt is deleted when a manifest names its objects. So between any two steps it is known what is still to be done,
and doing it again gives the same objects and the same manifest.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from analytics_platform.intake.collector.segments import Acked, added, hour_text, parse_hour
from analytics_platform.lake.manifest import WrittenObject

ACCOUNT = "account"
_RECEIPT = ".shipped"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a segment.

    Attributes:
        number: the segment's.
        hour: the segment's.
        acked_before: what the writer had acknowledged before it.
        acked: messages that its frames acknowledged, as far as they could be read.
        landing: landing objects that hold its lines.
        dead_letters: dead-letter objects that hold its lines.
    """

    number: int
    hour: datetime
    acked_before: Acked
    acked: Acked
    landing: list[WrittenObject] = field(default_factory=list)
    dead_letters: list[WrittenObject] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its file's."""
        return f"{self.number:020d}{_RECEIPT}"

    def as_bytes(self) -> bytes:
        """The receipt's file."""
        return orjson.dumps(asdict(self) | {"hour": hour_text(self.hour)})


@dataclass(frozen=True, slots=True)
class Closing:
    """A manifest that is being put: its key and text, and how far the account goes with it."""

    key: str
    text: str
    through: int
    acked: Acked


@dataclass(frozen=True, slots=True)
class Account:
    """How far the manifests go: the newest segment that one of them names, and all that was acknowledged until then."""

    through: int = 0
    acked: Acked = field(default_factory=dict)
    closing: Closing | None = None

    def as_bytes(self) -> bytes:
        """The account's file."""
        return orjson.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Journal:
    """The account and the receipts, in the order of their segments; some of them it may cover already.

    What a bad disk made unreadable is left out: the account is None then, or an hour lacks what the receipt named and
    does not add up. That is for the check to tell; it is no reason to refuse new events.
    """

    account: Account | None
    receipts: list[Receipt]

    @property
    def last_number(self) -> int:
        """The newest segment that was shipped."""
        return max([self._through, *(receipt.number for receipt in self.receipts)])

    @property
    def acked(self) -> Acked:
        """The least that the writer has acknowledged, by what was shipped."""
        if self.account and (not self.receipts or self.receipts[-1].number <= self.account.through):
            return self.account.acked
        if not self.receipts:
            return {}
        last = self.receipts[-1]
        return added(last.acked_before, last.acked)

    def has_shipped(self, number: int) -> bool:
        """Whether a segment has a receipt or had one."""
        return number <= self._through or any(receipt.number == number for receipt in self.receipts)

    @property
    def _through(self) -> int:
        return self.account.through if self.account else 0


def read_journal(folder: Path) -> Journal:
    """The journal of a spool folder."""
    path = folder / ACCOUNT
    account = _account(path.read_bytes()) if path.exists() else Account()
    found = (_receipt(each.read_bytes()) for each in sorted(folder.glob(f"*{_RECEIPT}")))
    return Journal(account, [receipt for receipt in found if receipt is not None])


def _account(data: bytes) -> Account | None:
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    closing = said["closing"]
    return Account(said["through"], said["acked"], None if closing is None else Closing(**closing))


def _receipt(data: bytes) -> Receipt | None:
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return Receipt(
        number=said["number"],
        hour=parse_hour(said["hour"]),
        acked_before=said["acked_before"],
        acked=said["acked"],
        landing=[WrittenObject(**entry) for entry in said["landing"]],
        dead_letters=[WrittenObject(**entry) for entry in said["dead_letters"]],
    )
