"""Readers of what the demo wrote: files, messages, and the valid events without repeats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import zstandard

SEED = 20
FIRST_DAY, LAST_DAY = date(2025, 11, 22), date(2026, 7, 31)

Message = dict[str, Any]
Properties = dict[str, Any]


def read_messages(folder: Path) -> list[Message]:
    """The messages of a tenant's folder, file by file, line by line."""
    messages = []
    for path in sorted(folder.glob("*.ndjson.zst")):
        lines = zstandard.ZstdDecompressor().decompress(path.read_bytes()).splitlines()
        messages += [orjson.loads(line) for line in lines]
    return messages


class History:
    """What one tenant sent: all messages, and the valid events without repeats."""

    def __init__(self, folder: Path, plan: dict[str, jsonschema_rs.Draft7Validator]) -> None:
        self.tenant_id = folder.name
        self.messages = read_messages(folder)
        self.refused: list[Message] = []
        self.events: dict[str, list[Properties]] = defaultdict(list)
        seen: set[str] = set()
        for message in self.messages:
            if message["type"] != "track":
                continue
            validator = plan.get(message["event"])
            if validator is None or not validator.is_valid(message["properties"]):
                self.refused.append(message)
            elif message["messageId"] not in seen:
                seen.add(message["messageId"])
                self.events[message["event"]].append(message["properties"])

    def by_id(self, event: str, key: str) -> dict[str, Properties]:
        """The events of a name by one of their ids (the last counts)."""
        return {properties[key]: properties for properties in self.events[event]}

    def grouped(self, event: str, key: str) -> dict[str, list[Properties]]:
        """The events of a name, grouped by one of their ids."""
        groups: dict[str, list[Properties]] = defaultdict(list)
        for properties in self.events[event]:
            groups[properties[key]].append(properties)
        return groups


def moment(text: str) -> datetime:
    """A timestamp of a message."""
    return datetime.fromisoformat(text)


def texts(value: object) -> Iterator[str]:
    """Every text anywhere in a message."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
