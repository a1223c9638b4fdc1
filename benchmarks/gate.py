"""What judging a message costs, beside parsing it and beside the compiled calls it cannot do without.

`python -m benchmarks.gate` measures three ways over the same fixed corpus, a hundred messages at a time in turns, and
adds up the fastest of each hundred's rounds: so what else the machine does hardly shows.

- parse: every line as JSON.
- compiled: parse, check by the plan's schema, read the times, put in order and hash what was said, write the landing
  line. Each is one call into compiled code, made for the message at hand; nothing is decided, bounded or split.
- gate: an import's (`Gate.admit`).

For a guard that counts and takes no time `judge` and `parse` go over all lines once, after one call of each that is
not counted: the gate remembers contexts, references and keys from one message to the next.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema_rs
import orjson

from analytics_platform.catalog import load_catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.outcomes import Rejected
from analytics_platform.intake.reader import Reading, find_sources, read_lines
from analytics_platform.lake.schema import landing_line
from analytics_platform.tracking.plan import plan_schemas
from benchmarks.messages import write_file

LINES = 2_000
_NOW = datetime(2025, 1, 3, tzinfo=UTC)
_AT_ONCE = 100
_KEY = bytes(32)


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


def compiled_calls() -> Callable[[Iterable[bytes]], int]:
    """What makes the compiled calls for some lines; how many were JSON."""
    check = {name: jsonschema_rs.Draft7Validator(schema, validate_formats=True).is_valid for name, schema in _plan()}
    keyed = hashlib.blake2b(digest_size=8, key=_KEY, person=b"payload")

    def one(message: dict[str, Any]) -> None:
        properties, context = message["properties"], message["context"]
        check[message["event"]](properties)
        stated, sent, received = map(
            datetime.fromisoformat, (message["timestamp"], message["sentAt"], message["receivedAt"])
        )
        hashed = keyed.copy()
        hashed.update(orjson.dumps((message["event"], stated, properties, context), option=orjson.OPT_SORT_KEYS))
        said = {**message, "timestamp": stated, "sentAt": sent, "receivedAt": received, "hash": hashed.hexdigest()}
        landing_line(said)

    def run(lines: Iterable[bytes]) -> int:
        calls = 0
        for line in lines:
            with contextlib.suppress(orjson.JSONDecodeError):
                one(orjson.loads(line))
                calls += 1
        return calls

    return run


def _plan() -> Iterable[tuple[str, dict[str, Any]]]:
    return plan_schemas(load_catalog()).items()


def measured(
    ways: dict[str, Callable[[Sequence[bytes]], object]], lines: Sequence[bytes], rounds: int
) -> dict[str, float]:
    """Microseconds a message of each way, all of them in turns."""
    parts = [lines[start : start + _AT_ONCE] for start in range(0, len(lines), _AT_ONCE)]
    fastest = {name: [float("inf")] * len(parts) for name in ways}
    for _ in range(rounds):
        for number, part in enumerate(parts):
            for name, way in ways.items():
                started = time.perf_counter()
                way(part)
                fastest[name][number] = min(fastest[name][number], time.perf_counter() - started)
    return {name: sum(found) / len(lines) * 1e6 for name, found in fastest.items()}


def main() -> int:
    """Command line: what each way costs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=LINES)
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    lines = corpus(arguments.messages)
    with TemporaryDirectory(prefix="analytics-bench-") as folder:
        judging = gate(Path(folder))
        judge(judging, lines)
        ways: dict[str, Callable[[Sequence[bytes]], object]] = {
            "parse": parse,
            "compiled": compiled_calls(),
            "gate": partial(judge, judging),
        }
        found = measured(ways, lines, arguments.rounds)
    for name, cost in found.items():
        print(f"{name:10}{cost:7.2f} us a message  {cost / found['compiled']:5.2f} x compiled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
