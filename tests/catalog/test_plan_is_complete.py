"""The shipped plan against the table of the tracking plan, transcribed once more by hand."""

import pytest

from analytics_platform.catalog import Catalog, Field

# stream, event, required fields, optional fields (besides the common ones), fields that speak about a person
TABLE = """
billing | invoice.issued | invoice_id booking_id customer_ref amount_minor tax_minor currency issued_at due_at \
| | customer_ref
billing | invoice.paid | invoice_id payment_id amount_minor currency paid_at fully_paid | |
billing | invoice.overdue | invoice_id outstanding_minor currency due_at days_overdue | |
billing | invoice.credited | invoice_id credit_id amount_minor currency credited_at reason | |
billing | invoice.written_off | invoice_id amount_minor currency written_off_at | |
billing | invoice.voided | invoice_id amount_minor currency reason voided_at | |
billing | subscription.started | subscription_id customer_ref plan mrr_minor currency interval started_at \
| lead_id acquisition_channel | customer_ref lead_id
billing | subscription.changed | subscription_id customer_ref from_plan to_plan mrr_before_minor mrr_after_minor \
currency changed_at change_kind | | customer_ref
billing | subscription.cancelled | subscription_id customer_ref mrr_lost_minor currency effective_at voluntary \
| reason | customer_ref
inventory | equipment.registered | equipment_id sku category status home_warehouse_id \
| acquisition_cost_minor currency |
inventory | equipment.status_changed | equipment_id from_status to_status changed_at cause status_seq | |
inventory | booking.confirmed | booking_id customer_ref rental_start rental_end line_count booking_value_minor \
booking_currency | acquisition_channel lead_id | customer_ref lead_id
inventory | booking.cancelled | booking_id cancelled_at reason booking_value_minor booking_currency | |
inventory | scan.completed | scan_id equipment_id warehouse_id device_id operator_ref direction from_status to_status \
status_seq scanned_at scan_source | booking_id transport_id offline_queued_ms | operator_ref
inventory | scan.exception | scan_id warehouse_id device_id operator_ref code scanned_at scan_source resolved \
| equipment_id expected_status actual_status from_status to_status | operator_ref
transport | transport.scheduled | transport_id warehouse_id planned_departure_at vehicle_ref direction | driver_ref \
| driver_ref
transport | transport.departed | transport_id warehouse_id planned_departure_at departed_at loaded_items \
expected_items | delay_reason |
transport | transport.cancelled | transport_id planned_departure_at cancelled_at reason | |
transport | transport.arrived | transport_id planned_arrival_at arrived_at | |
marketing | lead.created | lead_id channel created_at | campaign landing_path company_country | lead_id
crm | lead.qualified | lead_id channel qualified_at score qualified_by | est_value_minor currency | lead_id
crm | lead.converted | lead_id channel converted_at converted_to | subscription_id booking_id | lead_id
crm | nps.submitted | survey_id response_id respondent_ref score submitted_at touchpoint | comment \
| respondent_ref comment
support | ticket.opened | ticket_id requester_ref priority category opened_at source | | requester_ref
support | ticket.resolved | ticket_id opened_at resolved_at reopen_count resolution | agent_ref on_hold_ms | agent_ref
support | ticket.reopened | ticket_id reopened_at reopen_count | |
product | ui.flow_step | flow step outcome flow_run_id | duration_ms error_code |
product | http.request | request_id method route status duration_ms | trace_id caller_ref error_class | caller_ref
"""

ROWS = [[cell.strip() for cell in row.split("|")] for row in TABLE.strip().splitlines()]


def names(fields: list[Field]) -> set[str]:
    return {field.name for field in fields}


def test_seven_streams_and_28_events_in_the_order_of_the_plan(catalog: Catalog) -> None:
    assert list(catalog.streams) == ["billing", "inventory", "transport", "marketing", "crm", "support", "product"]
    assert [(event.stream, event.name) for event in catalog.events.values()] == [(row[0], row[1]) for row in ROWS]
    assert len(catalog.events) == 28


