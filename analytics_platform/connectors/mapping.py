"""From a row to a message of the plan, or to the reason why there is none. Pure, without I/O.

The message id is made of the connector's name, the event, the row's key and its version, so the same row makes the same
message whenever it is read. It is written in clear, for the gate to replace one that holds an identifier; what is too
long for an id is hashed. A row is kept as the flat table of the columns that rules read: nothing else of it is staged,
landed or kept in a dead letter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from analytics_platform.catalog import Catalog, Field
from analytics_platform.connectors import values
from analytics_platform.connectors.declared import Condition, Rule, Tenant, Time, Value
from analytics_platform.connectors.loading import AnyConnector
from analytics_platform.connectors.values import UnreadableError
from analytics_platform.identities.keys import IdentityKeys, KeyVersion
from analytics_platform.identities.references import reference

Row = Mapping[str, Any]
"""The columns that rules read, by the names or paths under which they read them."""

_TRAITS = {"email": "email", "phone": "phone", "name": "name", "account": "iban"}
"""Under which trait a direct identifier goes to the gate, which seals it."""

_ID_CHARACTERS = 200
_UNIT_OF_BOOKINGS = {"booking_value_minor": "booking_currency"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """The rule does not take the row."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """The rule takes the row and cannot make a message of it; `detail` names the column and the mend."""

    detail: str
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the gate takes it; `tenant` is what the row says, registered or not."""

    raw: bytes
    tenant: str


Mapped = Message | Skipped | Unmapped


