"""What befalls a deployment in a long run: each trouble begins, lasts for some seconds, and is over."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deployment import Deployment
from weather import CALM, DOWN, FOUL

LONGEST_SECONDS = 8.0

_HOLDER = """
import sys, time
from pathlib import Path
from analytics_platform.warehouse import DuckDBWarehouse
with DuckDBWarehouse(Path(sys.argv[1]), lock_timeout=60).exclusive():
    print("held", flush=True)
    time.sleep(600)
"""

Trouble = Callable[[Deployment, float], None]
"""Does harm for so many seconds."""


def collector_killed(made: Deployment, seconds: float) -> None:
    """Kill -9, and a new one after a while."""
    made.kill_collector()
    time.sleep(seconds / 2)
    made.start_collector()


def store_flaps(made: Deployment, seconds: float) -> None:
    """Every sixth request goes wrong in one of the ways."""
    made.proxy.weather = FOUL
    time.sleep(2 * seconds)
    made.proxy.weather = CALM


def store_is_gone(made: Deployment, seconds: float) -> None:
    """Nothing answers."""
    made.proxy.weather = DOWN
    time.sleep(seconds)
    made.proxy.weather = CALM


def run_killed(made: Deployment, seconds: float) -> None:
    """Kill -9 for whatever a run does at that moment."""
    time.sleep(seconds)
    while not made.kill_run():
        time.sleep(0.2)


def warehouse_held(made: Deployment, seconds: float) -> None:
    """Another process has the warehouse, and is killed with it."""
    command = [sys.executable, "-c", _HOLDER, str(made.home / "warehouse.duckdb")]
    with subprocess.Popen(command, env=made.environment, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        time.sleep(seconds)
        holder.kill()


def disk_full(made: Deployment, seconds: float) -> None:
    """Somebody else's file takes all that is left of the home's disk."""
    filler = made.home / "somebody_elses_file"
    with filler.open("wb") as file:
        left = os.statvfs(made.home)
        os.posix_fallocate(file.fileno(), 0, max(1, left.f_bavail * left.f_frsize - 1_000_000))
    time.sleep(seconds)
    filler.unlink()


def records_restarted(made: Deployment, seconds: float) -> None:
    """PostgreSQL breaks every connection off and comes back."""
    time.sleep(seconds)
    assert made.postgres is not None
    made.postgres.restart()


def troubles_of(made: Deployment) -> Mapping[str, Trouble]:
    """Those that this machine lets us do."""
    found: list[Trouble] = [collector_killed, store_flaps, store_is_gone, run_killed, warehouse_held]
    if made.can_fill:
        found.append(disk_full)
    if made.postgres is not None:
        found.append(records_restarted)
    return {each.__name__: each for each in found}


def in_turn(made: Deployment, dice: random.Random) -> list[tuple[str, Trouble]]:
    """All troubles in an order that the dice give."""
    turn = list(troubles_of(made).items())
    dice.shuffle(turn)
    return turn


def logs(folder: Path) -> str:
    """The end of what processes wrote, for whoever looks into a difference."""
    return "\n".join(
        f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in sorted(folder.glob("*.log"))
    )
