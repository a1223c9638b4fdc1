"""The power is cut under load, again and again: what was acknowledged is there, and fdatasync is why."""

from __future__ import annotations

import asyncio
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from spool_disks import PowerDisk
from spool_house import SMALL, WRITER, admitted, eventually, landed_ids, spooled_ids, spooling

from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool
from analytics_platform.lake.store import LocalStore

LIMITS = replace(SMALL, segment_bytes=40_000)
CUTS = 20


class Load:
    """Committers at work in a thread of their own; `acked` grows as they are answered."""

    def __init__(self, spool: Spool) -> None:
        self.acked: list[str] = []
        self._spool = spool
        self._stopping = False

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        thread.start()
        try:
            yield
        finally:
            self._stopping = True
            thread.join()

    def wait_for(self, messages: int) -> None:
        """Wait until so many more were acknowledged."""
        before = len(self.acked)
        eventually(lambda: len(self.acked) >= before + messages)

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(n) for n in range(4)))

    async def _one(self, number: int) -> None:
        count = 0
        while not self._stopping:
            ids = [f"{number}-{count}-{n}" for n in range(3)]
            await self._spool.commit([admitted(each) for each in ids])
            self.acked += ids
            count += 1
            await asyncio.sleep(0.002)


def lost_by_power_cuts(tmp_path: Path, disk: PowerDisk) -> int:
    """Messages that were acknowledged before a cut and are neither in what it left nor in the lake, over many cuts."""
    chance, lost = random.Random(7), 0  # the cuts are the same in every run
    store = LocalStore(tmp_path / "lake")
    folder = tmp_path / "spool"
    with spooling(folder, LIMITS, disk=disk) as spool:
        load, shipper = Load(spool), Shipper(spool, store)
        shipper.start()
        with load.running():
            for cut in range(CUTS):
                load.wait_for(chance.randint(1, 40))
                promised: list[str] = []
                disk.cut(folder, tmp_path / f"{cut}", chance, lambda promised=promised: promised.extend(load.acked))  # type: ignore[misc]
                lost += len(set(promised) - after_the_cut(tmp_path / f"{cut}", store))
        assert shipper.stop()
    return lost


def after_the_cut(folder: Path, store: LocalStore) -> set[str]:
    """What a new process finds in a spool folder, with what had reached the lake before it."""
    with spooling(folder, LIMITS):
        found = set(spooled_ids(folder))
    shutil.rmtree(folder)
    return found | set(landed_ids(store))


def test_what_was_acknowledged_survives_power_cuts(tmp_path: Path) -> None:
    assert lost_by_power_cuts(tmp_path, PowerDisk()) == 0


def test_without_fdatasync_the_same_cuts_lose_acknowledged_events(tmp_path: Path) -> None:
    assert lost_by_power_cuts(tmp_path, PowerDisk(syncing=False)) > 0


def test_a_cut_after_shipping_leaves_an_account_that_goes_on(tmp_path: Path) -> None:
    disk, store = PowerDisk(), LocalStore(tmp_path / "lake")
    with spooling(tmp_path / "spool", LIMITS, disk=disk) as spool:
        asyncio.run(spool.commit([admitted("1")]))
        spool.drain()
        Shipper(spool, store).ship_waiting(final=True)
    disk.cut(tmp_path / "spool", tmp_path / "after", random.Random(1), lambda: None)
    before = {info.key for info in store.list("")}
    with spooling(tmp_path / "after", LIMITS) as spool:
        Shipper(spool, store).ship_waiting(final=True)
    assert {info.key for info in store.list("")} == before
    assert WRITER in "".join(before)
