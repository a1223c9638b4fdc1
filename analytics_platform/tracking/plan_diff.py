"""What changed between two tracking plans, and for whom: breaking, additive, or documentation alone.

A change is **additive** when every message that the old plan takes is still taken and still means the same; it is
**breaking** when a producer, a stored message or a reader would have to change. A breaking change is in order when its
event gets a new schema version. Where two schemas cannot be compared by looking at them, the change counts as breaking.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Literal

from analytics_platform.catalog import PII_CLASSES
from analytics_platform.tracking.plan import JsonSchema
from analytics_platform.tracking.taxonomy import CompiledEvent, CompiledField, CompiledPlan

Kind = Literal["breaking", "additive", "documentation"]

_VERSION = "schema_version"
_LOWER_BOUNDS = ("minimum", "minLength")
_UPPER_BOUNDS = ("maximum", "maxLength")
_FORMS = ("pattern", "format")


@dataclass(frozen=True)
class Change:
    """One change. ``field`` is None for the event as a whole; ``privacy`` marks a change of a PII class."""

    event: str
    field: str | None
    kind: Kind
    reason: str
    privacy: bool = False

    def __str__(self) -> str:
        where = self.event if self.field is None else f"{self.event}.{self.field}"
        return f"{self.kind}: {where}: {self.reason}"


@dataclass(frozen=True)
class PlanDiff:
    """All changes, in the order of the new plan; ``versioned`` names the events that got a new schema version."""

    changes: tuple[Change, ...]
    versioned: frozenset[str]

    @property
    def blocking(self) -> tuple[Change, ...]:
        """Breaking changes of events that got no new schema version."""
        return tuple(c for c in self.changes if c.kind == "breaking" and c.event not in self.versioned)

    def as_dict(self) -> dict[str, Any]:
        """The diff as JSON."""
        return {
            "ok": not self.blocking,
            "changes": [asdict(change) for change in self.changes],
            "blocking": len(self.blocking),
            "versioned": sorted(self.versioned),
        }


def diff_plans(old: CompiledPlan, new: CompiledPlan) -> PlanDiff:
    """Compare two plans."""
    removed = [Change(name, None, "breaking", "the event is gone") for name in old.events if name not in new.events]
    added = [Change(name, None, "additive", "the event is new") for name in new.events if name not in old.events]
    both = [name for name in new.events if name in old.events]
    changed = chain.from_iterable(_event_changes(name, old.events[name], new.events[name]) for name in both)
    versioned = [name for name in both if _new_versions(old.events[name], new.events[name])]
    return PlanDiff((*removed, *changed, *added), frozenset(versioned))


def _new_versions(old: CompiledEvent, new: CompiledEvent) -> list[int]:
    return [version for version in new.schema_versions if version not in old.schema_versions]


def _event_changes(name: str, old: CompiledEvent, new: CompiledEvent) -> Iterator[Change]:
    if old.stream != new.stream:
        yield Change(name, None, "breaking", f"moved from stream {old.stream} to {new.stream}")
    if old.occurred_at != new.occurred_at:
        reason = f"its business time is {_said(new.occurred_at)} and no longer {_said(old.occurred_at)}"
        yield Change(name, None, "breaking", reason)
    if old.description != new.description:
        yield Change(name, None, "documentation", "its description changed")
    for version in _new_versions(old, new):
        yield Change(name, _VERSION, "additive", f"version {version} is new")
    for version in old.schema_versions:
        if version not in new.schema_versions:
            yield Change(name, _VERSION, "breaking", f"version {version} is no longer accepted")
    yield from _fields_changes(name, old, new)


def _said(occurred_at: str | None) -> str:
    return "the message's timestamp" if occurred_at is None else occurred_at


def _fields_changes(event: str, old: CompiledEvent, new: CompiledEvent) -> Iterator[Change]:
    for name in old.fields:
        if name not in new.fields:
            yield Change(event, name, "breaking", "the field is gone: messages that carry it are refused")
    for name, field in new.fields.items():
        if name in old.fields:
            yield from _field_changes(event, name, old.fields[name], field)
        elif field.required:
            yield Change(event, name, "breaking", "the field is new and required")
        else:
            yield Change(event, name, "additive", "the field is new and optional")


def _field_changes(event: str, name: str, old: CompiledField, new: CompiledField) -> Iterator[Change]:
    if new.required and not old.required:
        yield Change(event, name, "breaking", "is required now")
    if old.required and not new.required:
        yield Change(event, name, "additive", "is optional now: readers may find it absent")
    if old.unit != new.unit:
        yield Change(event, name, "breaking", f"its unit is {new.unit or 'none'} and no longer {old.unit or 'none'}")
    if old.pii != new.pii:
        yield _privacy_change(event, name, old.pii, new.pii)
    if old.description != new.description:
        yield Change(event, name, "documentation", "its description changed")
    # The versions that a message may name are compared for the event as a whole.
    if name != _VERSION and old.accepts != new.accepts:
        reasons = narrowed(old.accepts, new.accepts)
        yield from (Change(event, name, "breaking", reason) for reason in reasons)
        if not reasons:
            yield Change(event, name, "additive", "takes more than before")


def _privacy_change(event: str, field: str, old: str, new: str) -> Change:
    """Less protection is breaking: what was kept from some readers would be open to them, stored messages included."""
    loosened = _protection(new) < _protection(old)
    reason = f"PII class {old} becomes {new}: {'less' if loosened else 'more'} protected"
    return Change(event, field, "breaking" if loosened else "additive", reason, privacy=True)


def _protection(pii: str) -> int:
    ranks: dict[str, int] = {name: rank for rank, name in enumerate(PII_CLASSES)}
    return ranks[pii]


def narrowed(old: JsonSchema, new: JsonSchema) -> list[str]:
    """Say why some value that the old schema takes may be refused by the new one; nothing when none is."""
    if old == new:
        return []
    if "anyOf" in old or "anyOf" in new:
        alternatives = new.get("anyOf", [new])
        taken = all(any(not narrowed(each, other) for other in alternatives) for each in old.get("anyOf", [old]))
        return [] if taken else ["takes fewer forms than before"]
    if "enum" in old:
        gone = [value for value in old["enum"] if not _takes(new, value)]
        return [f"no longer takes {', '.join(map(str, gone))}"] if gone else []
    return list(_narrowed_words(old, new))


def _narrowed_words(old: JsonSchema, new: JsonSchema) -> Iterator[str]:
    """Compare two schemas without alternatives, of which the old one lists no values."""
    if old["type"] != new["type"] and (old["type"], new["type"]) != ("integer", "number"):
        yield f"is {new['type']} and no longer {old['type']}"
        return
    if "enum" in new:
        yield "is a closed list now"
    for word in _LOWER_BOUNDS:
        if word in new and (word not in old or old[word] < new[word]):
            yield f"{word} rises from {old.get(word, 'none')} to {new[word]}"
    for word in _UPPER_BOUNDS:
        if word in new and (word not in old or old[word] > new[word]):
            yield f"{word} falls from {old.get(word, 'none')} to {new[word]}"
    for word in _FORMS:
        if word in new and new[word] != old.get(word):
            yield f"must match {word} {new[word]}"


def _takes(schema: JsonSchema, value: object) -> bool:
    """Whether a schema without alternatives takes a text that another lists."""
    if schema["type"] != "string" or not isinstance(value, str) or "format" in schema:
        return False
    return (
        value in schema.get("enum", [value])
        and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        and re.search(schema.get("pattern", ""), value) is not None
    )


def lines(diff: PlanDiff) -> Iterable[str]:
    """Say the diff to a person: PII classes first, then breaking before additive before documentation."""
    order: tuple[Kind, ...] = ("breaking", "additive", "documentation")
    ranked = sorted(diff.changes, key=lambda change: (not change.privacy, order.index(change.kind)))
    yield from (f"{change}{' (new schema version)' if _excused(diff, change) else ''}" for change in ranked)
    yield f"{len(diff.changes)} changes, {len(diff.blocking)} breaking without a new schema version"


def _excused(diff: PlanDiff, change: Change) -> bool:
    return change.kind == "breaking" and change.event in diff.versioned