class Mapper:
    """Makes messages of one stream's rows.

    Args:
        connector: whose stream it is.
        stream: its name.
        catalog: the plan and the tenants.
        identities: the keys that references are made with.
    """

    def __init__(self, connector: AnyConnector, stream: str, catalog: Catalog, identities: IdentityKeys) -> None:
        self._connector, self._catalog, self._identities = connector, catalog, identities
        self.rules: Mapping[str, Rule] = connector.streams[stream].rules
        self.columns = sorted({column for rule in self.rules.values() for _, column in rule.columns()})

    def flat(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What rules read of a row of the source."""
        return {column: values.kept(_looked_up(row, column)) for column in self.columns}

    def message(self, name: str, row: Row, *, keys_back: int = 0) -> Mapped:
        """What a rule makes of a row.

        Args:
            name: the rule's.
            row: flat.
            keys_back: make references with an older version of the tenant's keys: the last is 0, the one before 1.
        """
        rule = self.rules[name]
        if not all(_holds(condition, row) for condition in rule.where):
            return Skipped()
        tenant: str | None = None
        try:
            tenant = self._tenant(rule, row)
            return self._made(rule, row, tenant, keys_back)
        except _WrongColumnError as wrong:
            return Unmapped(str(wrong), tenant)

    def versions(self, tenant: str) -> int:
        """How many versions a tenant's keys have."""
        return len(self._identities.of(tenant).versions)

    def uses_references(self, name: str) -> bool:
        """Whether a rule's messages depend on the version of the keys."""
        return any(value.reference for value in self.rules[name].properties.values())

    def _made(self, rule: Rule, row: Row, tenant: str, keys_back: int) -> Message:
        event = self._catalog.events[rule.event]
        fields = {field.name: field for field in event.all_fields}
        version = self._key_version(rule, tenant, keys_back)
        properties: dict[str, Any] = {"schema_version": max(event.schema_versions), "tenant_id": tenant}
        traits: dict[str, str] = {}
        # Money last: how many digits it has depends on its currency.
        for name, value in sorted(rule.properties.items(), key=lambda item: fields[item[0]].unit == "minor"):
            found = self._property(fields[name], value, row, properties)
            if found is None:
                continue
            if value.reference is not None and version is not None:
                traits[_TRAITS[value.reference]] = str(found)
                found = reference(version, value.reference, str(found))
            properties[name] = found
        message = {
            "type": "track",
            "event": rule.event,
            "messageId": self._message_id(rule, row),
            "timestamp": self._timestamp(rule, row, properties, event.occurred_at),
            "properties": properties,
        }
        if traits:
            message["context"] = {"traits": traits}
        return Message(orjson.dumps(message), tenant)

    def _key_version(self, rule: Rule, tenant: str, keys_back: int) -> KeyVersion | None:
        """The keys of references; none are made for a tenant that is not registered."""
        if tenant not in self._catalog.tenants or not any(each.reference for each in rule.properties.values()):
            return None
        return self._identities.of(tenant).versions[-1 - keys_back]

    def _tenant(self, rule: Rule, row: Row) -> str:
        said = rule.tenant or self._connector.tenant
        if not isinstance(said, Tenant):
            assert said is not None
            return said
        with _reading(said.column):
            found = values.text(row.get(said.column))
            if found is None:
                raise UnreadableError("is empty, and names the tenant")
            if said.values is None:
                return found
            if found not in said.values:
                raise UnreadableError("names a tenant that the rule's `tenant.values` does not; add it")
            return said.values[found]

    def _timestamp(self, rule: Rule, row: Row, properties: Mapping[str, Any], occurred_at: str | None) -> Any:
        if rule.timestamp is None:
            assert occurred_at is not None
            return properties.get(occurred_at)
        with _reading(rule.timestamp.column):
            found = values.moment(row.get(rule.timestamp.column), rule.timestamp.format, *self._clock(rule.timestamp))
        if found is None:
            raise _WrongColumnError(f"column {rule.timestamp.column!r} is empty, and says when it happened")
        return found.isoformat()

    def _clock(self, said: Time | Value) -> tuple[str | None, Any]:
        return said.time_zone or self._connector.time_zone, said.ambiguous or self._connector.ambiguous

    def _property(self, field: Field, value: Value, row: Row, others: Mapping[str, Any]) -> Any:
        if value.column is None:
            return value.constant
        with _reading(value.column):
            held = row.get(value.column)
            said = values.text(held)
            if said is None:
                held = value.default
            elif value.values is not None:
                held = _translated(value, said)
            if held is None:
                return None
            if value.reference is not None:
                return values.text(held)
            return self._typed(field, value, held, row, others)

    def _typed(self, field: Field, value: Value, held: Any, row: Row, others: Mapping[str, Any]) -> Any:
        """A value as the plan has the property."""
        if field.unit == "minor":
            currency = others.get(_UNIT_OF_BOOKINGS.get(field.name, "currency"))
            found = values.minor(held, value.decimal, currency, is_minor=value.minor)
            if value.minus is None or found is None:
                return found
            return found - (values.minor(row.get(value.minus), value.decimal, currency, is_minor=value.minor) or 0)
        if field.type == "integer":
            return values.integer(held, value.decimal)
        if field.type == "number":
            number = values.number(held, value.decimal)
            return None if number is None else float(number)
        if field.type == "boolean":
            return held if isinstance(held, bool) else values.boolean(held)
        if field.type == "timestamp":
            read = values.day_or_moment if field.date_allowed else values.moment
            when = read(held, value.format, *self._clock(value))
            return None if when is None else when.isoformat()
        return values.text(held)

    def _message_id(self, rule: Rule, row: Row) -> str:
        parts = [self._connector.name, rule.event]
        for column in rule.key:
            part = _as_text(row.get(column))
            if part is None:
                raise _WrongColumnError(f"column {column!r} is empty, and is the row's key")
            parts.append(part)
        said = ":".join(quote(part, safe="") for part in parts)
        said += "".join(f":{quote(_as_text(row.get(column)) or '', safe='')}" for column in rule.version)
        if len(said) <= _ID_CHARACTERS:
            return said
        return f"{self._connector.name}:{rule.event}:{hashlib.sha256(said.encode()).hexdigest()}"


class _WrongColumnError(Exception):
    """What a row's column holds cannot be used; the text names the column."""


class _reading:  # noqa: N801 - reads as a statement
    """Names the column in what is said of a value that cannot be read."""

    def __init__(self, column: str) -> None:
        self._column = column

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Say which column it was."""
        if isinstance(error, UnreadableError):
            raise _WrongColumnError(f"column {self._column!r} {error}") from None


def _translated(value: Value, said: str) -> Any:
    assert value.values is not None
    if said in value.values:
        return value.values[said]
    if value.default is None:
        raise UnreadableError("holds what `values` does not translate; add it, or say a default")
    return value.default


def _holds(condition: Condition, row: Row) -> bool:
    said = _as_text(row.get(condition.column))
    if condition.is_present is not None:
        return (said is not None) is condition.is_present
    if condition.is_one_of is not None:
        return said in condition.is_one_of
    assert condition.is_none_of is not None
    return said not in condition.is_none_of


def _as_text(value: object) -> str | None:
    """A value of any kind as text."""
    if isinstance(value, dict | list) and not values.is_time(value):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return values.text(value)


def _looked_up(row: Mapping[str, Any], column: str) -> Any:
    """A column by its own name, else by the path that its name is."""
    if column in row:
        return row[column]
    found: Any = row
    for step in column.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found
