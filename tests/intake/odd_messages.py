"""Messages of all sorts and what the gate makes of them, as hashes: the same ones every time.

`tests/fixtures/gate_outcomes.json` holds the hashes of a gate that was known to be right. Who changes what a message
becomes, on purpose, or the plan's events that are used here, writes them anew:
`PYTHONPATH=.:tests:tests/intake python tests/intake/odd_messages.py`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson
from captured import captured_messages
from intake_messages import OTHER_TENANT, TENANT, flow_step, scan
from known_keys import KEYS, gate_of

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.identities.references import reference
from analytics_platform.identities.suppression import Suppression, Suppressions, subject_hash
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.outcomes import Admitted, Rejected, WriteKeyContext
from benchmarks.messages import message

RECORDED = Path(__file__).parents[1] / "fixtures" / "gate_outcomes.json"
MESSAGES, _GROUP = 3_000, 50
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)

_TENANTS = (TENANT, OTHER_TENANT)
_TEXTS = (
    *("", "x", "word", "user_1", "user-1", "op-1", "page", "track", "a\nb", "\x00", "x" * 257, "é", "\u202e", "\xa0x"),
    *("a.b@example.com", "mail a.b@example.com and c@d.nl", "a%40b.nl", "NL91ABNA0417164300", "+31 6 12345678"),
    *("0612345678", "198.51.0.7", *_TENANTS),
)
_TIMES = (
    *("2026-01-15T09:30:00.250Z", "2026-01-15T09:30:00+02:00", "2026-01-15", "2026-01-15T09:30:00", "20260115T093000Z"),
    *("2026-02-01T12:04:59Z", "2026-02-01T12:05:01Z", "2027-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "nonsense"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-13T10:00:00Z", "2026-01-09T23:30:00Z"),
    *("2026-01-30T23:59:59.999999Z", "2026-01-15T24:00:00Z", 5, None, True),
)
_NAMES = ("a", "email", "ip", "version", "name", "phone", "traits", "tenant_id", "project_id", "_metadata", "c@d.nl")
_ENVELOPE = (
    *("type", "event", "messageId", "userId", "anonymousId", "properties", "context", "traits", "integrations"),
    *("timestamp", "originalTimestamp", "sentAt", "receivedAt", "writeKey", "groupId", "_metadata", "batch"),
)
_WRITE_KEYS = ("demo-brabant-rental-server", "demo-albion-stage-server", "demo-albion-stage-browser", "nobody's", 5)
_EVENTS = ("scan.complete", "x" * 200, "", None, 5, "http.request", "a.b@example.com")
_SHARED: tuple[dict[str, Any] | None, ...] = (
    *(None,) * 8,
    {"sentAt": "2026-01-20T00:00:00Z"},
    {"sentAt": "bad"},
    {"type": "page"},
    {"context": {"ip": "198.51.0.9", "a": 1}, "integrations": {"All": True}, "sentAt": "2026-02-01T11:59:59Z"},
    {"type": "track", "context": {"traits": {"email": "z@z.nl"}}},
)
_SENDERS: tuple[WriteKeyContext | None, ...] = (
    *(None,) * 8,
    *(WriteKeyContext(tenant, "k", "server", "product") for tenant in _TENANTS),
    *(WriteKeyContext(tenant, "k", "browser", "marketing") for tenant in _TENANTS),
    *(WriteKeyContext(tenant, "k", "import", "product") for tenant in _TENANTS),
)


class Odd(NamedTuple):
    """A message with what its request said, and which gate judges it."""

    gate: int
    raw: bytes
    key: WriteKeyContext | None
    shared: dict[str, Any] | None

    def judged(self, gates: list[Gate]) -> Admitted | Rejected:
        """What its gate makes of it."""
        return gates[self.gate].admit(self.raw, received_at=NOW, key=self.key, shared=copy.deepcopy(self.shared))


def gates(catalog: Catalog) -> list[Gate]:
    """Fresh gates: one tenant has erased people, a day was removed; two are of an import and of a short history."""
    keys = KEYS.of(OTHER_TENANT)
    gone = ("user_1", "user-1", "op-1", reference(keys.newest, "email", "a.b@example.com"))
    stand_ins = {subject_hash(keys, each): f"erased_{number}" for number, each in enumerate(gone)}
    erased = Suppressions({OTHER_TENANT: (Suppression("r1", datetime(2026, 1, 25, tzinfo=UTC), stand_ins),)})
    common = {
        "suppressed": lambda: erased,
        "removed": lambda stream, _, day: (stream, day) == ("inventory", date(2026, 1, 13)),
    }
    kinds: tuple[dict[str, Any], ...] = ({}, {"tenant": OTHER_TENANT}, {"history_start": date(2026, 1, 10)})
    return [gate_of(catalog, **common, **kind) for kind in kinds]


def odd_messages(count: int = MESSAGES, seed: int = 1) -> Iterator[Odd]:
    """Messages as clients send them, most of them with something changed."""
    rng = Random(seed)
    captured = [each.message for each in captured_messages()]
    for _ in range(count):
        said = _sound(rng, captured)
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            _change(rng, said)
        raw = orjson.dumps(said)
        yield Odd(rng.choice((0, 0, 1, 2)), _damaged(rng, raw), rng.choice(_SENDERS), rng.choice(_SHARED))


def outcomes(catalog: Catalog) -> dict[str, Any]:
    """The hashes of all outcomes, in groups, and how many messages had which."""
    judging, reasons = gates(catalog), Counter[str]()
    hashes = []
    for number, odd in enumerate(odd_messages()):
        if number % _GROUP == 0:
            hashes.append(hashlib.sha256())
        outcome = odd.judged(judging)
        reasons[str(outcome.reason) if isinstance(outcome, Rejected) else "admitted"] += 1
        hashes[-1].update(repr(outcome).encode())
    return {"reasons": dict(sorted(reasons.items())), "hashes": [each.hexdigest()[:16] for each in hashes]}


def _sound(rng: Random, captured: list[dict[str, Any]]) -> dict[str, Any]:
    tenant, moment = rng.choice(_TENANTS), datetime(2026, 1, rng.randrange(9, 31), rng.randrange(24), tzinfo=UTC)
    chance = rng.random()
    if chance < 0.45:
        return message(rng, tenant, moment)
    if chance < 0.6:
        return copy.deepcopy(rng.choice(captured))
    if chance < 0.75:
        return scan(f"m-{rng.randrange(999)}", properties={"tenant_id": tenant})
    if chance < 0.85:
        return flow_step(f"m-{rng.randrange(999)}", moment.isoformat(), tenant)
    return {
        "type": rng.choice(("identify", "page", "screen", "group", "alias")),
        "messageId": str(rng.random()),
        "userId": rng.choice(("user_1", "user_5", 7, "a.b@example.com")),
        "timestamp": moment.isoformat(),
        "traits": {"email": "a.b@example.com", "plan": "pro", "company": _value(rng), "name": "Ann"},
        "properties": {"url": "https://x.nl/?e=a.b%40example.com", "x": _value(rng)},
        "context": {"ip": "198.51.0.7", "page": {"url": "https://x.nl"}, "traits": {"email": "c@d.nl"}},
        "integrations": {},
        "_metadata": {"retry": rng.randrange(3)},
    }


def _change(rng: Random, said: dict[str, Any]) -> None:
    chance, properties = rng.random(), said.get("properties")
    if chance < 0.15:
        said[rng.choice(("timestamp", "originalTimestamp", "sentAt", "receivedAt"))] = rng.choice(_TIMES)
    elif chance < 0.25:
        said[rng.choice(_ENVELOPE)] = _value(rng)
    elif chance < 0.32:
        said.pop(rng.choice(_ENVELOPE), None)
    elif chance < 0.38:
        said["writeKey"] = rng.choice(_WRITE_KEYS)
    elif chance < 0.5:
        said[rng.choice(("messageId", "userId", "anonymousId"))] = rng.choice((*_TEXTS, 5, -3, True, 1.5, [], {}))
    elif chance < 0.75 and isinstance(properties, dict) and properties:
        properties[rng.choice(list(properties))] = rng.choice((_value(rng), rng.choice(_TIMES)))
    elif chance < 0.9 and isinstance(context := said.get("context"), dict):
        said["context"] = context | {rng.choice((*_NAMES, "page", "device")): _value(rng)}
    else:
        _strain(rng, said)


def _strain(rng: Random, said: dict[str, Any]) -> None:
    """Go to the bounds of size and depth, or to events that the plan does not know."""
    kind = rng.randrange(4)
    if kind == 0:
        said["traits"] = {f"k{number}": f"v{number}@x.nl" for number in range(rng.choice((3, 1_100)))}
    elif kind == 1:
        said[rng.choice(("context", "traits", "other"))] = _nested(rng.choice((28, 29, 30, 31, 40)))
    elif kind == 2:
        said["pad"] = "p" * rng.choice((1_000, 32_000, 33_000))
    else:
        said["event"] = rng.choice(_EVENTS)


def _value(rng: Random, depth: int = 0) -> Any:
    chance = rng.random()
    if chance < 0.4 or depth > 3:
        return rng.choice(_TEXTS)
    if chance < 0.6:
        return rng.choice((0, -1, 2**53, 2**63, 10**19, 1.5, 1.0, True, False, None, *_TIMES))
    if chance < 0.85:
        return {rng.choice(_NAMES): _value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [_value(rng, depth + 1) for _ in range(rng.randrange(3))]


def _nested(depth: int) -> dict[str, Any]:
    found: Any = 1
    for level in range(depth):
        found = [found] if level % 2 else {"a": found}
    return {"d": found}


def _damaged(rng: Random, raw: bytes) -> bytes:
    chance = rng.random()
    if chance < 0.03:
        at = rng.randrange(len(raw))
        return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
    return raw[: rng.randrange(len(raw))] if chance < 0.04 else raw


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(outcomes(load_catalog()), indent=1) + "\n")
