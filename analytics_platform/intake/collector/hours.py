"""The account of a collector's hours: a manifest for each hour that is over.

What the manifest says was acknowledged comes from the acknowledgements (each segment's header repeats the writer's
total before it), what it says was put from the receipts. So a segment that vanished leaves an hour that does not
add up.

Segments are accounted for in their order, each once. An hour usually has one manifest; it has a further part when its
collector was stopped and started within it, or when the clock was set back into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from analytics_platform.intake.collector.journal import (
    ACCOUNT,
    Account,
    Closing,
    Receipt,
    read_journal,
)
from analytics_platform.intake.collector.segments import Acked, since
from analytics_platform.intake.collector.spool import Frontier, Spool
from analytics_platform.lake.layout import placed
from analytics_platform.lake.manifest import Counts, Manifest, WrittenObject, put_manifest
from analytics_platform.lake.store import ObjectStore


class HourAccount:
    """Turns receipts into manifests; used by the shipping thread alone."""

    def __init__(self, spool: Spool, store: ObjectStore) -> None:
        self._spool, self._store = spool, store
        journal = read_journal(spool.folder)
        self._account = journal.account or self._anew(journal.receipts)
        self._receipts = {receipt.number: receipt for receipt in journal.receipts}

    def _anew(self, receipts: list[Receipt]) -> Account:
        """An account that goes on from the first segment that is known, after the old one became unreadable."""
        if receipts:
            return Account(receipts[0].number - 1, receipts[0].acked_before)
        return Account(0, self._spool.frontier().acked_before)

    def record(self, receipt: Receipt) -> None:
        """Write down what became of a segment; from then on it may be deleted."""
        self._spool.write_file(receipt.name, receipt.as_bytes())
        self._receipts[receipt.number] = receipt

    def close_hours(self, now: datetime, *, final: bool) -> int:
        """Put the manifest of every hour that is over and wholly shipped; return how many were put.

        Args:
            now: the time in UTC.
            final: the running hour is over too.
        """
        put = self._finish()
        frontier = self._spool.frontier()
        for run, total in _runs(self._shipped_before(frontier), frontier, now, final=final):
            self._decide(run, total)
            put += self._finish()
        self._tidy()
        return put

    def _shipped_before(self, frontier: Frontier) -> list[Receipt]:
        """Receipts in the order of their segments, up to the first segment that is not shipped."""
        return [
            receipt
            for number, receipt in sorted(self._receipts.items())
            if number > self._account.through and (frontier.number is None or number < frontier.number)
        ]

    def _decide(self, run: list[Receipt], total: Acked) -> None:
        """Write down the manifest of a run of segments, so that no other can be put for them."""
        manifest = _manifest(self._spool.writer, run, since(total, self._account.acked))
        closing = Closing(manifest.key, manifest.as_bytes().decode(), run[-1].number, total)
        self._write(Account(self._account.through, self._account.acked, closing))

    def _finish(self) -> int:
        """Put the manifest that was decided upon; return 0 when there is none."""
        closing = self._account.closing
        if closing is None:
            return 0
        put_manifest(self._store, closing.key, closing.text.encode())
        self._write(Account(closing.through, closing.acked))
        return 1

    def _write(self, account: Account) -> None:
        self._spool.write_file(ACCOUNT, account.as_bytes())
        self._account = account

    def _tidy(self) -> None:
        for number in [number for number in self._receipts if number <= self._account.through]:
            self._spool.remove_file(self._receipts[number].name)
            del self._receipts[number]


def _runs(
    receipts: list[Receipt], frontier: Frontier, now: datetime, *, final: bool
) -> Iterator[tuple[list[Receipt], Acked]]:
    """Segments of one hour that follow each other, with all that was acknowledged until their end."""
    runs = [list(run) for _, run in groupby(receipts, key=lambda receipt: receipt.hour)]
    for run, following in pairwise(runs):
        yield run, following[0].acked_before
    if runs and (final or _is_over(runs[-1][0].hour, frontier, now)):
        yield runs[-1], frontier.acked_before


def _is_over(hour: datetime, frontier: Frontier, now: datetime) -> bool:
    """Whether no segment of the hour can follow, but for a clock that is set back."""
    if frontier.hour is not None:
        return frontier.hour != hour
    return now >= hour + timedelta(hours=1)


def _manifest(writer: str, run: list[Receipt], acked: Acked) -> Manifest:
    manifest = Manifest(writer, hour=run[0].hour, acked=acked)
    for receipt in run:
        manifest.landing += receipt.landing
        manifest.dead_letters += receipt.dead_letters
        manifest.sources.append({"segment": receipt.number, "acked": sum(receipt.acked.values())})
    for stream, item, lines in _lines(manifest.landing):
        counts = _counts(manifest, stream, item)
        counts.received += lines
        counts.accepted += lines
    for stream, item, lines in _lines(manifest.dead_letters):
        counts = _counts(manifest, stream, item)
        counts.received += lines
        counts.dead_lettered += lines
    return manifest


def _lines(items: Iterable[WrittenObject]) -> list[tuple[str, WrittenObject, int]]:
    return [(stream, item, lines) for item in items for stream, lines in item.lines.items()]


def _counts(manifest: Manifest, stream: str, item: WrittenObject) -> Counts:
    place = placed(item.key)
    return manifest.counts.setdefault((stream, place.day, place.tenant), Counts())
