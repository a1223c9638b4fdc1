"""Mixed traffic of real clients against a whole deployment, with a trouble every so often, and an account at the end.

    python tests/faults/long_run.py --minutes 60              an hour, a trouble every minute
    python tests/faults/long_run.py --minutes 2 --every 12    what a change is tried with

The deployment is the platform's own processes: a collector, `analytics run` again and again, a bucket of S3's protocol
behind a proxy, PostgreSQL for Dagster where it is installed. Seed and order of troubles are told, so that a run can be
repeated; when exactly one strikes depends on the machine. Ends with code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1]))  # a program of its own finds the helpers of all tests

from accounts import accounted
from deployment import HISTORY_DAYS, Deployment, deployed
from mixed_traffic import mixed_traffic
from postgres import PostgresServer, running_postgres
from troubles import LONGEST_SECONDS, in_turn, logs

_PATIENCE_SECONDS = 900.0


def long_run(folder: Path, minutes: float, every: float, seed: int) -> dict[str, Any]:
    """Do it all; the answer names what was played, counted and found to differ."""
    began, dice = time.monotonic(), random.Random(seed)
    played: Counter[str] = Counter()
    first = datetime.now(UTC).date() - timedelta(days=HISTORY_DAYS)
    with _postgres() as postgres, deployed(folder, seed, postgres) as made:
        made.start_collector()
        builder = threading.Thread(target=made.keep_building)
        builder.start()
        with mixed_traffic(made.url, folder / "clients", shutil.which("node")) as told:
            while time.monotonic() - began < minutes * 60:
                for name, trouble in in_turn(made, dice):
                    if time.monotonic() - began < minutes * 60:
                        _say(f"{time.monotonic() - began:5.0f} s  {name}")
                        trouble(made, dice.uniform(1, LONGEST_SECONDS))
                        played[name] += 1
                        time.sleep(dice.uniform(every / 2, every))
            _say("calm: what clients hold is brought")
        made.stopping.set()
        builder.join()
        ends = _settled(made)
        account = accounted(made, told, first)
        problems = [*told.problems, *ends, *account.problems]
        if problems:
            sys.stderr.write(logs(folder))
    return {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "seed": seed,
        "troubles": dict(sorted(played.items())),
        "requests to the store that went wrong": dict(sorted(made.proxy.played.items())),
        "runs": dict(made.runs),
        **account.counts,
        "problems": problems,
    }


def _settled(made: Deployment) -> list[str]:
    """Ship what the collector holds, then build once more, and once again for nothing."""
    problems = []
    if (code := made.stop_collector()) != 0:
        problems.append(f"the collector ended with code {code}")
    answer = made.folder / "run.json"
    problems += [
        f"{attempt} failed: {answer.read_text()[-3000:]}"
        for attempt in ("the run after the last trouble", "a run again")
        if made.build().wait(_PATIENCE_SECONDS) != 0
    ]
    built = json.loads(answer.read_text())["built"]
    if again := [name for name in built if not name.startswith(("ops/", "governance/"))]:
        problems.append(f"a run again built {again}")
    return problems


@contextmanager
def _postgres() -> Iterator[PostgresServer | None]:
    """A server, where one is installed."""
    if not (shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))):
        yield None
        return
    with running_postgres() as server:
        yield server


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=60.0, help="at most so many seconds between two troubles")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept afterwards; by default a temporary one")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="long-run-") as temporary:
        report = long_run(asked.folder or Path(temporary), asked.minutes, asked.every, asked.seed)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    sys.exit(1 if report["problems"] else 0)


if __name__ == "__main__":
    main()
