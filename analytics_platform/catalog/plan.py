"""The tracking plan as it is declared: streams, their events, and a PII class for each field.

How the plan is compiled to JSON Schema is :mod:`analytics_platform.tracking.plan`; nothing here judges a message.
"""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, matching, wrong
from analytics_platform.catalog.values import Name, Text

FieldType = Literal["id", "ref", "string", "integer", "number", "boolean", "timestamp", "currency"]
PiiClass = Literal["none", "pseudonymous", "personal", "sensitive"]
Emitter = Literal["backend", "frontend", "marketing_site", "middleware", "scanner", "telemetry"]
Unit = Literal["minor", "ms", "days", "items", "lines", "points", "times"]

#: PII classes from the least to the most protected.
PII_CLASSES: tuple[PiiClass, ...] = ("none", "pseudonymous", "personal", "sensitive")

#: What events may feed besides the KPIs.
OTHER_MEASURES = frozenset({"service_health"})

_NUMERIC: tuple[FieldType, ...] = ("integer", "number")

EventName = Annotated[
    str, matching(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", "write object.action in the past tense, such as invoice.paid")
]
MeasureName = Name


class Vocabulary(Declared):
    """A closed list of values that fields of several events share."""

    name: Name
    description: Text
    values: Listed[Annotated[str, matching(r"[a-z0-9_]{1,64}", "write lower-case letters, digits and _")]]

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "Vocabulary":
        if not self.values or len(set(self.values)) != len(self.values):
            raise wrong("is empty or names a value twice", "write each value once", field="values")
        return self


class Field(Declared):
    """A property of an event.

    ``date_allowed`` lets a timestamp also be a plain date. ``enum`` holds the values of a closed list, which the YAML
    names by ``vocabulary``; the loader fills them in. ``max_length`` counts characters. Bounds are inclusive.
    """

    name: Name
    type: FieldType
    required: bool
    pii: PiiClass
    description: Text
    vocabulary: Name | None = None
    enum: Listed[str] | None = None
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = Constrained(default=None, ge=1)
    date_allowed: bool = False
    unit: Unit | None = None

    @model_validator(mode="after")
    def _constraints_fit_the_type(self) -> "Field":
        bounded = self.minimum is not None or self.maximum is not None
        if bounded and self.type not in _NUMERIC:
            raise wrong(f"type {self.type} takes no minimum or maximum", "remove the bound or write type: integer")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise wrong("is below the minimum", f"write {self.minimum} or more", field="maximum")
        if (self.vocabulary is None) != (self.enum is None):
            raise wrong("stands without the other", "declare the list in vocabularies.yaml and name it", field="enum")
        if self.type != "string" and (self.enum is not None or self.max_length is not None):
            raise wrong(f"type {self.type} takes no vocabulary and no max_length", "remove them or write type: string")
        if self.date_allowed and self.type != "timestamp":
            raise wrong(f"has no meaning for type {self.type}", "remove it", field="date_allowed")
        return self

    @model_validator(mode="after")
    def _money_is_integer_minor_units(self) -> "Field":
        is_money = self.name.endswith("_minor")
        if is_money and (self.type != "integer" or self.unit != "minor"):
            raise wrong("is money by its name", "write type: integer and unit: minor, or another name")
        if not is_money and self.unit == "minor":
            raise wrong("minor units of a field not named _minor", "end its name in _minor", field="unit")
        return self


class Event(Declared):
    """Something that happened, as a producer reports it.

    ``occurred_at`` names the property that holds the business time; None means that the message's own (corrected)
    timestamp is the business time. ``fields`` are the event's own; ``all_fields`` are those that a message may carry.
    """

    name: EventName
    stream: Name
    title: Text
    description: Text
    emitted_by: Listed[Emitter] = Constrained(min_length=1)
    feeds: Listed[MeasureName] = Constrained(min_length=1)
    schema_versions: Listed[Annotated[int, Constrained(ge=1)]] = Constrained(default=(1,), min_length=1)
    occurred_at: Name | None
    fields: Listed[Field]
    common_fields: Listed[Field] = Constrained(repr=False)

    @property
    def table_name(self) -> str:
        """The event's name as part of a table's name: ``invoice_issued``."""
        return self.name.replace(".", "_")

    @cached_property
    def all_fields(self) -> tuple[Field, ...]:
        """The common fields, then the event's own; an own field of the same name takes the common one's place."""
        return tuple({field.name: field for field in (*self.common_fields, *self.fields)}.values())

    @cached_property
    def pii_fields(self) -> tuple[Field, ...]:
        """The fields that speak about a person, however indirectly."""
        return tuple(field for field in self.all_fields if field.pii != "none")

    @model_validator(mode="after")
    def _business_time_is_always_there(self) -> "Event":
        if self.occurred_at is None:
            return self
        times = [f.name for f in self.fields if f.required and f.type == "timestamp" and not f.date_allowed]
        if self.occurred_at not in times:
            mend = f"write one of {', '.join(times)}" if times else "write null: the message's timestamp counts"
            raise wrong(f"{self.occurred_at!r} is not a required timestamp of the event", mend, field="occurred_at")
        return self


class Stream(Declared):
    """The module that data comes from: the unit of ownership, lineage and retention. ``order`` is that of display."""

    name: Name
    order: int = Constrained(ge=1)
    title: Text
    description: Text
    owner: Name
    sla_tier: Name
    retention_class: Name
    events: Listed[Event] = Constrained(min_length=1)
