"""The ground that all declarations stand on: a frozen, strict base model, and validators that say how to mend.

The kinds of values that declarations share are in :mod:`~analytics_platform.catalog.values`.
"""

import difflib
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Strict, model_validator
from pydantic_core import PydanticCustomError

T = TypeVar("T")

# YAML has lists where the models have tuples; the items keep the strictness of the model.
Listed = Annotated[tuple[T, ...], Strict(False)]


def wrong(what: str, mend: str, *, field: str = "") -> PydanticCustomError:
    """Build the error that a validator raises: what is wrong, how to mend it, and the field below its own, if any."""
    return PydanticCustomError("declaration", "{what}", {"what": what, "mend": mend, "field": field})


class Declared(BaseModel):
    """Base of everything that is declared in YAML: frozen, strictly typed, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise wrong("is not a key that is known here", _mend_of_key(str(key), cls), field=str(key))
        return data


def _mend_of_key(key: str, model: type[BaseModel]) -> str:
    known = list(model.model_fields)
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"write `{close[0]}` instead"
    return f"remove it; known keys are {', '.join(known)}"


def matching(pattern: str, mend: str) -> AfterValidator:
    """Validate that a text matches the pattern from its first to its last character (a trailing newline included)."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise wrong(f"{value!r} does not match {pattern}", mend)
        return value

    return AfterValidator(check)


def judged_by(is_good: Callable[[str], bool], what: str, mend: str) -> AfterValidator:
    """Validate a text with a predicate; the message starts with the text itself."""

    def check(value: str) -> str:
        if not is_good(value):
            raise wrong(f"{value!r} {what}", mend)
        return value

    return AfterValidator(check)
