"""What the tracking plan says of a track call: its stream, its business time, and what is wrong with its properties.

The validators are built once from the schemas that are published to producers, so the gate and the plan agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

import jsonschema_rs

from analytics_platform.catalog import Catalog, Event
from analytics_platform.intake.envelope import Refusal
from analytics_platform.intake.outcomes import Reason
from analytics_platform.tracking.plan import plan_schemas

_MASK = "the value"
_ERRORS_TOLD = 3
_SHOWN_CHARACTERS = 80
_DETAIL_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """An event of the plan as the gate needs it.

    Attributes:
        name: of the event.
        stream: that it belongs to.
        occurred_at: the property with the business time, if any.
        is_valid: whether properties are as the plan has them.
        errors: what is wrong with properties that are not.
    """

    name: str
    stream: str
    occurred_at: str | None
    is_valid: Callable[[dict[str, Any]], bool]
    errors: Callable[[dict[str, Any]], Iterator[Any]]


class PlanCheck:
    """The compiled plan."""

    def __init__(self, catalog: Catalog) -> None:
        schemas = plan_schemas(catalog)
        self._events = {name: _planned(event, schemas[name]) for name, event in catalog.events.items()}

    def event(self, name: object) -> PlannedEvent:
        """The planned event of a track call's `event`; refuses what the plan does not know."""
        if not isinstance(name, str) or not name:
            raise Refusal(Reason.INVALID_ENVELOPE, "event: a track call names its event in text")
        planned = self._events.get(name)
        if planned is None:
            raise Refusal(Reason.UNKNOWN_EVENT, self._unknown(name[:_SHOWN_CHARACTERS]))
        return planned

    def _unknown(self, name: str) -> str:
        close = get_close_matches(name, self._events, n=1)
        mend = f"did you mean {close[0]}?" if close else "declare it in the plan, or stop sending it"
        return f"event: {name!r} is not in the tracking plan; {mend}"


def violation(planned: PlannedEvent, properties: dict[str, Any]) -> Refusal:
    """The refusal of properties that are not valid."""
    errors = islice(planned.errors(properties), _ERRORS_TOLD + 1)
    return Refusal(Reason.SCHEMA_VIOLATION, _told(planned, properties, errors))


def _planned(event: Event, schema: dict[str, Any]) -> PlannedEvent:
    validator = jsonschema_rs.Draft7Validator(schema, validate_formats=True, mask=_MASK)
    return PlannedEvent(event.name, event.stream, event.occurred_at, validator.is_valid, validator.iter_errors)


def _told(planned: PlannedEvent, properties: dict[str, Any], errors: Iterable[Any]) -> str:
    """The first errors in words; names of properties are repeated, their values never."""
    told = [_one(properties, error) for error in errors]
    more = "; and more" if len(told) > _ERRORS_TOLD else ""
    said = "; ".join(told[:_ERRORS_TOLD])[:_DETAIL_CHARACTERS]
    return f"{said}{more}; see {planned.name} in the tracking plan"


def _one(properties: dict[str, Any], error: Any) -> str:
    path = [str(part) for part in error.instance_path]
    where = ".".join(["properties", *path])
    if len(path) == 1 and properties.get(path[0], "") is None:
        return f"{where}: null is not allowed, leave the property out"
    return f"{where}: {error.message}"
