"""What judging a message costs beside parsing it, over a fixed corpus: for a guard that counts and takes no time.

`corpus` gives the same lines every time; `judge` and `parse` go over all of them once. Whoever guards the gate counts
what both do (instructions, allocations, calls) and compares the two, after one call of each that is not counted: the
gate remembers contexts, references and keys from one message to the next.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from analytics_platform.catalog import load_catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.outcomes import Rejected
from analytics_platform.intake.reader import Reading, find_sources, read_lines
from benchmarks.messages import write_file

LINES = 2_000
_NOW = datetime(2025, 1, 3, tzinfo=UTC)


def corpus(lines: int = LINES) -> list[bytes]:
    """A day of messages, 1 % of them broken: the same bytes every time."""
    with TemporaryDirectory(prefix="analytics-bench-") as folder:
        file = Path(folder) / "messages.zst"
        write_file(file, load_catalog(), events=lines, days=1)
        (source,) = find_sources([file])
        return [line.raw for line in read_lines(Reading(source))]


def gate(folder: Path) -> Gate:
    """A gate of the catalogue's plan and tenants, with keys in the folder and nobody erased."""
    nobody = Suppressions()
    return Gate(load_catalog(), identities=IdentityKeys(folder / "identity_keys.json"), suppressed=lambda: nobody)


def judge(judging: Gate, lines: Iterable[bytes]) -> Counter[str]:
    """Judge all lines; how many had which outcome (`admitted`, or the reason of the refusal)."""
    admit = partial(judging.admit, received_at=_NOW)
    outcomes = (admit(line) for line in lines)
    return Counter(str(each.reason) if isinstance(each, Rejected) else "admitted" for each in outcomes)


def parse(lines: Iterable[bytes]) -> int:
    """The floor: parse all lines; how many are JSON."""
    parsed = 0
    for line in lines:
        with contextlib.suppress(orjson.JSONDecodeError):
            orjson.loads(line)
            parsed += 1
    return parsed
