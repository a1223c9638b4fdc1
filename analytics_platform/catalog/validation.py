"""From what pydantic says about a declaration to what its author needs to read: file, field, problem and mend."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from analytics_platform.catalog.errors import CatalogError, Problem

Model = TypeVar("Model", bound=BaseModel)

# pydantic's error type -> (what, mend), filled in from the error's context, the value (input) and its key.
_SAID = {
    "missing": ("is missing", "add `{key}:` with its value"),
    "literal_error": ("{input!r} is not known here", "write one of {expected}"),
    "string_type": ("is not text", "write text, between quotes where it looks like a number or a date"),
    "int_type": ("is not a whole number", "write a whole number without quotes"),
    "float_type": ("is not a number", "write a number without quotes"),
    "finite_number": ("is not a finite number", "write a number such as 95"),
    "bool_type": ("is neither true nor false", "write true or false"),
    "tuple_type": ("is not a list", "write a list: [a, b]"),
    "mapping_type": ("is not a mapping", "write a mapping: {{a: 1, b: 2}}"),
    "model_type": ("is not a mapping", "write a mapping: {{a: 1, b: 2}}"),
    "greater_than_equal": ("is too small", "write {ge} or more"),
    "greater_than": ("is too small", "write more than {gt}"),
    "less_than_equal": ("is too large", "write {le} or less"),
    "too_short": ("has too few entries", "write at least {min_length}"),
}


class Problems:
    """Gathers the problems of several declarations, so that all of them are told at once."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep the problems of a CatalogError that is raised within, and go on after the block."""
        try:
            yield
        except CatalogError as error:
            self._found.extend(error.problems)

    def extend(self, problems: Sequence[Problem]) -> None:
        """Keep these problems too."""
        self._found.extend(problems)

    def raise_if_any(self) -> None:
        """Raise CatalogError with all that was gathered."""
        if self._found:
            raise CatalogError(self._found)


def validate(model: type[Model], data: Any, file: str, at: str = "") -> Model:
    """Build the model from what a file says; ``at`` is the path of ``data`` within the file. Raises CatalogError."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise CatalogError(_problem(details, data, file, at) for details in error.errors()) from error


def _problem(details: ErrorDetails, data: Any, file: str, at: str) -> Problem:
    context = details.get("ctx", {})
    field = join(path_of(details["loc"], data, at), str(context.get("field", "")))
    if details["type"] == "declaration":
        return Problem(file, field or "(whole file)", context["what"], context["mend"])
    what, mend = _SAID.get(details["type"], (_verbatim(details["msg"]), "write it as the other entries of the file do"))
    known = {**context, "input": details["input"], "key": details["loc"][-1] if details["loc"] else ""}
    return Problem(file, field or "(whole file)", what.format(**known), mend.format(**known))


def _verbatim(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def path_of(location: Sequence[int | str], data: Any, at: str) -> str:
    """Render pydantic's location: names joined by dots, entries of lists by their name where they have one."""
    path, value = at, data
    for step in location:
        if step == "[key]":
            continue
        value = _step_into(value, step)
        if isinstance(step, int) and not isinstance(value, _Key):
            name = value.get("name", step) if isinstance(value, Mapping) else step
            path = f"{path}[{name}]"
        else:
            path = join(path, str(step))
        value = value.held if isinstance(value, _Key) else value
    return path


class _Key:
    """What a mapping holds under a key, told apart from an entry of a list."""

    def __init__(self, held: Any) -> None:
        self.held = held


def _step_into(value: Any, step: int | str) -> Any:
    if isinstance(value, Mapping):
        return _Key(value.get(step))
    if isinstance(value, Sequence) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def join(path: str, step: str) -> str:
    """Lengthen a dotted path by a step; either may be empty."""
    return f"{path}.{step}" if path and step else path or step
