"""Splitting the direct identifiers off a message: each gives way to its reference, and is handed on to be sealed.

By name where the catalogue says which names tell who somebody is (traits, parts of the context, properties that the
plan classes as sensitive); by pattern everywhere else that is free text, keys of objects among it, and in ids. The rest
of a message stays as it was, in its shape. Nothing here changes the message itself, since its parts may be shared.

Two things stay: the user agent, which tells a browser and not a person, and ids of properties that the plan classes as
none, which name things. A message id is no place for a person, so one that holds an identifier is replaced whole by a
fingerprint, which outlives rotations as retries do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import orjson

from analytics_platform.catalog import Catalog, Event, Field
from analytics_platform.catalog.identifiers import IdentifierKind, plain_name
from analytics_platform.identities.keys import KeyVersion, TenantKeys
from analytics_platform.identities.references import reference
from analytics_platform.intake.envelope import Parts, in_order, rest_in_order, trimmed
from analytics_platform.intake.identifier_search import IdentifierSearch, is_plain_id, replaced
from analytics_platform.tracking.plan import DEFAULT_MAX_LENGTH

# Of parts that are remembered: one of them, and all together, with what an entry takes beside its text.
_PART_BYTES = 4_096
_PARTS_BYTES = 12_000_000
_ENTRY_BYTES = 700
_SPELLINGS = 3
"""As it was sent, as its hash reads it, and as it lands."""

_Rule = IdentifierKind | dict[str, Any]
"""What the context's entry is: a kind, or rules for the entries below it."""


Taken = tuple[str, IdentifierKind, str]
"""Reference, kind, and the value as it was sent."""


@dataclass(slots=True)
class Repeated:
    """A part that clients send again and again, and what is made of it for all messages that bring it.

    Attributes:
        value: without its identifiers.
        line: the same as JSON.
        said: as it was sent, in the form that its payload's hash reads.
        identifiers: what was taken out of it.
    """

    value: dict[str, Any] | None
    line: orjson.Fragment | None
    said: orjson.Fragment | None
    identifiers: tuple[Taken, ...]


@dataclass(slots=True)
class Split:
    """The parts without their identifiers, and what they were."""

    message_id: str
    user_id: str | None
    anonymous_id: str | None
    properties: dict[str, Any] | None
    context: Repeated
    traits: dict[str, Any] | None
    extra: Repeated
    identifiers: tuple[Taken, ...]


class _Taken:
    """What was taken out of one message, each under the tenant's newest key."""

    __slots__ = ("identifiers", "version")

    def __init__(self, version: KeyVersion) -> None:
        self.version = version
        self.identifiers: dict[Taken, None] = {}

    def reference(self, kind: IdentifierKind, value: str) -> str:
        """Take a value out: the reference that stands in its place."""
        found = _reference(self.version, kind, value)
        self.identifiers[found, kind, value] = None
        return found


_SplitPart = Callable[[dict[str, Any], _Taken], dict[str, Any]]
"""Takes the identifiers out of one part of a message."""


_ABSENT = Repeated(None, None, None, ())


class _RepeatedPart:
    """Splits a part once for each of its spellings, by one version of the keys; `said` is for `Repeated`."""

    def __init__(self, split: _SplitPart, said: Callable[[dict[str, Any]], orjson.Fragment]) -> None:
        self._split, self._said = split, said
        self._known: dict[tuple[bytes, bytes], Repeated] = {}
        self._bytes = 0

    def split(self, value: dict[str, Any], version: KeyVersion) -> Repeated:
        """The part and its identifiers, split by a version of the keys; what is given is not to be changed."""
        key = orjson.dumps(value), version.reference
        known = self._known.get(key)
        if known is None:
            taken = _Taken(version)
            found = self._split(value, taken)
            line = orjson.Fragment(trimmed(orjson.dumps(found)))
            known = Repeated(found, line, self._said(value), tuple(taken.identifiers))
            if len(key[0]) <= _PART_BYTES:
                self._remember((trimmed(key[0]), key[1]), known)
        return known

    def _remember(self, key: tuple[bytes, bytes], known: Repeated) -> None:
        size = _SPELLINGS * len(key[0]) + _ENTRY_BYTES
        self._bytes += size
        if self._bytes > _PARTS_BYTES:
            self._known.clear()
            self._bytes = size
        self._known[key] = known