@pytest.mark.parametrize(("stream", "name", "required", "optional", "pii"), ROWS, ids=[row[1] for row in ROWS])
def test_an_event_has_the_fields_of_the_plan(
    catalog: Catalog, stream: str, name: str, required: str, optional: str, pii: str
) -> None:
    event = catalog.events[name]

    assert event.stream == stream
    assert names([field for field in event.fields if field.required]) == set(required.split())
    assert names([field for field in event.fields if not field.required]) == set(optional.split())
    assert names(list(event.pii_fields)) == set(pii.split())


def test_every_event_carries_the_common_fields(catalog: Catalog) -> None:
    common = {"schema_version", "tenant_id", "project_id", "booking_value_minor", "booking_currency"}
    for event in catalog.events.values():
        required = {field.name for field in event.all_fields if field.required}
        assert common <= {field.name for field in event.all_fields}
        assert {"schema_version", "tenant_id"} <= required
        assert len({field.name for field in event.all_fields}) == len(event.all_fields)


def test_an_own_field_takes_the_place_of_the_common_one(catalog: Catalog) -> None:
    by_name = {field.name: field for field in catalog.events["booking.confirmed"].all_fields}

    assert by_name["booking_value_minor"].required
    assert not {field.name: field for field in catalog.common_fields}["booking_value_minor"].required


@pytest.mark.parametrize(
    ("event", "field", "pii"),
    [
        ("invoice.issued", "customer_ref", "pseudonymous"),
        ("lead.created", "lead_id", "pseudonymous"),
        ("transport.scheduled", "driver_ref", "personal"),
        ("ticket.resolved", "agent_ref", "personal"),
        ("nps.submitted", "comment", "sensitive"),
    ],
)
def test_fields_about_people_have_the_class_of_the_plan(catalog: Catalog, event: str, field: str, pii: str) -> None:
    assert {f.name: f.pii for f in catalog.events[event].fields}[field] == pii


def test_a_field_named_ref_is_about_a_person_unless_it_names_a_vehicle(catalog: Catalog) -> None:
    unclassed = {
        field.name
        for event in catalog.events.values()
        for field in event.all_fields
        if field.name.endswith("_ref") and field.pii == "none"
    }
    assert unclassed == {"vehicle_ref"}


def test_names_say_what_a_field_is(catalog: Catalog) -> None:
    for event in catalog.events.values():
        for field in event.all_fields:
            where = f"{event.name}.{field.name}"
            assert (field.type == "timestamp") == (field.name.endswith("_at") or field.date_allowed), where
            assert (field.type == "currency") == field.name.endswith("currency"), where
            assert (field.type == "id") == field.name.endswith("_id"), where
            assert (field.type == "ref") == field.name.endswith("_ref"), where
            assert field.unit == "ms" if field.name.endswith("_ms") else field.unit != "ms", where
            assert field.unit is not None or field.type != "number", where


def test_only_the_lists_that_the_plan_names_are_closed(catalog: Catalog) -> None:
    closed = {
        (field.name, field.vocabulary)
        for event in catalog.events.values()
        for field in event.all_fields
        if field.enum is not None
    }
    statuses = {"status", "from_status", "to_status", "expected_status", "actual_status"}
    assert closed == {
        *((name, "equipment_status") for name in statuses),
        ("channel", "channel"),
        ("acquisition_channel", "channel"),
        ("code", "scan_exception_code"),
        ("reason", "invoice_void_reason"),
    }
    assert len(catalog.vocabularies["equipment_status"].values) == 11
    assert len(catalog.vocabularies["channel"].values) == 11
    assert len(catalog.vocabularies["scan_exception_code"].values) == 8


def test_every_kpi_is_fed_by_events(catalog: Catalog) -> None:
    fed = {measure for event in catalog.events.values() for measure in event.feeds}
    assert fed == {*catalog.kpis, "service_health"}
