"""The base of typed events: strict, complete in itself, and refusing at once what the collector would refuse later.

The events themselves are generated (:mod:`analytics_platform.tracking.models`). Belongs here: what all have in common,
how a wrong one is told, and how a sound one becomes the properties of a message.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from analytics_platform.errors import AnalyticsError

#: Fields that the plan requires and whoever sends fills in where Python code left them out.
FILLED_IN = ("schema_version", "tenant_id")

_MENDS = {
    "missing": "give it a value",
    "string_pattern_mismatch": "mend the value, or derive one that fits",
    "int_type": "give a whole number; money is in minor units",
    "float_type": "give a number",
    "string_type": "give text",
    "bool_type": "give True or False",
    "literal_error": "give one of those values",
}


class WrongEventError(AnalyticsError):
    """An event that the tracking plan does not allow; the text names event, fields and mends, never a value."""


class EventModel(BaseModel):
    """One event of the tracking plan.

    Made in Python, an optional field that is None counts as left out, and `schema_version` and `tenant_id` may be left
    to the tracker. Read from JSON (`model_validate_json`), an event is taken exactly when the published schema takes
    it.

    Raises:
        WrongEventError: when it is made with a field that the plan does not allow.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    event_name: ClassVar[str]
    occurred_at_field: ClassVar[str | None]

    def __init_subclass__(cls, *, event: str, occurred_at: str | None = None, **kwargs: Any) -> None:
        """Name the event; `occurred_at` is the field with its business time, if the plan says that it has one."""
        cls.event_name = event
        cls.occurred_at_field = occurred_at
        super().__init_subclass__(**kwargs)

    @model_validator(mode="wrap")
    @classmethod
    def _told_by_name(cls, data: Any, handler: Callable[[Any], Self], info: ValidationInfo) -> Self:
        try:
            return handler(cls._complete(data) if info.mode == "json" else _without_none(data))
        except ValidationError as error:
            raise WrongEventError(_told(cls, error.errors(include_url=False, include_input=False))) from error

    @field_validator("schema_version", mode="before", check_fields=False)
    @classmethod
    def _true_is_no_version(cls, value: Any) -> Any:
        # A literal is compared by ==, and True == 1.
        if isinstance(value, bool):
            raise PydanticCustomError("int_type", "Input should be a valid integer")
        return value

    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Refuse JSON that leaves open what only Python code may, or that says null."""
        if isinstance(data, dict):
            for name in FILLED_IN:
                if name not in data:
                    raise WrongEventError(f"{cls.event_name}: {name}: is missing; give it a value")
            for name, value in data.items():
                if value is None:
                    raise WrongEventError(f"{cls.event_name}: {name}: null is no value; leave the field out")
        return data

    def properties(self, tenant: str | None = None, project: str | None = None) -> dict[str, Any]:
        """Return the properties of the message, in wire form.

        Args:
            tenant: for an event that names no tenant itself.
            project: for an event that names no project itself.

        Raises:
            WrongEventError: neither the event nor the caller names a tenant, or what they name is no id.
        """
        said = self.model_dump(exclude_none=True)
        common = {"tenant_id": tenant, "project_id": project}
        missing = {name: value for name, value in common.items() if name not in said and value is not None}
        if missing:
            said = {**said, **type(self)(**{**said, **missing}).model_dump(include=set(missing))}
        if "tenant_id" not in said:
            raise WrongEventError(
                f"{self.event_name}: tenant_id: is missing; name the tenant to the event or to emit()"
            )
        return said


def _without_none(data: Any) -> Any:
    return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


def _told(model: type[EventModel], errors: Iterable[ErrorDetails]) -> str:
    return "\n".join(_one(model, error) for error in errors)


def _one(model: type[EventModel], error: ErrorDetails) -> str:
    field = str(error["loc"][0]) if error["loc"] else "(whole event)"
    if error["type"] == "extra_forbidden":
        close = get_close_matches(field, model.model_fields, n=1)
        mend = f"did you mean {close[0]}?" if close else "leave it out, or declare it in the plan"
        return f"{model.event_name}: {field}: is not a field of the event; {mend}"
    mend = _MENDS.get(error["type"], "")
    return f"{model.event_name}: {field}: {error['msg']}" + (f"; {mend}" if mend else "")
