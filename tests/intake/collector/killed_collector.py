"""A collector without its HTTP side that is started to be killed.

For every line on standard input it starts a process that recovers the spool, ships, and commits as fast as it can. On
standard output come `pid N`, then `acked ID…` after each commit that returned, and `dead` when the process is gone.
Forking from a process that has imported everything makes a round cost what recovery costs, not what imports cost.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # a program of its own finds the helpers of all tests as pytest does

from spool_house import WRITER, admitted, letter

from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool, SpoolLimits
from analytics_platform.lake.store import LocalStore

LIMITS = SpoolLimits(segment_bytes=30_000, segment_seconds=0.02, min_free_bytes=0)
COMMITTERS = 8


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def committing(spool: Spool, name: str) -> None:
    count = 0
    while True:
        ids = [f"{name}-{count}-{n}" for n in range(3)]
        await spool.commit([*(admitted(each) for each in ids), letter(ids[0])])
        say(f"acked {' '.join(ids)}")
        count += 1


async def load(spool: Spool, name: str) -> None:
    await asyncio.gather(*(committing(spool, f"{name}-{n}") for n in range(COMMITTERS)))


def live(home: Path, name: str) -> None:
    spool = Spool.open(home / "spool", WRITER, LIMITS)
    Shipper(spool, LocalStore(home / "lake")).start()
    asyncio.run(load(spool, name))


def main() -> None:
    home = Path(sys.argv[1])
    for number, _ in enumerate(sys.stdin):
        child = os.fork()
        if not child:
            live(home, str(number))
        say(f"pid {child}")
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    main()
