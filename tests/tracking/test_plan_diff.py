"""What a change of the plan breaks: told by name, and never called additive when a valid message would be refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_messages import extreme_messages, messages

from analytics_platform.catalog import CatalogError, Event, Field, load_catalog
from analytics_platform.tracking.generated import REPOSITORY
from analytics_platform.tracking.plan import event_schema
from analytics_platform.tracking.plan_diff import Change, PlanDiff, diff_plans
from analytics_platform.tracking.taxonomy import CATALOG_PATH, PlanSourceError, compile_plan, read_plan

CATALOG = load_catalog()
PLAN = compile_plan(CATALOG.events)
COMMITTED = REPOSITORY / CATALOG_PATH

TYPES = ["id", "ref", "string", "integer", "number", "boolean", "timestamp", "currency"]
bounds = st.one_of(st.none(), st.integers(-3, 700))


def field(draw: st.DrawFn, name: str) -> Field:
    kind = draw(st.sampled_from(TYPES))
    said: dict[str, Any] = {"name": name, "type": kind, "required": draw(st.booleans()), "description": "A field."}
    said["pii"] = draw(st.sampled_from(["none", "pseudonymous", "sensitive"]))
    if kind in ("integer", "number"):
        low, high = draw(bounds), draw(bounds)
        said |= {"minimum": low, "maximum": high if low is None or high is None else max(low, high)}
    if kind == "string" and draw(st.booleans()):
        said |= {"vocabulary": "v", "enum": draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))}
    elif kind == "string":
        said["max_length"] = draw(st.sampled_from([None, 1, 64, 500]))
    said["date_allowed"] = kind == "timestamp" and draw(st.booleans())
    return Field.model_validate(said)


@st.composite
def events(draw: st.DrawFn) -> Event:
    names = draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True))
    return Event(
        name="thing.done",
        stream="billing",
        title="Done",
        description="It was done.",
        emitted_by=("backend",),
        feeds=("mrr",),
        schema_versions=draw(st.sampled_from([(1,), (1, 2), (2,)])),
        occurred_at=None,
        fields=tuple(field(draw, name) for name in names),
        common_fields=CATALOG.common_fields,
    )


@st.composite
def changed(draw: st.DrawFn, event: Event) -> Event:
    """The event after one or two edits, of the kind that people make."""
    fields = {each.name: each for each in event.fields}
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(fields) or ["one"]))
        edit = draw(st.sampled_from(["edit", "edit", "edit", "add", "replace", "remove"]))
        if edit == "remove":
            fields.pop(name, None)
        elif edit == "edit" and name in fields:
            fields[name] = edited(draw, fields[name])
        else:
            name = name if edit == "replace" else "three"
            fields[name] = field(draw, name)
    return remade(event, fields=tuple(fields.values()))


def edited(draw: st.DrawFn, before: Field) -> Field:
    said = before.model_dump()
    if before.enum is not None:
        said["enum"] = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    elif before.type in ("integer", "number"):
        said["type"] = draw(st.sampled_from(["integer", "number"]))
        said["maximum"] = None if draw(st.booleans()) else (before.minimum or 0) + draw(st.integers(0, 800))
        said["minimum"] = before.minimum if said["maximum"] is None else draw(st.sampled_from([None, before.minimum]))
        if said["minimum"] is not None and said["maximum"] is not None:
            said["maximum"] = max(said["minimum"], said["maximum"])
    elif before.type == "string":
        said["max_length"] = draw(st.sampled_from([None, 1, 64, 128, 500]))
    elif before.type == "timestamp":
        said["date_allowed"] = not before.date_allowed
    said["required"] = draw(st.sampled_from([before.required, before.required, not before.required]))
    return Field.model_validate(said)


def diff(old: Event, new: Event) -> PlanDiff:
    return diff_plans(compile_plan({old.name: old}), compile_plan({new.name: new}))


def remade(event: Event, **update: Any) -> Event:
    """The event with other attributes; unlike `model_copy`, without what was computed from the old ones."""
    return Event.model_validate({name: getattr(event, name) for name in Event.model_fields} | update)


def only(found: PlanDiff) -> Change:
    assert len(found.changes) == 1, found.changes
    return found.changes[0]


def with_field(event: Event, **update: Any) -> Event:
    name = update.pop("name")
    fields = tuple(f.model_copy(update=update) if f.name == name else f for f in event.fields)
    return remade(event, fields=fields)


@settings(max_examples=60, deadline=None)
@given(event=events())
def test_a_plan_does_not_differ_from_itself(event: Event) -> None:
    assert diff(event, event).changes == ()


def test_the_plan_of_the_house_does_not_differ_from_itself_and_survives_json(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(PLAN.model_dump_json())

    assert diff_plans(PLAN, read_plan(str(path), REPOSITORY)).changes == ()
    assert diff_plans(PLAN, read_plan(str(COMMITTED), REPOSITORY)).changes == ()
    assert diff_plans(PLAN, read_plan(str(COMMITTED / "plan"), REPOSITORY)).changes == ()


@settings(max_examples=60, deadline=None)
@given(event=events(), data=st.data())
def test_an_optional_field_more_is_additive(event: Event, data: st.DataObject) -> None:
    more = field(data.draw, "four").model_copy(update={"required": False})
    change = only(diff(event, remade(event, fields=(*event.fields, more))))

    assert (change.kind, change.field) == ("additive", "four")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_after_additive_changes_every_message_that_was_valid_still_is(data: st.DataObject) -> None:
    old = data.draw(events())
    new = data.draw(changed(old))
    if any(change.kind == "breaking" for change in diff(old, new).changes):
        return
    validator = jsonschema_rs.Draft7Validator(event_schema(new), validate_formats=True)
    for message in [*extreme_messages(old), data.draw(messages(old))]:
        assert [error.message for error in validator.iter_errors(message)] == []


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_additive_one_way_and_the_other_is_no_change_of_what_is_accepted(data: st.DataObject) -> None:
    old = data.draw(events())
    new = data.draw(changed(old))
    there, back = diff(old, new), diff(new, old)
    if any(change.kind == "breaking" for change in (*there.changes, *back.changes)):
        return
    assert {f.name: f.type for f in old.fields if f.type not in ("id", "ref")} == {
        f.name: f.type for f in new.fields if f.type not in ("id", "ref")
    }


PAID = CATALOG.events["invoice.paid"]
LEAD = CATALOG.events["lead.created"]
PLANNED = CATALOG.events["transport.scheduled"]
BOOKING = CATALOG.events["booking.confirmed"]
EXAMPLES: Mapping[str, tuple[Event, Event, str, str]] = {
    "removed field": (
        PAID,
        remade(PAID, fields=PAID.fields[1:]),
        "breaking",
        "refused",
    ),
    "required": (LEAD, with_field(LEAD, name="campaign", required=True), "breaking", "is required now"),
    "optional": (LEAD, with_field(LEAD, name="channel", required=False), "additive", "optional now"),
    "fewer values": (LEAD, with_field(LEAD, name="channel", enum=("email",)), "breaking", "no longer takes"),
    "more values": (
        LEAD,
        with_field(LEAD, name="channel", enum=(*CATALOG.vocabularies["channel"].values, "fax")),
        "additive",
        "more",
    ),
    "type": (PAID, with_field(PAID, name="fully_paid", type="string"), "breaking", "is string and no longer boolean"),
    "shorter": (LEAD, with_field(LEAD, name="campaign", max_length=3), "breaking", "maxLength falls from"),
    "longer": (LEAD, with_field(LEAD, name="campaign", max_length=999), "additive", "takes more"),
    "no dates": (BOOKING, with_field(BOOKING, name="rental_end", date_allowed=False), "breaking", "fewer forms"),
    "dates": (PLANNED, with_field(PLANNED, name="planned_departure_at", date_allowed=True), "additive", "takes more"),
    "words": (LEAD, with_field(LEAD, name="campaign", description="Else."), "documentation", "description"),
    "unit": (LEAD, with_field(LEAD, name="campaign", unit="items"), "breaking", "its unit is items"),
    "less private": (LEAD, with_field(LEAD, name="lead_id", pii="none"), "breaking", "less protected"),
    "more private": (LEAD, with_field(LEAD, name="lead_id", pii="sensitive"), "additive", "more protected"),
    "business time": (PAID, remade(PAID, occurred_at=None), "breaking", "business time"),
    "stream": (PAID, remade(PAID, stream="crm"), "breaking", "moved from stream billing to crm"),
    "version": (PAID, remade(PAID, schema_versions=(1, 2)), "additive", "version 2 is new"),
    "old version": (PAID, remade(PAID, schema_versions=(2,)), "breaking", "version 1 is no longer"),
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_each_change_is_told_with_its_reason(example: tuple[Event, Event, str, str]) -> None:
    old, new, kind, reason = example
    found = [change for change in diff(old, new).changes if change.kind == kind]

    assert any(reason in change.reason for change in found), found


def test_a_change_of_a_pii_class_is_marked() -> None:
    assert only(diff(LEAD, with_field(LEAD, name="lead_id", pii="none"))).privacy


def test_a_breaking_change_is_in_order_with_a_new_schema_version_and_a_removed_event_never_is() -> None:
    breaking = with_field(LEAD, name="campaign", required=True)
    with_version = remade(breaking, schema_versions=(1, 2))
    gone = diff_plans(PLAN, replace_events(PLAN.events, without="invoice.paid"))

    assert diff(LEAD, breaking).blocking
    assert diff(LEAD, with_version).blocking == ()
    assert [change.reason for change in gone.blocking] == ["the event is gone"]
    assert diff_plans(replace_events(PLAN.events, without="invoice.paid"), PLAN).blocking == ()


def replace_events(events: Mapping[str, Any], without: str) -> Any:
    return PLAN.model_copy(update={"events": {name: event for name, event in events.items() if name != without}})


def test_a_revision_is_read_from_git() -> None:
    assert "invoice.paid" in read_plan("HEAD", REPOSITORY).events


@pytest.mark.parametrize("source", ["no-such-revision", "--output=/tmp/x", "HEAD:README.md"])
def test_what_is_no_plan_is_told_with_the_mend(source: str) -> None:
    with pytest.raises(PlanSourceError, match="revision"):
        read_plan(source, REPOSITORY)


def test_json_that_is_no_plan_is_told_with_the_field(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"events": {"a.b": {"stream": "billing"}}}))

    with pytest.raises(PlanSourceError, match=r"events.a.b.*taxonomy compile"):
        read_plan(str(path), REPOSITORY)


def test_a_folder_without_a_plan_says_which_files_are_missing(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"vocabularies.yaml"):
        read_plan(str(tmp_path), REPOSITORY)


def test_the_diff_as_json_says_whether_it_may_pass() -> None:
    found = diff(LEAD, with_field(LEAD, name="campaign", required=True))

    assert found.as_dict()["ok"] is False
    assert replace(found, versioned=frozenset({LEAD.name})).as_dict()["ok"] is True