@dataclass(frozen=True, slots=True)
class _PlannedTexts:
    """Which properties of a planned event may hold identifiers, as the plan types and classes them.

    `searched` are free texts, each with the characters that it may have, and ids.
    """

    searched: tuple[tuple[str, int], ...]
    sensitive: tuple[str, ...]


class Splitter:
    """Splits messages by one catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        declared = catalog.direct_identifiers
        self.search = IdentifierSearch(catalog)
        self._search_in_versions = IdentifierSearch(catalog, without=("ip",))
        self._kept = frozenset(map(plain_name, declared.kept_traits))
        self._kinds = {plain_name(name): kind for kind, names in declared.traits.items() for name in names}
        self._versions = frozenset(map(plain_name, declared.versions))
        self._context = _rules(declared.context)
        self._planned = {name: _planned_texts(event) for name, event in catalog.events.items()}
        self._contexts = _RepeatedPart(self._of_context, in_order)
        self._extras = _RepeatedPart(self._texts, rest_in_order)

    def split(self, parts: Parts, event: str | None, keys: TenantKeys) -> Split:
        """Take the identifiers out of a message.

        Args:
            parts: of the message, as it was sent.
            event: the planned event that it is, if it is one.
            keys: its tenant's.
        """
        version = keys.newest
        taken = _Taken(version)
        properties, traits, user_id, anonymous_id = parts.properties, parts.traits, parts.user_id, parts.anonymous_id
        if event is not None:
            properties = self._of_plan(properties or {}, self._planned[event], taken) or properties
        elif properties:
            properties = self._texts(properties, taken)
        if traits:
            traits = self._traits(traits, None, taken)
        if user_id:
            user_id = self._text(user_id, taken)
        if anonymous_id:
            anonymous_id = self._text(anonymous_id, taken)
        context = _ABSENT if parts.context is None else self._contexts.split(parts.context, version)
        extra = _ABSENT if parts.extra is None else self._extras.split(parts.extra, version)
        identifiers = context.identifiers
        if taken.identifiers or extra.identifiers:
            identifiers = tuple(dict.fromkeys((*taken.identifiers, *identifiers, *extra.identifiers)))
        message_id = self._message_id(parts.message_id, keys)
        return Split(message_id, user_id, anonymous_id, properties, context, traits, extra, identifiers)

    def _message_id(self, said: str, keys: TenantKeys) -> str:
        if is_plain_id(said) or not self.search.find(said):
            return said
        return f"id_{keys.fingerprint(said)}"

    def _of_plan(self, properties: dict[str, Any], texts: _PlannedTexts, taken: _Taken) -> dict[str, Any] | None:
        """The properties of a planned event; None where nothing in them changes."""
        changed: dict[str, Any] = {}
        clean, get = self.search.clean, properties.get
        for name, longest in texts.searched:
            said = get(name)
            if said is not None and said not in clean and (other := self._text(said, taken)) is not said:
                changed[name] = other if len(other) <= longest else taken.reference("text", said)
        for name in texts.sensitive:
            if (said := get(name)) is not None:
                changed[name] = taken.reference("text", said)
        return properties | changed if changed else None

    def _of_context(self, value: dict[str, Any], taken: _Taken) -> dict[str, Any]:
        return self._object(value, taken, partial(self._context_entry, taken))

    def _context_entry(self, taken: _Taken, name: str, value: Any) -> Any:
        return self._traits(value, None, taken) if name == "traits" else self._ruled(taken, self._context, name, value)

    def _ruled(self, taken: _Taken, rules: Mapping[str, _Rule], name: str, value: Any) -> Any:
        """An entry of the context by the rule of its name, else by the patterns."""
        rule = rules.get(_plain(name))
        if rule is None:
            return self._entry(taken, name, value)
        if not isinstance(rule, dict):
            return self._identifier(value, rule, taken)
        if isinstance(value, list):
            return [self._ruled(taken, rules, name, each) for each in value]
        if isinstance(value, dict):
            return self._object(value, taken, partial(self._ruled, taken, rule))
        return self._texts(value, taken)

    def _traits(self, value: Any, kind: IdentifierKind | None, taken: _Taken) -> Any:
        """Traits: what is not kept by its name is split off, as `text` where its name says no kind."""
        if isinstance(value, dict):
            return self._object(value, taken, partial(self._trait, taken, kind))
        if isinstance(value, list):
            return [self._traits(each, kind, taken) for each in value]
        return self._identifier(value, kind, taken) if kind or isinstance(value, str) else value

    def _trait(self, taken: _Taken, above: IdentifierKind | None, name: str, value: Any) -> Any:
        plain = _plain(name)
        if above is None and plain in self._kept:
            return self._entry(taken, name, value)
        return self._traits(value, self._kinds.get(plain, above), taken)

    def _identifier(self, value: Any, kind: IdentifierKind | None, taken: _Taken) -> Any:
        """A value that is an identifier by its name, and whatever stands below it."""
        if isinstance(value, dict | list):
            return self._traits(value, kind or "text", taken)
        if value is None or isinstance(value, bool) or value == "":
            return value
        return taken.reference(kind or "text", value if isinstance(value, str) else str(value))

    def _texts(self, value: Any, taken: _Taken) -> Any:
        """Any JSON with the identifiers replaced that the patterns find in its texts and its keys."""
        if isinstance(value, str):
            return self._text(value, taken)
        if isinstance(value, dict):
            return self._object(value, taken, partial(self._entry, taken))
        if isinstance(value, list):
            return [self._texts(each, taken) for each in value]
        return value

    def _object(self, value: Mapping[str, Any], taken: _Taken, split: Callable[[str, Any], Any]) -> dict[str, Any]:
        """An object with its entries split, and its keys too; two spellings of one identifier stay two keys."""
        names: dict[str, Any] = {}
        clean = self.search.clean
        for name, each in value.items():
            key = name if name in clean else self._text(name, taken)
            while key in names:
                key += "_"
            names[key] = split(name, each)
        return names

    def _entry(self, taken: _Taken, name: str, value: Any) -> Any:
        """What stands under a name; numbers of versions look like IP addresses."""
        if not isinstance(value, str):
            return self._texts(value, taken)
        if value in self.search.clean:  # then there is none of fewer kinds in it either
            return value
        return self._text(value, taken, self._search_in_versions if _plain(name) in self._versions else None)

    def _text(self, text: str, taken: _Taken, search: IdentifierSearch | None = None) -> str:
        """A text with references in the place of what the patterns find; the same object where they find nothing."""
        search = search or self.search
        if text in search.clean or not (found := search.find(text)):
            return text
        return replaced(text, [(each, taken.reference(each.kind, each.value)) for each in found])


@lru_cache(maxsize=10_000)
def _reference(version: KeyVersion, kind: IdentifierKind, value: str) -> str:
    """A person's messages come together, so their references are made once."""
    return reference(version, kind, value)


@lru_cache(maxsize=4_096)
def _plain(name: str) -> str:
    return plain_name(name)


def _rules(paths: Mapping[str, IdentifierKind]) -> dict[str, Any]:
    """Paths joined by dots as nested rules."""
    rules: dict[str, Any] = {}
    for path, kind in paths.items():
        *above, name = map(plain_name, path.split("."))
        level = rules
        for each in above:
            level = level.setdefault(each, {})
        level[name] = kind
    return rules


def _planned_texts(event: Event) -> _PlannedTexts:
    fields = event.all_fields
    free = [(field.name, field.max_length or DEFAULT_MAX_LENGTH) for field in fields if _is_free_text(field)]
    ids = [(field.name, sys.maxsize) for field in fields if field.type in ("id", "ref") and field.pii != "none"]
    return _PlannedTexts(
        searched=(*free, *ids),
        sensitive=tuple(field.name for field in fields if field.type == "string" and field.pii == "sensitive"),
    )


def _is_free_text(field: Field) -> bool:
    return field.type == "string" and field.enum is None and field.pii != "sensitive"
