"""Rules: which rows they take, what they make of them, and the ids under which the gate knows them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from connector_house import HEADER, INVOICE_RULE, NOW, ROW, House, invoices
from hypothesis import example, given, settings
from hypothesis import strategies as st
from known_keys import KEYS

from analytics_platform.catalog import Catalog
from analytics_platform.connectors.declared import DropConnector
from analytics_platform.connectors.mapping import Mapper, Message, Skipped, Unmapped
from analytics_platform.connectors.running import Deployment
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.references import reference

NPS: dict[str, Any] = {
    "event": "nps.submitted",
    "key": ["id"],
    "properties": {
        "survey_id": {"constant": "spring"},
        "response_id": "id",
        "respondent_ref": {"column": "email", "reference": "email"},
        "score": "score",
        "submitted_at": "at",
        "touchpoint": {"constant": "after_event"},
        "comment": "comment",
    },
}


def survey(**rule: Any) -> dict[str, Any]:
    return {**invoices(rules={"answer": {**NPS, **rule}}), "owner": "customer_success"}


def mapper(house: House, body: dict[str, Any], stream: str = "invoices") -> Mapper:
    return Mapper(house.connector("books", body), stream, house.catalog, KEYS)


def invoice(**said: Any) -> dict[str, Any]:
    return {**dict(zip(HEADER.split(";"), ROW.split(";"), strict=True)), **said}


def made(found: Any) -> dict[str, Any]:
    assert isinstance(found, Message), found
    return dict(orjson.loads(found.raw))


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ({"column": "customer", "is_one_of": ["cust-1", "x"]}, True),
        ({"column": "customer", "is_one_of": ["x"]}, False),
        ({"column": "customer", "is_none_of": ["cust-1"]}, False),
        ({"column": "customer", "is_present": True}, True),
        ({"column": "absent", "is_present": True}, False),
        ({"column": "absent", "is_present": False}, True),
        ({"column": "absent", "is_one_of": ["x"]}, False),
    ],
)
def test_a_rule_takes_the_rows_that_its_filter_names(house: House, condition: dict[str, Any], taken: bool) -> None:
    rules = mapper(house, invoices(rules={"issued": {**INVOICE_RULE, "where": [condition]}}))
    assert isinstance(rules.message("issued", rules.flat(invoice())), Message if taken else Skipped)


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ({"number": " "}, "column 'number' is empty, and is the row's key"),
        ({"total": "a lot"}, "column 'total' is no number written as 12,34"),
        ({"issued": "2026-03-15"}, "column 'issued' is no time written as %d-%m-%Y"),
    ],
)
def test_what_a_rule_cannot_map_names_the_column(house: House, said: dict[str, Any], detail: str) -> None:
    rules = mapper(house, invoices())
    found = rules.message("issued", rules.flat(invoice(**said)))
    assert isinstance(found, Unmapped)
    assert detail in found.detail


def test_the_tenant_comes_from_a_column_and_its_translation(house: House) -> None:
    tenant = {"column": "customer", "values": {"cust-1": "noord-rigging"}}
    rules = mapper(house, invoices(rules={"issued": {**INVOICE_RULE, "tenant": tenant}}))
    assert made(rules.message("issued", rules.flat(invoice())))["properties"]["tenant_id"] == "noord-rigging"
    found = rules.message("issued", rules.flat(invoice(customer="cust-2")))
    assert isinstance(found, Unmapped)
    assert "add it" in found.detail


def test_codes_are_translated_and_a_new_one_is_told_unless_there_is_a_default(house: House) -> None:
    value = {"column": "customer", "values": {1: "EUR", "gulden": "GBP"}}
    for default, outcome in ((None, Unmapped), ("USD", Message)):
        rule = {**INVOICE_RULE["properties"], "currency": {**value, **({"default": default} if default else {})}}
        rules = mapper(house, invoices(rules={"issued": {**INVOICE_RULE, "properties": rule}}))
        assert made(rules.message("issued", rules.flat(invoice(customer=1))))["properties"]["currency"] == "EUR"
        assert isinstance(rules.message("issued", rules.flat(invoice(customer="dinar"))), outcome)


def test_a_column_is_found_by_its_name_before_its_path(house: House) -> None:
    properties = {**INVOICE_RULE["properties"], "customer_ref": "party.id"}
    rules = mapper(house, invoices(rules={"issued": {**INVOICE_RULE, "properties": properties}}))
    nested = rules.flat(invoice(party={"id": 7, "name": "J. Jansen"}))
    assert nested["party.id"] == 7
    assert "J. Jansen" not in str(nested)
    assert rules.flat(invoice(**{"party.id": 8, "party": {"id": 7}}))["party.id"] == 8


def test_the_id_of_a_row_is_the_same_each_time_and_changes_with_its_version(house: House) -> None:
    rules = mapper(house, invoices(rules={"issued": {**INVOICE_RULE, "version": ["total"]}}))
    ids = [made(rules.message("issued", rules.flat(row)))["messageId"] for row in (invoice(), invoice(tax="0,01"))]
    assert ids[0] == ids[1] == "books:invoice.issued:2026-001:1.234%2C56"
    assert made(rules.message("issued", rules.flat(invoice(total="1,00"))))["messageId"] != ids[0]


_PART = st.text(min_size=1, max_size=12).filter(lambda text: text.strip() != "")


@pytest.fixture(scope="module")
def by_two_columns(catalog: Catalog) -> Mapper:
    rule = {**INVOICE_RULE, "key": ["booking", "customer"]}
    connector = DropConnector.model_validate({"name": "books", **invoices(rules={"issued": rule})})
    return Mapper(connector, "invoices", catalog, KEYS)


@example(["a:b", "c"], ["a", "b:c"])
@given(st.lists(_PART, min_size=2, max_size=2), st.lists(_PART, min_size=2, max_size=2))
@settings(max_examples=50)
def test_other_keys_make_other_ids(by_two_columns: Mapper, one: list[str], other: list[str]) -> None:
    rows = [by_two_columns.flat(invoice(booking=parts[0], customer=parts[1])) for parts in (one, other)]
    found = [made(by_two_columns.message("issued", row))["messageId"] for row in rows]
    same = [part.strip() for part in one] == [part.strip() for part in other]
    assert (found[0] == found[1]) is same
    assert max(map(len, found)) <= 256


def test_a_person_goes_to_the_gate_as_the_reference_that_it_would_make_itself(house: House) -> None:
    connector = house.connector("answers", survey())
    rows = [
        {
            "id": "a-1",
            "email": "Jan@Example.nl",
            "score": 9,
            "at": "2026-05-01T10:00:00Z",
            "comment": "Top, 06-12345678",
        }
    ]
    house.drop(connector, "answers.json", orjson.dumps(rows))
    assert house.run(connector, "invoices").accepted == 1
    (row,) = house.landed()
    expected = reference(KEYS.of("brabant-rental").newest, "email", "jan@example.nl")
    assert row["properties"]["respondent_ref"] == expected
    assert expected in str(row["context"])
    assert row["identifiers"] is not None  # sealed for the table of identities
    everything = b"".join(house.store.get(info.key) for info in house.store.list(""))
    text = str(house.landed()) + everything.decode("utf-8", "replace")
    assert "example.nl" not in text.lower()
    assert "12345678" not in text


def test_a_row_that_comes_again_after_a_rotation_of_keys_is_still_a_duplicate(house: House, tmp_path: Path) -> None:
    keys = IdentityKeys(tmp_path / "keys.json")

    class Rotating(House):
        @property
        def deployment(self) -> Deployment:
            found = super().deployment
            return Deployment(found.catalog, found.store, keys, found.secret, found.files, found.history_start)

    rotating = Rotating(house.root, house.catalog)
    connector = rotating.connector("answers", survey())
    row = {"id": "a-1", "email": "jan@example.nl", "score": 9, "at": "2026-05-01T10:00:00Z"}
    rotating.drop(connector, "one.json", orjson.dumps([row]))
    assert rotating.run(connector, "invoices").accepted == 1
    keys.rotate("brabant-rental")
    rotating.drop(connector, "two.json", orjson.dumps([row, {**row, "id": "a-2"}]))
    account = rotating.run(connector, "invoices", NOW + timedelta(hours=1))
    assert (account.accepted, account.duplicates, account.dead_lettered) == (1, 1, 0)
    rotating.drop(connector, "three.json", orjson.dumps([{**row, "score": 3}]))
    assert rotating.run(connector, "invoices", NOW + timedelta(hours=1)).reasons == {"id_conflict": 1}


def test_a_tenant_that_nobody_registered_is_a_dead_letter_until_it_is(house: House) -> None:
    from analytics_platform.connectors.landing import remade
    from analytics_platform.intake.replay import Selection, replay

    rule = {**INVOICE_RULE, "tenant": {"column": "customer"}}
    connector = house.connector("books", invoices(rules={"issued": rule}))
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW.replace('cust-1', 'newcomer')}\n")
    assert house.run(connector, "invoices").reasons == {"unknown_tenant": 1}
    tenants = {**house.catalog.tenants, "newcomer": house.catalog.tenants["brabant-rental"]}
    declared = {name: getattr(house.catalog, name) for name in Catalog.model_fields}
    later = Catalog.model_validate({**declared, "tenants": tenants})
    report = replay(
        house.store,
        later,
        Selection(),
        identities=KEYS,
        now=NOW,
        remade=remade({"books": connector}, later, KEYS),
    )
    assert report.accepted == 1
    assert house.landed()[0]["tenant_id"] == "newcomer"


def test_a_letter_is_mapped_anew_once_its_mapping_is_mended(house: House) -> None:
    from analytics_platform.connectors.landing import remade
    from analytics_platform.intake.replay import Selection, replay

    connector = house.connector("books", invoices())
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW.replace('1.234,56', '1234.56')}\n")
    assert house.run(connector, "invoices").reasons == {"unmapped": 1}

    def replayed(body: dict[str, Any]) -> tuple[int, int]:
        found = house.connector("books", body)
        again = remade({"books": found}, house.catalog, KEYS)
        report = replay(house.store, house.catalog, Selection(), identities=KEYS, now=NOW, remade=again)
        return report.accepted, report.still_dead

    assert replayed(invoices()) == (0, 1)
    total = {**INVOICE_RULE["properties"], "amount_minor": {"column": "total", "decimal": "."}}
    assert replayed(invoices(rules={"issued": {**INVOICE_RULE, "properties": total}})) == (1, 0)
    assert house.landed()[0]["properties"]["amount_minor"] == 123456
    assert house.landed()[0]["source"] == "connector.books"
