"""Duplicates, references and columns of loaded tables, on real tables that hold and that do not."""

from datetime import date
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.lake.raw import RAW_SCHEMA
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.columns import _ARROW_TYPES, _judge, columns_are_as_declared
from asset_checks.factory import Facts, Scope
from asset_checks.references import Named, references_of, references_resolve
from asset_checks.streams import _references, _twice

DAY, NEXT = date(2026, 3, 10), date(2026, 3, 11)
TENANT = "brabant-rental"


def message(day: date, number: int, event: str, tenant: str = TENANT, **properties: object) -> dict[str, object]:
    return {
        "day": day,
        "tenant_id": tenant,
        "message_id": f"m{number}",
        "type": "track",
        "event": event,
        "properties": orjson.dumps(properties).decode(),
    }


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    return Scope(LocalStore(tmp_path / "lake"), warehouse, [DAY.isoformat(), NEXT.isoformat()])


def load(scope: Scope, **streams: list[dict[str, object]]) -> None:
    for stream, rows in streams.items():
        scope.warehouse.replace_table(f"raw.{stream}", pa.Table.from_pylist(rows, RAW_SCHEMA))


def twice(scope: Scope) -> dict[str, Facts]:
    (found,) = _twice(scope, [keys.loaded("billing")]).values()
    assert not isinstance(found, Facts)
    return dict(found)


def test_messages_of_different_ids_or_tenants_are_loaded_once(scope: Scope) -> None:
    load(
        scope,
        billing=[
            message(DAY, 1, "invoice.paid"),
            message(DAY, 2, "invoice.paid"),
            message(NEXT, 1, "invoice.paid", "delta-events"),
        ],
    )
    facts = twice(scope)
    assert all(each.passed for each in facts.values())
    assert facts[DAY.isoformat()].checked == 2


def test_a_message_on_two_days_is_named_on_both(scope: Scope) -> None:
    load(scope, billing=[message(DAY, 1, "invoice.paid"), message(NEXT, 1, "invoice.paid")])
    facts = twice(scope)
    assert facts[NEXT.isoformat()].offenders == ["2026-03-11 brabant-rental m1: 2 rows, the first on 2026-03-10"]
    assert not facts[DAY.isoformat()].passed


def test_the_other_day_may_lie_outside_of_the_run(scope: Scope) -> None:
    load(scope, billing=[message(date(2026, 1, 1), 1, "invoice.paid"), message(NEXT, 1, "invoice.paid")])
    facts = twice(scope)
    assert facts[DAY.isoformat()].passed
    assert facts[NEXT.isoformat()].failed == 1


def referring(scope: Scope, catalog: Catalog, *payments: str, issued: str = "i1") -> Facts:
    paid = [message(DAY, n, "invoice.paid", invoice_id=name) for n, name in enumerate(payments, start=10)]
    load(
        scope,
        billing=[message(date(2026, 1, 1), 1, "invoice.issued", invoice_id=issued), *paid],
        inventory=[],
    )
    (found,) = _references(catalog)(scope, [keys.loaded("billing")]).values()
    assert not isinstance(found, Facts)
    return found[DAY.isoformat()]


def test_payments_of_issued_invoices_resolve_whenever_they_were_issued(scope: Scope, catalog: Catalog) -> None:
    facts = referring(scope, catalog, "i1", "i1")
    assert facts.passed
    assert (facts.checked, facts.failed) == (2, 0)


def test_payments_without_invoices_beyond_the_limit_are_named_by_key(scope: Scope, catalog: Catalog) -> None:
    facts = referring(scope, catalog, "i1", "i8", "i9")
    assert facts.offenders[0] == "2026-03-10 payment_has_invoice: 2 of 3 name nothing that is known"
    assert set(facts.offenders[1:]) == {
        "2026-03-10 payment_has_invoice: brabant-rental i8",
        "2026-03-10 payment_has_invoice: brabant-rental i9",
    }


def test_one_late_invoice_is_tolerated_and_counted(scope: Scope, catalog: Catalog) -> None:
    facts = referring(scope, catalog, "i1", "i9")
    assert facts.passed
    assert facts.counts["missing_payment_has_invoice"] == 1


def test_an_invoice_of_another_tenant_is_no_invoice(scope: Scope, catalog: Catalog) -> None:
    foreign = message(DAY, 1, "invoice.issued", "delta-events", invoice_id="i1")
    paid = [message(DAY, n, "invoice.paid", invoice_id="i1") for n in (2, 3)]
    load(scope, billing=[foreign, *paid], inventory=[])
    (found,) = _references(catalog)(scope, [keys.loaded("billing")]).values()
    assert not isinstance(found, Facts)
    assert found[DAY.isoformat()].counts["missing_payment_has_invoice"] == 2


def test_pseudonyms_are_counted_and_not_shown(scope: Scope, catalog: Catalog) -> None:
    leads = [message(DAY, n, "lead.qualified", lead_id=f"lead-{n}") for n in range(5)]
    load(scope, crm=leads, marketing=[], inventory=[])
    (found,) = _references(catalog)(scope, [keys.loaded("crm")]).values()
    assert not isinstance(found, Facts)
    facts = found[DAY.isoformat()]
    assert facts.failed == 5
    assert "lead-" not in str(facts.offenders)


def test_references_of_a_stream_judge_it_alone(catalog: Catalog) -> None:
    assert {catalog.events[each.event].stream for each in references_of(catalog, "crm").values()} == {"crm"}
    nothing = references_resolve(DAY, [], references_of(catalog, "crm"))
    assert nothing.passed
    assert nothing.checked == 0
    named = Named("converted_lead_was_created", 100, 50)
    assert not references_resolve(DAY, [named], references_of(catalog, "crm")).passed


RAW_TYPES = {field.name: _ARROW_TYPES[str(field.type)] for field in RAW_SCHEMA}


def test_a_table_that_the_loader_makes_has_the_declared_columns(scope: Scope) -> None:
    load(scope, billing=[message(DAY, 1, "invoice.paid")])
    asset = keys.loaded("billing")
    (facts,) = _judge({asset: ("raw.billing", RAW_TYPES)})(scope, [asset]).values()
    assert isinstance(facts, Facts)
    assert facts.passed, facts.offenders
    assert facts.checked == len(RAW_SCHEMA)


def test_columns_that_were_added_dropped_or_typed_otherwise_are_named() -> None:
    declared = {"day": "date", "rows": "bigint", "gone": "varchar"}
    facts = columns_are_as_declared(declared, {"day": "date", "rows": "double", "new": "date"})
    assert facts.offenders == [
        "gone: declared varchar, recorded nowhere",
        "new: declared nowhere, recorded date",
        "rows: declared bigint, recorded double",
    ]


def test_a_table_that_is_not_there_has_none_of_its_columns(scope: Scope) -> None:
    load(scope, billing=[message(DAY, 1, "invoice.paid")])
    asset = keys.loaded("crm")
    (facts,) = _judge({asset: ("raw.crm", RAW_TYPES)})(scope, [asset]).values()
    assert isinstance(facts, Facts)
    assert facts.failed == len(RAW_SCHEMA)
