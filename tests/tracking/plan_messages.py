"""Messages that the plan allows, drawn from the plan itself and not from what is compiled from it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from analytics_platform.catalog import Event, Field
from analytics_platform.tracking.plan import MAX_SAFE_INTEGER

moments = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC)).flatmap(  # noqa: DTZ001
    lambda moment: st.integers(-14 * 60, 14 * 60).map(
        lambda minutes: moment.astimezone(timezone(timedelta(minutes=minutes)))
    )
)
timestamps = st.one_of(
    moments.map(lambda moment: moment.isoformat()),
    moments.map(lambda moment: moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")),
)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def numbers(field: Field, whole: bool) -> st.SearchStrategy[Any]:
    low = -MAX_SAFE_INTEGER if field.minimum is None else field.minimum
    high = MAX_SAFE_INTEGER if field.maximum is None else field.maximum
    integers = st.integers(low, high)
    return integers if whole else st.one_of(integers, st.floats(low, high))


def values(field: Field, event: Event) -> st.SearchStrategy[Any]:
    """Values that the plan allows for a field, read from the plan and not from the schema."""
    if field.name == "schema_version":
        return st.sampled_from(event.schema_versions)
    if field.enum is not None:
        return st.sampled_from(field.enum)
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "id": ids,
        "ref": ids,
        "string": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=field.max_length or 128),
        "integer": numbers(field, whole=True),
        "number": numbers(field, whole=False),
        "boolean": st.booleans(),
        "timestamp": timestamps,
        "currency": st.from_regex(r"[A-Z]{3}", fullmatch=True),
    }
    return by_type[field.type]


def messages(event: Event) -> st.SearchStrategy[dict[str, Any]]:
    fields = event.all_fields
    return st.fixed_dictionaries(
        {field.name: values(field, event) for field in fields if field.required},
        optional={field.name: values(field, event) for field in fields if not field.required},
    )


def sample(event: Event) -> dict[str, Any]:
    """One valid message with every field."""
    by_type = {"id": "a-1", "ref": "r_1", "string": "word", "integer": 1, "number": 1.5, "boolean": True}
    by_type |= {"timestamp": "2026-03-29T02:30:00+01:00", "currency": "EUR"}
    fill = {f.name: f.enum[0] if f.enum else by_type[f.type] for f in event.all_fields}
    if event.name == "http.request":
        fill["status"] = 200
    return fill


def extreme_values(field: Field) -> list[Any]:
    """The outermost values that the plan allows for a field."""
    if field.enum is not None:
        return list(field.enum)
    low = -MAX_SAFE_INTEGER if field.minimum is None else field.minimum
    high = MAX_SAFE_INTEGER if field.maximum is None else field.maximum
    by_type: dict[str, list[Any]] = {
        "id": ["a", "a" * 64],
        "ref": ["-", "_" * 64],
        "string": ["é", "é" * (field.max_length or 128)],
        "integer": [low, high],
        "number": [low, high, (low + high) / 2],
        "boolean": [True, False],
        "timestamp": ["1900-01-02T00:00:00Z", "2199-12-30T23:59:59.999999999-14:00"],
        "currency": ["AAA"],
    }
    return by_type[field.type] + (["2026-06-01"] if field.date_allowed else [])


def extreme_messages(event: Event) -> list[dict[str, Any]]:
    """Messages with every field and with the required ones alone, each field once at each of its extremes."""
    versions = {"schema_version": event.schema_versions[0]}
    full = {f.name: extreme_values(f)[0] for f in event.all_fields} | versions
    least = {f.name: full[f.name] for f in event.all_fields if f.required}
    names = [f for f in event.all_fields if f.name != "schema_version"]
    return [least, *(full | {f.name: value} for f in names for value in extreme_values(f))]
