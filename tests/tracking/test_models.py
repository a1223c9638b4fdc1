"""Typed events: they take what the published schema takes and nothing else, and are what the catalogue renders."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_messages import messages, sample

from analytics_platform.catalog import Event, load_catalog
from analytics_platform.tracking.event_model import WrongEventError
from analytics_platform.tracking.generated import GENERATED, REPOSITORY, drifted, write
from analytics_platform.tracking.model_files import FOLDER
from analytics_platform.tracking.models import EVENT_MODELS, BookingConfirmed, InvoicePaid, NpsSubmitted
from analytics_platform.tracking.plan import class_name, plan_schemas

CATALOG = load_catalog()
VALIDATORS = {
    name: jsonschema_rs.Draft7Validator(schema, validate_formats=True) for name, schema in plan_schemas(CATALOG).items()
}
EVENTS = list(CATALOG.events.values())
every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
PAID = {"invoice_id": "i1", "payment_id": "p1", "currency": "EUR", "fully_paid": True}
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)

ODD_VALUES: list[Any] = [None, True, False, 0, 1, -1, 1.0, 2.0, 1.5, -0.0, 99, 600, 2**53, 2**63, 2**70, 1e300]
ODD_VALUES += ["", "1", "12", "a\n", "\n", "x" * 64, "x" * 65, "x" * 129, "x" * 600, "EUR", "eur", "EUR\n", "é"]
ODD_VALUES += ["\u0661", "a\x00", [], {}, ["a"], {"a": 1}, 1767225600, "2026-02-30", "2026-02-28", "2026-02-28\n"]
ODD_VALUES += ["1899-12-31", "1900-01-01T00:00:00+14:00", "2026-06-01T08:00:00.1234567891Z"]
ODD_VALUES += [
    f"2026-06-01T08:00:00{offset}" for offset in ("", "Z", "z", "+01:60", "+24:00", "-00:00", "+23:59", "Z\n")
]
ODD_VALUES += ["2026-06-01 08:00:00Z", "2026-06-01T24:00:00Z", "2026-06-01T08:00:60Z", "2026-06-31T08:00:00Z"]

A_DATE, A_TIME = r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", r"[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?"
odd_values = st.one_of(
    st.sampled_from(ODD_VALUES),
    st.text(max_size=5),
    st.from_regex(f"{A_DATE}T{A_TIME}(Z|[+-]([01][0-9]|2[0-4]):[0-6][0-9])", fullmatch=True),
)


@st.composite
def mutated(draw: st.DrawFn, event: Event) -> dict[str, Any]:
    """A message of the plan with a few faults, or none."""
    message = dict(draw(messages(event)))
    names = [field.name for field in event.all_fields]
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from([*names, "email"]))
        if draw(st.integers(0, 3)):
            message[name] = draw(odd_values)
        else:
            message.pop(name, None)
    return message


def takes(event: Event, text: str) -> bool:
    try:
        EVENT_MODELS[event.name].model_validate_json(text)
    except WrongEventError:
        return False
    return True


@every_event
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_model_and_published_schema_take_the_same_messages(event: Event, data: st.DataObject) -> None:
    message = data.draw(mutated(event))

    assert takes(event, json.dumps(message)) == VALIDATORS[event.name].is_valid(message), message


@every_event
def test_model_and_schema_agree_on_every_odd_value_in_every_field(event: Event) -> None:
    for field in [*(field.name for field in event.all_fields), "email"]:
        for value in ODD_VALUES:
            message = sample(event) | {field: value}
            assert takes(event, json.dumps(message)) == VALIDATORS[event.name].is_valid(message), (field, value)


@every_event
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_a_model_sends_is_what_it_was_given_and_passes_the_gate(event: Event, data: st.DataObject) -> None:
    message = data.draw(messages(event))
    sent = EVENT_MODELS[event.name](**message).properties()

    assert sent == message
    assert VALIDATORS[event.name].is_valid(json.loads(json.dumps(sent)))


@every_event
def test_a_model_made_without_tenant_and_version_is_completed_by_who_sends_it(event: Event) -> None:
    without = {k: v for k, v in sample(event).items() if k not in {"tenant_id", "schema_version", "project_id"}}
    sent = EVENT_MODELS[event.name](**without).properties("t1", "p1")

    assert (sent["tenant_id"], sent["project_id"], sent["schema_version"]) == ("t1", "p1", max(event.schema_versions))
    assert VALIDATORS[event.name].is_valid(sent)


def test_an_events_own_tenant_and_project_win_over_the_senders() -> None:
    event = InvoicePaid(**PAID, amount_minor=1, paid_at=NOW, tenant_id="mine", project_id="own")

    sent = event.properties("other", "other")
    assert (sent["tenant_id"], sent["project_id"]) == ("mine", "own")


def test_a_tenant_that_is_no_id_is_refused_and_so_is_none_at_all() -> None:
    event = InvoicePaid(**PAID, amount_minor=1, paid_at=NOW)

    with pytest.raises(WrongEventError, match="tenant_id"):
        event.properties("acme rentals")
    with pytest.raises(WrongEventError, match="name the tenant"):
        event.properties()


def test_python_times_go_out_with_their_offset_and_none_counts_as_left_out() -> None:
    amsterdam = timezone(timedelta(hours=2))
    event = InvoicePaid(**PAID, amount_minor=1, paid_at=datetime(2026, 6, 1, 8, tzinfo=amsterdam), project_id=None)
    local_mean = datetime(2026, 6, 1, 8, tzinfo=timezone(timedelta(minutes=19, seconds=32)))

    assert event.properties("t1")["paid_at"] == "2026-06-01T08:00:00+02:00"
    assert "project_id" not in event.properties("t1")
    assert InvoicePaid(**PAID, amount_minor=1, paid_at=local_mean).paid_at == "2026-06-01T07:40:28+00:00"


def test_a_rental_starts_on_a_day_of_python() -> None:
    booking = BookingConfirmed(
        booking_id="b1",
        customer_ref="c1",
        rental_start=date(2026, 6, 1),
        rental_end=NOW,
        line_count=1,
        booking_value_minor=100,
        booking_currency="EUR",
    )
    assert (booking.rental_start, booking.rental_end) == ("2026-06-01", "2026-02-01T12:00:00+00:00")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"amount_minor": 12.0}, "invoice.paid: amount_minor: .*minor units"),
        ({"amount_minor": "12"}, "invoice.paid: amount_minor: "),
        ({"amount_minor": None}, "invoice.paid: amount_minor: Field required; give it"),
        ({"currency": "euro"}, "invoice.paid: currency: "),
        ({"paid_at": datetime(2026, 1, 1)}, "invoice.paid: paid_at: has no time zone; give an aware datetime"),  # noqa: DTZ001
        ({"paid_at": "yesterday"}, "invoice.paid: paid_at: is no moment; give"),
        ({"invoice_idd": "i1"}, "invoice.paid: invoice_idd: is not a field of the event; did you mean invoice_id?"),
        ({"zzz": 1}, "invoice.paid: zzz: is not a field of the event; leave it out"),
    ],
)
def test_a_wrong_event_is_refused_where_it_is_made_with_field_and_mend(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(WrongEventError, match=told):
        InvoicePaid(**(PAID | {"amount_minor": 1, "paid_at": NOW} | wrong))


def test_what_is_told_never_repeats_a_value() -> None:
    with pytest.raises(WrongEventError) as caught:
        NpsSubmitted(
            survey_id="jan@example.org",
            response_id="r1",
            respondent_ref="p1",
            score=99,
            submitted_at="jan@example.org",
            touchpoint="t",
            comment="jan@example.org" * 500,
        )
    assert "jan@example" not in str(caught.value)
    assert "score" in str(caught.value)


def test_committed_models_are_those_that_the_catalogue_renders_and_nothing_else_lies_there() -> None:
    models = [file for file in GENERATED if file.path.startswith(FOLDER)]
    lying_there = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / FOLDER).glob("*.py")}

    assert drifted(CATALOG, models) == []
    assert {file.path for file in models} == lying_there
    assert {f"{FOLDER}/{stream}.py" for stream in CATALOG.streams} <= lying_there


def test_writing_tells_what_was_not_current_and_then_nothing(tmp_path: Any) -> None:
    first = [GENERATED[0], GENERATED[1]]
    assert write(CATALOG, first, tmp_path) == [file.path for file in first]
    assert write(CATALOG, first, tmp_path) == []
    (tmp_path / first[1].path).write_text("by hand")
    assert drifted(CATALOG, first, tmp_path) == [first[1].path]


def test_each_event_has_its_class_with_its_business_time() -> None:
    assert list(EVENT_MODELS) == list(CATALOG.events)
    for name, model in EVENT_MODELS.items():
        assert model.__name__ == class_name(name)
        assert (model.event_name, model.occurred_at_field) == (name, CATALOG.events[name].occurred_at)
