"""The compiled plan: what it lets in is what the plan says, and what it lets in every part of the platform can read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_messages import messages, sample, timestamps

from analytics_platform.catalog import Event, load_catalog
from analytics_platform.tracking.plan import (
    class_name,
    event_schema,
    plan_schemas,
    spec_call_stream,
)

CATALOG = load_catalog()
EVENTS = list(CATALOG.events.values())
SCHEMAS = plan_schemas(CATALOG)
VALIDATORS = {name: jsonschema_rs.Draft7Validator(schema, validate_formats=True) for name, schema in SCHEMAS.items()}

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
drawn = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_there_is_a_schema_for_every_event_and_each_is_draft_07() -> None:
    assert list(SCHEMAS) == list(CATALOG.events)
    for schema in SCHEMAS.values():
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        jsonschema_rs.meta.validate(schema)


@every_event
@drawn
@given(data=st.data())
def test_what_the_plan_allows_passes(event: Event, data: st.DataObject) -> None:
    message = data.draw(messages(event))

    assert [error.message for error in VALIDATORS[event.name].iter_errors(message)] == []


@every_event
def test_all_fields_pass_and_so_do_the_required_ones_alone(event: Event) -> None:
    required = {field.name for field in event.all_fields if field.required}

    assert VALIDATORS[event.name].is_valid(sample(event))
    assert VALIDATORS[event.name].is_valid({k: v for k, v in sample(event).items() if k in required})


@every_event
def test_each_required_field_is_required_and_each_other_is_not(event: Event) -> None:
    for field in event.all_fields:
        without = {k: v for k, v in sample(event).items() if k != field.name}
        assert VALIDATORS[event.name].is_valid(without) == (not field.required), field.name


@every_event
def test_null_is_no_value_of_any_field(event: Event) -> None:
    for field in event.all_fields:
        assert not VALIDATORS[event.name].is_valid(sample(event) | {field.name: None}), field.name


@every_event
def test_a_property_that_the_plan_does_not_know_is_refused(event: Event) -> None:
    assert not VALIDATORS[event.name].is_valid(sample(event) | {"email": "jan@example.org"})


NUMBERS_THAT_ARE_NONE = [True, "1", "", [1], {"value": 1}]
TEXTS_THAT_ARE_NONE = [1, 1.5, True, ["a"], {"text": "a"}, ""]
NOT_OF_THE_TYPE: dict[str, list[Any]] = {
    "id": [*TEXTS_THAT_ARE_NONE, "a\n", "\na", "a b", "a/b", "jan@example.org", "é", "a" * 65, "\u0661", "a\x00"],
    "ref": [*TEXTS_THAT_ARE_NONE, "a\n", "Jan Jansen", "jan@example.org", "a" * 65],
    "string": TEXTS_THAT_ARE_NONE,
    "integer": [*NUMBERS_THAT_ARE_NONE, 1.5, 2**53, -(2**53), 1e300],
    "number": NUMBERS_THAT_ARE_NONE,
    "boolean": [0, 1, "true", "false", "", []],
    "timestamp": [*TEXTS_THAT_ARE_NONE, "2026-01-01T00:00:00", "2026-01-01T00:00:00Z\n", 1767225600],
    "currency": [*TEXTS_THAT_ARE_NONE, "eur", "EURO", "EU", "EUR\n", "\u20ac"],
}


@every_event
def test_a_value_of_another_type_is_refused(event: Event) -> None:
    for field in event.all_fields:
        for wrong in NOT_OF_THE_TYPE[field.type]:
            message = sample(event) | {field.name: wrong}
            assert not VALIDATORS[event.name].is_valid(message), (field.name, wrong)


@every_event
def test_values_beyond_the_bounds_of_a_field_are_refused(event: Event) -> None:
    for field in event.all_fields:
        beyond: list[Any] = []
        beyond += [] if field.minimum is None else [field.minimum - 1]
        beyond += [] if field.maximum is None else [field.maximum + 1]
        beyond += ["x" * ((field.max_length or 128) + 1)] if field.type == "string" else []
        beyond += [str(field.enum[0]).upper(), "unheard_of"] if field.enum else []
        for value in beyond:
            assert not VALIDATORS[event.name].is_valid(sample(event) | {field.name: value}), (field.name, value)


@every_event
def test_only_versions_in_the_plan_are_accepted(event: Event) -> None:
    for version in (0, 2, 99):
        assert not VALIDATORS[event.name].is_valid(sample(event) | {"schema_version": version})


def test_an_old_version_is_accepted_while_it_is_in_the_plan() -> None:
    event = CATALOG.events["nps.submitted"].model_copy(update={"schema_versions": (1, 2)})
    validator = jsonschema_rs.Draft7Validator(event_schema(event), validate_formats=True)

    assert [validator.is_valid(sample(event) | {"schema_version": v}) for v in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize("score", [0, 10])
def test_the_ends_of_the_scale_are_answers(score: int) -> None:
    assert VALIDATORS["nps.submitted"].is_valid(sample(CATALOG.events["nps.submitted"]) | {"score": score})


def takes_as_time(text: str) -> bool:
    return VALIDATORS["invoice.paid"].is_valid(sample(CATALOG.events["invoice.paid"]) | {"paid_at": text})


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00-00:00",
        "2024-02-29T23:59:59.999Z",
        "2026-10-25T02:30:00.123456+02:00",
        "2026-01-01T00:00:00.123456789Z",
    ],
)
def test_rfc_3339_with_an_offset_is_a_time(text: str) -> None:
    assert takes_as_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+01",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "2026-01-01t00:00:00z",
        "20260101T000000Z",
        "\uff12026-01-01T00:00:00Z",
        " 2026-01-01T00:00:00Z",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    assert not takes_as_time(text)


ALMOST_A_DATE = r"(19|20|21)[0-9]{2}-(0[0-9]|1[0-3])-[0-3][0-9]"
ALMOST_A_TIME = r"[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,12})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])"
almost_times = st.from_regex(f"{ALMOST_A_DATE}[Tt ]{ALMOST_A_TIME}", fullmatch=True)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(timestamps, almost_times))
def test_a_time_that_passes_can_be_read_by_python_and_the_warehouse_alike(
    warehouse: duckdb.DuckDBPyConnection, text: str
) -> None:
    if not takes_as_time(text):
        return
    read = datetime.fromisoformat(text)
    microseconds = warehouse.execute("select epoch_us(?::timestamptz)", [text]).fetchall()[0][0]

    assert read.utcoffset() is not None
    assert microseconds == (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["2026-06-01", "2026-06-01T08:00:00+02:00"])
def test_a_rental_starts_on_a_day_or_at_a_moment(text: str) -> None:
    event = CATALOG.events["booking.confirmed"]
    assert VALIDATORS[event.name].is_valid(sample(event) | {"rental_start": text, "rental_end": text})


@pytest.mark.parametrize(
    "text", ["2026-06-31", "2026-6-1", "2026-06-01\n", "2026-06-01T08:00:00", "tomorrow", 20260601]
)
def test_a_rental_starts_at_nothing_else(text: object) -> None:
    event = CATALOG.events["booking.confirmed"]
    assert not VALIDATORS[event.name].is_valid(sample(event) | {"rental_start": text})


def test_open_words_stay_open() -> None:
    event = CATALOG.events["ticket.opened"]
    assert VALIDATORS[event.name].is_valid(sample(event) | {"priority": "P1: very urgent", "category": "Überhitzung"})


@pytest.mark.parametrize("site", ["marketing", "product"])
def test_calls_of_segments_own_land_in_the_stream_of_their_site(site: str) -> None:
    assert spec_call_stream(site) == site  # type: ignore[arg-type]
    assert spec_call_stream(site) in CATALOG.streams  # type: ignore[arg-type]


def test_no_event_is_named_like_a_call_of_segments_own() -> None:
    assert not {"page", "screen", "identify", "group", "alias"} & set(CATALOG.events)


def test_titles_are_names_of_types_and_unique() -> None:
    titles = [schema["title"] for schema in SCHEMAS.values()]

    assert class_name("invoice.written_off") == "InvoiceWrittenOff"
    assert all(title.isidentifier() for title in titles)
    assert len(set(titles)) == len(titles)


def test_a_compiled_schema_shares_nothing_with_the_next() -> None:
    event = CATALOG.events["booking.confirmed"]
    first, second = event_schema(event), event_schema(event)
    first["properties"]["rental_start"]["anyOf"][0]["pattern"] = "changed"
    first["properties"]["booking_id"]["pattern"] = "changed"

    assert second == event_schema(event) != first
